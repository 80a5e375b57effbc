//! Clients: real programs ([`curl`], openssl in [`programs`]) and hand-written ones that can do what a program would not:
//! bytes at will over TCP and TLS ([`raw`], [`tls`]), HTTP/2 frames at will ([`h2`]), HTTP/2 as it should be ([`multiplexed`]), a WebSocket, a tunnel.

pub mod curl;
pub mod frames;
pub mod from;
pub mod h2;
pub mod http;
pub mod multiplexed;
pub mod programs;
pub mod raw;
pub mod tls;
pub mod tunnel;
pub mod websocket;

use std::time::Duration;

/// Longest silence a client of ours bears before its read fails.
pub const PATIENCE: Duration = Duration::from_secs(10);
