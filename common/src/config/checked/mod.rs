//! What the program works with: the configuration after every check.
//!
//! A value of these types cannot hold an invalid state: names are names, limits are in their range, a pool or a listener
//! that is named exists. Each process takes its own part and drops the rest. Durations are `Duration`, sizes are bytes.
//! Field names follow the keys of the file, see `docs/configuration.md`.

mod access;
mod forward;
mod http;
mod log;
mod metrics;
mod pool;
mod relay;
mod router;
mod terminator;
mod tls_policy;

pub use access::{Access, AccessRule, Conditions, Country, Days, Destination, Hours, UserPattern};
pub use forward::{ForwardListener, ForwardProxy};
pub use http::{
    Algorithm, Compression, CompressionLevel, ConcurrencyLimit, ErrorPage, ForwardedHeaders, H2Limits, HeaderRule,
    HeaderRules, HostHeader, HttpFilter, HttpRoute, KeyPart, LimitScope, Observe, OverLimit, PathPolicy, RateLimit,
    Redirect, RedirectTemplate, RedirectTo, RejectOrPass, RequestIdPolicy, Respond, RespondBody, Rewrite, RouteTarget,
    SecurityHeaders, Split, SplitBy, Trace, TraceMode, TraceTrust, UnderscoreHeaders, WebAttackExclude, WebAttackMode,
    WebAttackScope, WebAttacks,
};
pub use log::{AccessFields, Log, LogFormat, LogLevel};
pub use metrics::MetricsPage;
pub use pool::{
    Balance, CheckKind, Crowd, EjectOn, Ejection, HashOn, HealthCheck, Pool, PoolH2, PoolTls, Retries, SameSite,
    SendProxy, Sticky, Transport,
};
pub use relay::{Outward, Relay};
pub use router::{
    ConnectionRate, Fallback, ListenProtocol, Listener, NotTls, Otherwise, Refusal, Route, RouteAction, SniRouter,
};
pub use terminator::{CertificateFiles, ClientAuth, Handoff, Site, SiteAlpn, Terminator, TlsVersion};
pub use tls_policy::{AllowedNames, HandshakeRate, IdentityHeaders, Revocation, Tickets, TlsSuite};

pub use super::files::FileReference;

use std::path::PathBuf;
use std::time::Duration;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `[bulkhead]`: what all processes share.
    pub bulkhead: Shared,
    /// `[log]`
    pub log: Log,
    /// `[metrics]`: the page of figures that `bulkhead up` serves.
    pub metrics: MetricsPage,
    /// `[access]`: what all access rules share.
    pub access: Access,
    /// `[sni-router]`, its listeners, fallbacks and access rules.
    pub sni_router: SniRouter,
    /// `[[route]]`: which server name goes where. No two decide the same hello.
    pub routes: Vec<Route>,
    /// `[[pool]]`: groups of servers; names are unique.
    pub pools: Vec<Pool>,
    /// `[passthrough-relay]`
    pub passthrough_relay: Relay,
    /// `[tls-terminator]`
    pub tls_terminator: Terminator,
    /// `[[site]]`: names that are terminated here. The first one also serves clients that name none of them, where
    /// `[sni-router.otherwise]` lets such clients in (`terminate = true`).
    pub sites: Vec<Site>,
    /// `[http-filter]`, its access rules and routes.
    pub http_filter: HttpFilter,
    /// `[forward-proxy]`, its listeners and access rules.
    pub forward_proxy: ForwardProxy,
    /// Every file that the configuration names, in its order. [`super::Files`] reads those of one process.
    pub files: Vec<FileReference>,
}

/// `[bulkhead]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// Directory of the IPC and control sockets; absolute.
    pub runtime_dir: PathBuf,
    /// What happens when a layer of the sandbox does not hold.
    pub sandbox: SandboxMode,
    /// How long a process whose successor serves waits for what it cannot hand on.
    pub drain_deadline: Duration,
    /// The same while nobody else serves.
    pub stop_deadline: Duration,
    /// Which user the processes become when they were started as root.
    pub users: Users,
}

/// `bulkhead.sandbox`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxMode {
    /// Apply what the machine offers, report the rest.
    BestEffort,
    /// Refuse to serve unless every layer holds.
    Strict,
}

/// `bulkhead.users`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Users {
    /// `bulkhead-<process>`; when that user does not exist, a numeric user of its own.
    PerProcess,
}

/// The verdict of an access rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum Action {
    Allow,
    Deny,
}

fn descriptor_name(listener: &str) -> String {
    format!("listen-{listener}")
}

impl Config {
    /// The pool of that name. Every pool name inside a `Config` has one.
    pub fn pool(&self, name: &str) -> Option<&Pool> {
        self.pools.iter().find(|pool| *pool.name == *name)
    }

    /// Whether connections may be passed to the pool of that name without being opened.
    pub fn passes_to(&self, pool: &str) -> bool {
        let otherwise = &self.sni_router.otherwise;
        let by_route = |route: &Route| matches!(&route.action, RouteAction::Passthrough(own) if **own == *pool);
        let by_name = |other: &Fallback| matches!(other, Fallback::Passthrough(own) if **own == *pool);
        self.routes.iter().any(by_route)
            || [&otherwise.no_sni, &otherwise.unknown_name].into_iter().any(by_name)
            || matches!(&otherwise.not_tls, NotTls::Passthrough(own) if **own == *pool)
    }

    /// Whether some TLS connection may reach tls-terminator.
    pub fn terminates(&self) -> bool {
        let otherwise = &self.sni_router.otherwise;
        self.listens(ListenProtocol::Tls)
            && (self.routes.iter().any(|route| route.action == RouteAction::Terminate)
                || otherwise.no_sni == Fallback::Terminate
                || otherwise.unknown_name == Fallback::Terminate)
    }

    /// Whether some connection may be passed through unopened.
    pub fn passes_through(&self) -> bool {
        let otherwise = &self.sni_router.otherwise;
        self.listens(ListenProtocol::Tls)
            && (self.routes.iter().any(|route| matches!(route.action, RouteAction::Passthrough(_)))
                || matches!(otherwise.no_sni, Fallback::Passthrough(_))
                || matches!(otherwise.unknown_name, Fallback::Passthrough(_))
                || matches!(otherwise.not_tls, NotTls::Passthrough(_)))
    }

    /// Whether any listener speaks this.
    pub fn listens(&self, protocol: ListenProtocol) -> bool {
        self.sni_router.listen.iter().any(|listener| listener.protocol == protocol)
    }

    /// Which processes have work in this configuration and how many instances of each are wanted, in the order in which
    /// they are started: receivers before senders, so that nothing waits.
    pub fn needed(&self) -> Vec<(&'static str, usize)> {
        let forward = !self.forward_proxy.listen.is_empty();
        let filter = self.terminates() || self.listens(ListenProtocol::Http);
        [
            ("passthrough-relay", self.passes_through() || filter || forward, self.passthrough_relay.instances),
            ("http-filter", filter, self.http_filter.instances),
            ("tls-terminator", self.terminates(), self.tls_terminator.instances),
            ("forward-proxy", forward, self.forward_proxy.instances),
            ("sni-router", !self.sni_router.listen.is_empty(), self.sni_router.instances),
        ]
        .into_iter()
        .filter(|(_, needed, _)| *needed)
        .map(|(name, _, instances)| (name, instances))
        .collect()
    }
}
