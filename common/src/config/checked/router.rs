//! The sections of the way in: `[sni-router]`, its listeners, access rules and fallbacks, and `[[route]]`.

use super::{AccessRule, Action, descriptor_name};
use crate::config::pattern::{NamePattern, NetworkSet};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// `[sni-router]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SniRouter {
    /// How many processes `bulkhead up` starts, 1..=64.
    pub instances: usize,
    /// Longest ClientHello, in bytes, over all its TLS records.
    pub client_hello_limit: usize,
    /// Time from accept until the ClientHello must be whole.
    pub client_hello_deadline: Duration,
    /// Connections whose hello is not whole yet, in all.
    pub max_hellos: usize,
    /// The same per IPv4 address or IPv6 /64.
    pub max_hellos_per_address: usize,
    /// New connections per address; `None`: not limited (`connection_rate = 0`).
    pub connection_rate: Option<ConnectionRate>,
    /// How long a connection may wait for a receiver.
    pub hand_over_deadline: Duration,
    /// Hand-overs in flight per receiving instance.
    pub max_unacknowledged: usize,
    /// Connections that wait for a receiver before accepting stops.
    pub max_waiting: usize,
    /// `[[sni-router.listen]]`
    pub listen: Vec<Listener>,
    /// `[sni-router.otherwise]`
    pub otherwise: Otherwise,
    /// `[[sni-router.access]]` in order; first match decides.
    pub access: Vec<AccessRule>,
    /// When no access rule matches.
    pub access_default: Action,
}

/// `connection_rate` and `connection_burst`: a GCRA bucket per IPv4 address or IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionRate {
    /// New connections per second in the long run.
    pub per_second: NonZeroU32,
    /// How many may come at once.
    pub burst: NonZeroU32,
}

/// `[[sni-router.listen]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Unique over all listeners of the file; 1 to 64 letters, digits, `-`, `_`, `.`.
    pub name: Arc<str>,
    /// At least one; each address once in the whole file. IPv6 listeners are v6-only.
    pub addresses: Vec<SocketAddr>,
    /// What clients speak here.
    pub protocol: ListenProtocol,
    /// Networks that must send a PROXY header; nobody else may.
    pub proxy_protocol_from: NetworkSet,
    /// Time from accept until the PROXY header must be whole.
    pub proxy_protocol_deadline: Duration,
    /// Length of the kernel's accept queue.
    pub backlog: u32,
    /// How long the kernel keeps a connection to itself on which nothing has been sent. Zero: not at all.
    pub defer_accept: Duration,
}

/// `protocol` of a listener of sni-router
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenProtocol {
    /// TLS: the ClientHello decides.
    Tls,
    /// Plain HTTP: the socket goes to http-filter.
    Http,
}

/// `[sni-router.otherwise]`: what happens when no route decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otherwise {
    /// A hello without server name.
    pub no_sni: Fallback,
    /// A server name that no route has.
    pub unknown_name: Fallback,
    /// Not a well-formed hello or server name.
    pub malformed: Refusal,
    /// Something else than TLS on a TLS listener.
    pub not_tls: NotTls,
}

/// What to do with a sound hello that no route has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// With a TLS alert.
    Refuse,
    /// Without a word.
    Close,
    /// Hand it to this pool.
    Passthrough(Arc<str>),
    /// Terminate it, with the first site's certificate unless a site has the name.
    Terminate,
}

/// How to turn a client away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// With a TLS alert that names the reason (`refuse`, in a route `alert`).
    Alert,
    /// Without a word.
    Close,
}

/// What to do with something else than TLS on a TLS listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTls {
    /// Plain HTTP gets a clear 400, everything else is closed.
    Refuse,
    /// Without a word.
    Close,
    /// Plain HTTP GET or HEAD gets a 308 to `https://`, everything else as `Refuse`.
    Redirect,
    /// Hand it to this pool.
    Passthrough(Arc<str>),
}

/// `[[route]]`. For one listener and one server name the order is: routes whose `alpn` the hello offers, then those
/// without `alpn`; within each an exact name before the longest wildcard, routes without names last; what is still equal
/// (two `alpn` lists the hello offers something of) is decided by the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Unique; appears in logs.
    pub name: Arc<str>,
    /// Exact names and wildcards; may be empty only when `alpn` is not: then any name, and none.
    pub server_names: Vec<NamePattern>,
    /// The hello must offer one of these; empty: whatever it offers.
    pub alpn: Vec<Arc<str>>,
    /// TLS listeners by name; empty: all.
    pub listen: Vec<Arc<str>>,
    /// What happens.
    pub action: RouteAction,
    /// 1-based line of the file in which the route begins.
    pub line: usize,
}

/// Exactly one of `passthrough`, `terminate` and `refuse`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteAction {
    /// The relay connects it to this pool, unopened.
    Passthrough(Arc<str>),
    /// tls-terminator, then http-filter.
    Terminate,
    /// Turned away.
    Refuse(Refusal),
}

impl Listener {
    /// The name its sockets carry in `LISTEN_FDNAMES`: `listen-<name>`.
    pub fn descriptor_name(&self) -> String {
        descriptor_name(&self.name)
    }
}
