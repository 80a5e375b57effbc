//! The sections of the way out: `[passthrough-relay]` and the pools it connects to, `[[pool]]`.

use crate::config::pattern::{NetworkSet, ServerAddress};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// `[passthrough-relay]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// How many processes `bulkhead up` starts, 1..=64.
    pub instances: usize,
    /// A connection on which no byte moves either way for so long is closed.
    pub idle_deadline: Duration,
    /// The same once one side has finished sending.
    pub half_closed_deadline: Duration,
    /// `TCP_USER_TIMEOUT` of both sides.
    pub user_timeout: Duration,
    /// Connections relayed at once, in all.
    pub max_connections: usize,
    /// The same per IPv4 address or IPv6 /64 of the client.
    pub max_connections_per_address: usize,
    /// 1 MiB pipes for `splice(2)`; 0: copy only.
    pub splice_pipes: usize,
    /// Time for one name to resolve.
    pub resolve_deadline: Duration,
    /// `[passthrough-relay.outward]`
    pub outward: Outward,
}

/// `[passthrough-relay.outward]`: exceptions from the address guard, for what forward-proxy asks for only.
/// `deny` wins over `allow`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outward {
    /// Networks opened although they are private.
    pub allow: NetworkSet,
    /// Networks closed although they are public.
    pub deny: NetworkSet,
}

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
