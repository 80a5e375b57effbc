//! The section of forward-proxy, its listeners and its access rules.

use super::{AccessRule, Action, descriptor_name};
use crate::config::pattern::PortSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// `[forward-proxy]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardProxy {
    /// How many processes `bulkhead up` starts, 1..=64.
    pub instances: usize,
    /// Time a kept-alive client connection may be silent between requests.
    pub idle_deadline: Duration,
    /// Time from accept, or from the first byte of a later request, to the end of the header.
    pub header_deadline: Duration,
    /// Time to reach a destination, name resolution included.
    pub connect_deadline: Duration,
    /// Client connections at once, in all; tunnels that were handed to the relay are counted there.
    pub max_connections: usize,
    /// The same per IPv4 address or IPv6 /64.
    pub max_connections_per_address: usize,
    /// Bytes of a request's header, request line included.
    pub max_header_bytes: usize,
    /// Header fields of a request.
    pub max_headers: usize,
    /// Requests and hand-overs in flight per relay instance.
    pub max_unacknowledged: usize,
    /// Lines `name:hash`; `None`: there are no users. A relative path has the directory of the file in front.
    pub users_file: Option<PathBuf>,
    /// Realm of the authentication challenge; printable ASCII without quotes and backslashes.
    pub realm: Arc<str>,
    /// Whether a client without valid credentials is turned away before any rule; only true with a `users_file`.
    pub require_user: bool,
    /// Ports that are open when no rule matches and `access_default` allows; every other port needs a rule.
    pub ports: PortSet,
    /// When no access rule matches, for `ports`.
    pub access_default: Action,
    /// `[[forward-proxy.listen]]`
    pub listen: Vec<ForwardListener>,
    /// `[[forward-proxy.access]]` in order; first match decides.
    pub access: Vec<AccessRule>,
}

/// `[[forward-proxy.listen]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardListener {
    /// Unique over all listeners of the file; 1 to 64 letters, digits, `-`, `_`, `.`.
    pub name: Arc<str>,
    /// At least one; each address once in the whole file. IPv6 listeners are v6-only.
    pub addresses: Vec<SocketAddr>,
    /// Length of the kernel's accept queue.
    pub backlog: u32,
    /// How long the kernel keeps a connection to itself on which nothing has been sent. Zero: not at all.
    pub defer_accept: Duration,
}

impl ForwardListener {
    /// The name its sockets carry in `LISTEN_FDNAMES`: `listen-<name>`.
    pub fn descriptor_name(&self) -> String {
        descriptor_name(&self.name)
    }
}
