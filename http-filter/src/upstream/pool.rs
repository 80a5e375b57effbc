//! The servers of a pool: choose one, send, and on a failed connect choose the next.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::config;
use common::net::balance::{Balancer, EjectionOptions, Pick, Policy};
use common_http::guarded::Clock;
use common_http::upstream::{Endpoint, H2Limits, Pool, PoolLimits, ResponseBody, SendError, Slot, Unanswered};
use http::Response;
use http::header::{self, HeaderValue};

use super::body::ClientBody;
use super::dialer::RelayDialer;
use super::prepare::{Outgoing, too_large};
use crate::app::App;
use crate::journey::Journey;
use crate::response::Refusal;
use crate::route::Route;

/// An ejected server is left out for this long at most, however often it fails.
const LONGEST_EJECTION: Duration = Duration::from_secs(300);

type Backend = Slot<RelayDialer, ClientBody>;
/// All backend connections that share limits.
pub type Connections = Pool<RelayDialer, ClientBody>;
/// An answer on its way back.
pub type Answer = Response<Streamed>;

/// What stands behind the head of an answer.
pub enum Streamed {
    /// A body; the server counts as busy until its end.
    Body(ResponseBody<ClientBody>, Option<Pick>),
    /// Nothing: the connection has switched protocols.
    Switched,
}

/// One pool of the configuration.
pub struct ServerPool {
    /// Its name.
    pub name: Arc<str>,
    servers: Vec<Server>,
    balancer: Balancer,
    connections: Connections,
    made_from: (config::Pool, [Duration; 2]),
}

struct Server {
    slot: Rc<Backend>,
    label: Box<str>,
    host: Option<HeaderValue>,
}

impl std::fmt::Debug for ServerPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerPool").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ServerPool {
    /// From the configuration.
    pub fn new(pool: &config::Pool, filter: &config::HttpFilter, dialer: RelayDialer, clock: Clock) -> Self {
        let limits = PoolLimits {
            idle_per_endpoint: pool.max_idle,
            idle: pool.idle_deadline,
            connect: pool.connect_deadline,
            first_byte: filter.response_deadline,
            body_idle: filter.body_idle_deadline,
            both_ways: filter.tunnel_idle_deadline,
            h2: pool.transport.h2.map(|h2| h2_limits(h2, pool.transport.tls.is_some())),
            ..PoolLimits::default()
        };
        let connections = Pool::new(dialer, limits, clock);
        let servers = pool.servers.iter().map(|server| Server::new(server, &connections)).collect();
        let weight = |server: &config::ServerAddress| u16::try_from(server.weight).unwrap_or(u16::MAX);
        let weights: Vec<u16> = pool.servers.iter().map(weight).collect();
        Self {
            name: Arc::clone(&pool.name),
            servers,
            balancer: Balancer::new(policy(pool.balance), ejection(pool.eject), &weights),
            connections,
            made_from: (pool.clone(), deadlines(filter)),
        }
    }

    /// Whether it would come out the same if it were made anew.
    pub fn is_made_from(&self, pool: &config::Pool, filter: &config::HttpFilter) -> bool {
        self.made_from == (pool.clone(), deadlines(filter))
    }

    /// HTTP/2 is spoken to its servers.
    pub fn speaks_h2(&self) -> bool {
        self.made_from.0.transport.h2.is_some()
    }

    /// The way to its servers.
    pub fn dialer(&self) -> &RelayDialer {
        self.connections.dialer()
    }

    /// Enforces the deadlines of all connections; called a few times a second.
    pub fn sweep(&self) {
        self.connections.sweep();
    }

    /// The only server needs no choice; otherwise the balancer's.
    fn pick(&self, tried: &[usize]) -> Option<(usize, Option<Pick>)> {
        if self.servers.len() == 1 {
            return tried.is_empty().then_some((0, None));
        }
        let pick = self.balancer.pick(tried, Instant::now())?;
        Some((pick.server, Some(pick)))
    }

    fn failed(&self, app: &App, index: usize, label: &str) {
        if let Some(time) = self.balancer.failed(index, Instant::now()) {
            app.metrics.ejections.up();
            tracing::warn!(pool = &*self.name, server = label, seconds = time.as_secs(), "left out");
        }
    }
}

impl Server {
    fn new(address: &config::ServerAddress, connections: &Connections) -> Self {
        let host = match &address.host {
            config::Host::Ip(ip) => ip.to_string(),
            config::Host::Name(name) => name.to_string(),
        };
        let endpoint = Endpoint::new(host, address.port);
        let label: Box<str> = endpoint.to_string().into();
        Self { slot: connections.slot(&endpoint), host: HeaderValue::from_str(&label).ok(), label }
    }
}

