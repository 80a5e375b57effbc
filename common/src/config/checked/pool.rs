//! `[[pool]]`: the servers behind, and how they are used.

mod transport;

pub use transport::{PoolH2, PoolTls, Transport};

use crate::config::pattern::ServerAddress;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// `[[pool]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Unique.
    pub name: Arc<str>,
    /// At least one, none twice.
    pub servers: Vec<ServerAddress>,
    /// How a server is chosen.
    pub balance: Balance,
    /// Time for one connect, all addresses of the server together.
    pub connect_deadline: Duration,
    /// PROXY header sent before the first byte (passthrough only).
    pub proxy_protocol: SendProxy,
    /// Passive ejection; `None`: never (`eject_after = 0`).
    pub eject: Option<Ejection>,
    /// Idle connections kept per server (http-filter).
    pub max_idle: usize,
    /// How long an idle connection is kept (http-filter).
    pub idle_deadline: Duration,
    /// What http-filter speaks to the servers.
    pub transport: Transport,
}

/// `balance` of a pool
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// In turn, by weight.
    RoundRobin,
    /// The server with the fewest connections for its weight.
    LeastConnections,
}

/// `proxy_protocol` of a pool
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendProxy {
    /// None.
    None,
    /// Text form.
    V1,
    /// Binary form with server name and ALPN.
    V2,
}

/// `eject_after` and `eject_for` of a pool
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Consecutive failures.
    pub after: NonZeroU32,
    /// How long the server is left out.
    pub duration: Duration,
}
