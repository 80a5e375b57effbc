//! How the servers of a pool are chosen, watched, limited and tried again.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// `balance` of a pool
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// In turn, by weight.
    RoundRobin,
    /// The server with the fewest connections for its weight.
    LeastConnections,
    /// The better of two at random.
    TwoChoices,
    /// The same key meets the same server.
    Hash {
        /// What the key is.
        on: HashOn,
        /// Percent of its fair share that a server may hold before keys go elsewhere; 0: any.
        balance_factor: u32,
    },
}

/// `hash_on` of a pool
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashOn {
    /// The client's address.
    Client,
    /// The first value of a request header (lower case).
    Header(Arc<str>),
    /// The value of a cookie.
    Cookie(Arc<str>),
}

/// `eject_after`, `eject_for`, `eject_on` and `max_ejected` of a pool
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Consecutive failures.
    pub after: std::num::NonZeroU32,
    /// How long the server is left out.
    pub duration: Duration,
    /// What counts.
    pub on: EjectOn,
    /// Percent of the servers that may be left out at a time.
    pub max_percent: u32,
}

/// `eject_on` of a pool: what counts as a failure of the server
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EjectOn {
    /// It cannot be connected to.
    pub connect: bool,
    /// It does not answer in time.
    pub timeout: bool,
    /// It closes the connection instead of an answer, or answers with what is not HTTP.
    pub error: bool,
    /// It answers with a status from 500 to 599.
    pub status_5xx: bool,
}

/// `max_connections`, `max_connections_per_server`, `queue` and `queue_deadline` of a pool
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// Requests under way in the pool; 0: any number.
    pub pool: usize,
    /// The same for each server.
    pub server: usize,
    /// Requests that wait.
    pub queue: usize,
    /// How long they do.
    pub deadline: Duration,
}

/// `max_retries`, `retry_on`, `retry_budget` and `retry_min` of a pool
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Further servers for one request; `None`: as `http-filter.max_retries` says.
    pub max: Option<u32>,
    /// After a connect that came to nothing.
    pub on_connect: bool,
    /// After a connection that closed before anything of the answer came.
    pub on_closed: bool,
    /// After an answer that did not begin in time.
    pub on_timeout: bool,
    /// Percent of the requests that may be tried again.
    pub budget: u32,
    /// So many a second in any case.
    pub at_least: u32,
}

/// `[pool.sticky]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sticky {
    /// Name of the cookie.
    pub cookie: Arc<str>,
    /// File whose contents are the key; `None`: a random key of this start.
    pub key: Option<PathBuf>,
    /// `Path` of the cookie.
    pub path: Arc<str>,
    /// `Max-Age`; `None`: until the browser closes.
    pub max_age: Option<Duration>,
    /// `SameSite`.
    pub same_site: SameSite,
    /// `Secure` also where the client came without TLS (a load balancer ends it).
    pub always_secure: bool,
}

/// `same_site` of a sticky cookie
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// Not even with links from elsewhere.
    Strict,
    /// Not with requests that other sites make.
    Lax,
    /// Always; browsers want `Secure` with it.
    None,
}

/// `[pool.health]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// A whole request, or only whether a connection is taken.
    pub check: CheckKind,
    /// `HEAD` instead of `GET`.
    pub head: bool,
    /// Target of the request.
    pub path: Arc<str>,
    /// `Host`; `None`: the server's address.
    pub host: Option<Arc<str>>,
    /// Statuses that mean health.
    pub statuses: Vec<RangeInclusive<u16>>,
    /// Between the end of one check and the beginning of the next; moved by up to a tenth at random.
    pub interval: Duration,
    /// For a whole check.
    pub timeout: Duration,
    /// Good checks in a row that bring a server back.
    pub rise: u32,
    /// Bad checks in a row that take it out.
    pub fall: u32,
    /// Servers count as down until the first good check.
    pub start_down: bool,
}

impl HealthCheck {
    /// Whether one check may take longer than the time between two.
    pub fn is_slower_than_its_interval(&self) -> bool {
        self.timeout > self.interval
    }
}

/// `check` of `[pool.health]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// A request and its status.
    Http,
    /// A connection.
    Connect,
}