/// What a pool takes from the section: first byte and stalled body.
fn deadlines(filter: &config::HttpFilter) -> [Duration; 2] {
    [filter.response_deadline, filter.body_idle_deadline]
}

fn h2_limits(h2: config::PoolH2, secure: bool) -> H2Limits {
    H2Limits {
        secure,
        streams: h2.max_streams,
        stream_window: h2.stream_window,
        ping_interval: h2.ping_interval.unwrap_or(Duration::ZERO),
        ping_deadline: h2.ping_deadline,
    }
}

fn policy(balance: config::Balance) -> Policy {
    match balance {
        config::Balance::RoundRobin => Policy::RoundRobin,
        config::Balance::LeastConnections => Policy::LeastConnections,
    }
}

fn ejection(eject: Option<config::Ejection>) -> EjectionOptions {
    match eject {
        Some(eject) => EjectionOptions {
            failures: eject.after.get(),
            first: eject.duration,
            longest: LONGEST_EJECTION.max(eject.duration),
        },
        None => EjectionOptions { failures: 0, ..EjectionOptions::default() },
    }
}

/// Sends the request to the route's pool. Only a request of which not a byte was sent goes to a second server.
pub async fn send(app: &App, route: &Route, outgoing: Outgoing, journey: &mut Journey) -> Result<Answer, Refusal> {
    let pool = &route.pool;
    let Outgoing { mut request, meter, host_from_server } = outgoing;
    let mut tried = Vec::new();
    loop {
        let Some((index, pick)) = pool.pick(&tried) else { return Err(no_server(app, pool)) };
        let Some(server) = pool.servers.get(index) else { return Err(no_server(app, pool)) };
        if let (true, Some(host)) = (host_from_server, &server.host) {
            request.headers_mut().insert(header::HOST, host.clone());
        }
        journey.sent_to(&server.label, &meter);
        let Unanswered { error, request: unsent } = match server.slot.send_or_return(request).await {
            Ok(response) => {
                journey.connected(response.extensions());
                if pick.is_some() {
                    pool.balancer.succeeded(index);
                }
                return Ok(response.map(|body| Streamed::Body(body, pick)));
            }
            Err(unanswered) => unanswered,
        };
        if error.blames_backend() && pool.servers.len() > 1 {
            pool.failed(app, index, &server.label);
        }
        tried.push(index);
        match unsent {
            Some(again) if may_go_on(app, &error, tried.len(), pool.servers.len()) => {
                app.metrics.retries.up();
                request = *again;
            }
            _ if meter.is_over() => return Err(too_large(app)),
            _ => return Err(failed(app, pool, server, &error)),
        }
    }
}

fn may_go_on(app: &App, error: &SendError, tried: usize, servers: usize) -> bool {
    let retries = usize::try_from(app.config.max_retries).unwrap_or(usize::MAX);
    matches!(error, SendError::Dial(_)) && tried <= retries && tried < servers
}

fn failed(app: &App, pool: &ServerPool, server: &Server, error: &SendError) -> Refusal {
    if !matches!(error, SendError::Request(_)) {
        app.metrics.upstream_failed.up();
        tracing::warn!(pool = &*pool.name, server = &*server.label, "no answer: {error}");
    }
    Refusal {
        status: error.status(),
        reason: match error {
            SendError::Request(_) => "The body of the request could not be read to its end.",
            SendError::FirstByte | SendError::Stalled => "The server behind this proxy did not answer in time.",
            SendError::Dial(_) => "The server behind this proxy cannot be reached.",
            SendError::Closed(_) | SendError::Broken(_) => {
                "The server behind this proxy closed the connection before it had answered."
            }
            SendError::Protocol(_) => "The server behind this proxy did not answer with valid HTTP.",
        }
        .into(),
        rule: None,
        decision: error.label(),
        close: matches!(error, SendError::Request(_)),
    }
}

fn no_server(app: &App, pool: &ServerPool) -> Refusal {
    app.metrics.upstream_failed.up();
    tracing::warn!(pool = &*pool.name, "no server left to try");
    Refusal {
        status: http::StatusCode::SERVICE_UNAVAILABLE,
        reason: "No server behind this proxy can be reached.".into(),
        rule: None,
        decision: "no-server",
        close: false,
    }
}
