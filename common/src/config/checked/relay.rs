//! The section of the way out, `[passthrough-relay]`.

use crate::config::pattern::NetworkSet;
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
