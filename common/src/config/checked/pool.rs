//! `[[pool]]`: the servers behind, and how they are used.

mod balancing;
mod transport;

pub use balancing::{Balance, CheckKind, Crowd, EjectOn, Ejection, HashOn, HealthCheck, Retries, SameSite, Sticky};
pub use transport::{PoolH2, PoolTls, Transport};

use crate::config::pattern::ServerAddress;
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
    /// A server that comes back gets its full share only after this time; zero: at once.
    pub slow_start: Duration,
    /// With less than this percentage of the servers healthy all are used.
    pub panic_below: u32,
    /// Active health checks.
    pub health: Option<HealthCheck>,
    /// Clients stay with their server (http-filter).
    pub sticky: Option<Sticky>,
    /// How many at a time.
    pub crowd: Crowd,
    /// When another server is tried (http-filter).
    pub retries: Retries,
    /// From the choice of a server to the last byte of the answer; zero: not limited (http-filter).
    pub total_deadline: Duration,
    /// Oldest age at which a connection is used again (http-filter).
    pub max_age: Duration,
    /// Idle connections kept per server (http-filter).
    pub max_idle: usize,
    /// How long an idle connection is kept (http-filter).
    pub idle_deadline: Duration,
    /// What http-filter speaks to the servers.
    pub transport: Transport,
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
