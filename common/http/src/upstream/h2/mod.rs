//! HTTP/2 to a backend (RFC 9113): a few connections per endpoint, each shared by many requests.
//!
//! - [`fleet`]: the connections of one endpoint: which has room, one dial at a time, which are over
//! - [`link`]: one connection, with the task that drives it, and whether its other end still lives
//! - [`exchange`]: one request up to the head of its answer; what may be sent elsewhere when it fails
//! - [`upload`]: the request's body, as fast as the backend takes it
//! - [`tunnel`]: a stream that carries another protocol
//! - [`download`]: the answer's body and trailers, as fast as the client takes them
//!
//! Unlike an HTTP/1 connection this one has a task of its own, because it belongs to no single request. It uses the `h2` crate without
//! hyper: only there can a stream that the backend refused (safe to send elsewhere) be told from one that it broke off.
//! A request must never be sent twice unless the backend said that it has not looked at it, or it is idempotent and without body.

mod download;
mod exchange;
mod fleet;
mod link;
mod tunnel;
mod upload;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub(super) use download::Download;
pub(super) use fleet::{Fleet, send};
pub use tunnel::Tunnel;

use super::PoolLimits;

/// How HTTP/2 is spoken to the endpoints of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct H2Limits {
    /// The backend may choose HTTP/1.1 instead.
    pub or_http1: bool,
    /// The dialler brings TLS: requests say so (`:scheme`).
    pub secure: bool,
    /// Requests at once per connection; the backend's own limit holds where it is smaller.
    pub streams: usize,
    /// Bytes of one answer that may wait for a slow reader. A connection may hold `streams` times as many.
    pub stream_window: u32,
    /// Silence after which a connection with open requests is asked whether it lives; zero: never.
    pub ping_interval: Duration,
    /// How long the answer to that may take.
    pub ping_deadline: Duration,
}

impl Default for H2Limits {
    fn default() -> Self {
        H2Limits {
            or_http1: false,
            secure: false,
            streams: 100,
            stream_window: 128 * 1024,
            ping_interval: Duration::from_secs(360),
            ping_deadline: Duration::from_secs(20),
        }
    }
}

/// Bytes of a request's body that wait here for the backend, per stream.
const SEND_BUFFER: usize = 64 * 1024;
/// Largest window of a connection (RFC 9113 §6.9.1).
const LARGEST_WINDOW: u64 = (1 << 31) - 1;

fn builder(limits: &PoolLimits, h2: &H2Limits) -> ::h2::client::Builder {
    let streams = u64::try_from(h2.streams).unwrap_or(u64::MAX);
    // All streams may fill their windows without stopping the connection for the others.
    let window = streams.saturating_mul(u64::from(h2.stream_window)).clamp(65_535, LARGEST_WINDOW);
    let mut builder = ::h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(h2.stream_window)
        .initial_connection_window_size(u32::try_from(window).unwrap_or(u32::MAX >> 1))
        .max_header_list_size(u32::try_from(limits.response_head).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        .initial_max_send_streams(h2.streams);
    builder
}
