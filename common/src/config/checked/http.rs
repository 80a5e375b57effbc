//! The section of http-filter; a file each for the tables below it.

mod answers;
mod h2;
mod limit;
mod observe;
mod route;
mod web_attacks;

pub use answers::{Algorithm, Compression, CompressionLevel, ErrorPage, HeaderRule, HeaderRules, SecurityHeaders};
pub use h2::H2Limits;
pub use limit::{ConcurrencyLimit, KeyPart, LimitScope, RateLimit};
pub use observe::{Observe, RequestIdPolicy, Trace, TraceMode, TraceTrust};
pub use route::{
    HostHeader, HttpRoute, Redirect, RedirectTemplate, RedirectTo, Respond, RespondBody, Rewrite, RouteTarget, Split,
    SplitBy,
};
pub use web_attacks::{OverLimit, RejectOrPass, WebAttackExclude, WebAttackMode, WebAttackScope, WebAttacks};

use super::{AccessRule, Action};
use crate::config::pattern::NetworkSet;
use std::time::Duration;

/// `[http-filter]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpFilter {
    /// How many processes `bulkhead up` starts, 1..=64.
    pub instances: usize,
    /// Time until the first byte of the first request.
    pub first_byte_deadline: Duration,
    /// Time from the first byte of a request to the end of its header.
    pub header_deadline: Duration,
    /// Time a kept-alive client connection may be silent between requests.
    pub idle_deadline: Duration,
    /// Time until the first byte of the backend's answer, after the request was sent.
    pub response_deadline: Duration,
    /// Time without progress of a body, in either direction.
    pub body_idle_deadline: Duration,
    /// Bytes per second that a client must send of an HTTP/1 body that is waited for; 0: any progress will do.
    pub min_body_rate: u64,
    /// Bytes per second that a client must take of what waits for it; 0: any progress will do.
    pub min_answer_rate: u64,
    /// Time without a byte either way on an upgraded connection (WebSocket).
    pub tunnel_idle_deadline: Duration,
    /// Client connections at once, in all.
    pub max_connections: usize,
    /// The same per IPv4 address or IPv6 /64.
    pub max_connections_per_address: usize,
    /// Requests that are sent on or wait for a server, at once.
    pub max_requests: usize,
    /// Bytes of HTTP/2 answers that may wait for one IPv4 address or IPv6 /64.
    pub max_unsent_per_address: u64,
    /// Bytes of a request's header, request line included.
    pub max_header_bytes: usize,
    /// Header fields of a request.
    pub max_headers: usize,
    /// Bytes of a request line; never above `max_header_bytes`.
    pub max_request_line: usize,
    /// Bytes of a request's body; `None`: not limited (`max_body = 0`).
    pub max_body: Option<u64>,
    /// Requests of one client connection; `None`: not limited.
    pub max_requests_per_connection: Option<u64>,
    /// TLS 1.3 records sealed with one key.
    pub max_records_per_key: u64,
    /// HTTP/2 streams at once per connection.
    pub max_streams: u32,
    /// What a client may do on an HTTP/2 connection besides asking for things.
    pub h2: H2Limits,
    /// How often a request that is safe to repeat is tried again on another server.
    pub max_retries: u32,
    /// Deaths with a request in flight after which it is refused; 0: never.
    pub max_deaths: u32,
    /// Requests for a connection in flight per relay instance.
    pub max_unacknowledged: usize,
    /// Networks whose `Forwarded` and `X-Forwarded-*` are believed.
    pub trusted_proxies: NetworkSet,
    /// What happens to a path that can be read in two ways.
    pub path: PathPolicy,
    /// An HTTP/1 client that ends its sending side still gets its answer.
    pub answers_half_closed: bool,
    /// What happens to header names with an underscore.
    pub underscore_headers: UnderscoreHeaders,
    /// Which headers tell the backend about the client.
    pub forwarded: ForwardedHeaders,
    /// Request ids and traces.
    pub observe: Observe,
    /// `[[http-filter.access]]` in order; first match decides.
    pub access: Vec<AccessRule>,
    /// When no access rule matches.
    pub access_default: Action,
    /// `[[http-filter.rate-limit]]`; all that apply count.
    pub rate_limits: Vec<RateLimit>,
    /// `[[http-filter.concurrency-limit]]`; all that apply count.
    pub concurrency_limits: Vec<ConcurrencyLimit>,
    /// `[http-filter.web-attacks]`
    pub web_attacks: WebAttacks,
    /// `[[http-filter.route]]` in order; first match decides, none is a 404.
    pub routes: Vec<HttpRoute>,
    /// Changes to the header of every request that is sent on.
    pub request_headers: HeaderRules,
    /// Changes to the header of every answer.
    pub response_headers: HeaderRules,
    /// Security headers of every answer whose route says nothing of its own.
    pub security_headers: SecurityHeaders,
    /// Whether security headers replace those of the backend.
    pub security_headers_override: bool,
    /// `[[http-filter.error-page]]` in order.
    pub error_pages: Vec<ErrorPage>,
    /// `[http-filter.compression]`
    pub compression: Compression,
}

/// `http-filter.path`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathPolicy {
    /// Bring it to one form and forward that form.
    Normalise,
    /// Answer 400 when the form as sent differs in meaning from the normalised one.
    RejectAmbiguous,
}

/// `http-filter.underscore_headers`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnderscoreHeaders {
    /// Remove the field.
    Drop,
    /// Forward it.
    Keep,
    /// Answer 400.
    Refuse,
}

/// `http-filter.forwarded`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedHeaders {
    /// Both vocabularies.
    Both,
    /// `X-Forwarded-*` only.
    XForwarded,
    /// `Forwarded` only.
    Forwarded,
    /// Neither.
    None,
}
