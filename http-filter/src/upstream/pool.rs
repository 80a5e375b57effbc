//! The servers of a pool as http-filter uses them: their connections, what is known of them, who waits for them.
//!
//! What outlives a reload: a pool whose configuration has not changed stays as it is; of a changed one everything that is known of the
//! servers that stay (failures, checks, drains, requests under way), and its random key.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::budget::wide;
use common::config::{self, Balance, Files, HashOn};
use common::net::balance::{Balancer, Choice, Pick, ServerStatus, hash};
use common::observe::metrics::Held;
use common_http::guarded::Clock;
use common_http::upstream::{Endpoint, H2Limits, Pool, PoolLimits, ResponseBody, SendError, Slot};
use http::header::HeaderValue;
use http::{HeaderMap, Response, StatusCode};

use super::body::ClientBody;
use super::cookies;
use super::deadline::{Deadline, Deadlines};
use super::dialer::RelayDialer;
use super::health::Checks;
use super::queue::{Queue, Wish};
use super::retry::{self, Budget};
use super::sticky::{Key, Sticky};
use crate::app::App;
use crate::metrics::Metrics;

type Backend = Slot<RelayDialer, ClientBody>;
/// All backend connections that share limits.
pub type Connections = Pool<RelayDialer, ClientBody>;
/// An answer on its way back.
pub type Answer = Response<Streamed>;

/// What stands behind the head of an answer.
pub enum Streamed {
    /// A body; the server counts as busy until its end.
    Body(ResponseBody<ClientBody>, Busy),
    /// Nothing: the connection has switched protocols.
    Switched,
    /// An answer of our own, whole.
    Own(bytes::Bytes),
}

/// One pool of the configuration.
pub struct ServerPool {
    /// Its name.
    pub name: Arc<str>,
    pub(super) config: config::Pool,
    pub(super) servers: Vec<Server>,
    pub(super) balancer: Balancer,
    pub(super) budget: Budget,
    pub(super) clock: Clock,
    pub(super) sticky: Option<(Key, Sticky)>,
    queue: Queue<Busy>,
    deadlines: Rc<Deadlines>,
    connections: Connections,
    checks: Checks,
    inherited: Inherited,
}

/// What a pool takes from the section of http-filter.
#[derive(Debug, PartialEq, Eq)]
struct Inherited([Duration; 3]);

impl From<&config::HttpFilter> for Inherited {
    fn from(filter: &config::HttpFilter) -> Self {
        Self([filter.response_deadline, filter.body_idle_deadline, filter.tunnel_idle_deadline])
    }
}

/// One server.
pub struct Server {
    pub(super) slot: Rc<Backend>,
    pub(super) label: Box<str>,
    pub(super) host: Option<HeaderValue>,
}

/// A place at a server, taken for a request until the last byte of its answer. Giving it back serves the queue.
pub struct Busy {
    pick: Option<Pick>,
    pool: Rc<ServerPool>,
    /// Of the whole request.
    pub(super) deadline: Option<Deadline>,
    /// Its place among the requests of this process (`http-filter.max_requests`).
    _sent_on: Option<Held>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// As many requests as may be are under way in this process.
    Shed,
    /// All were tried or are being drained.
    Nobody,
    /// So many wait that nobody may join them.
    QueueFull,
    /// Waited for too long.
    TooLong,
}

impl std::fmt::Debug for ServerPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerPool").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ServerPool {
    /// From the configuration. `previous` is the pool of the same name before a reload.
    ///
    /// # Errors
    /// The key of the sticky cookie is not good.
    pub fn new(
        pool: &config::Pool,
        filter: &config::HttpFilter,
        files: &Files,
        dialer: RelayDialer,
        clock: Clock,
        previous: Option<&ServerPool>,
    ) -> Result<Self, String> {
        let connections = Pool::new(dialer.clone(), limits(pool, filter), clock.clone());
        let servers: Vec<Server> = pool.servers.iter().map(|server| Server::new(server, &connections)).collect();
        let weight = |server: &config::ServerAddress| u16::try_from(server.weight).unwrap_or(u16::MAX);
        let members = servers.iter().zip(&pool.servers).map(|(server, own)| (&*server.label, weight(own)));
        let balancer = Balancer::new(pool.into(), members, previous.map(|previous| &previous.balancer));
        let sticky = match &pool.sticky {
            Some(sticky) => {
                let known = previous.and_then(|previous| previous.sticky.as_ref()).map(|(key, _)| key);
                let key = Key::new(sticky, files, known)?;
                let made = Sticky::new(sticky, &key, &pool.name, servers.iter().map(|server| &*server.label))?;
                Some((key, made))
            }
            None => None,
        };
        Ok(Self {
            name: Arc::clone(&pool.name),
            checks: Checks::new(pool.health.as_ref(), dialer, limits(pool, filter), &clock),
            budget: Budget::new(&pool.retries),
            queue: Queue::default(),
            deadlines: Rc::default(),
            config: pool.clone(),
            inherited: filter.into(),
            servers,
            balancer,
            clock,
            sticky,
            connections,
        })
    }

    /// Whether it would come out the same if it were made anew.
    pub fn is_made_from(&self, pool: &config::Pool, filter: &config::HttpFilter, files: &Files) -> bool {
        let same_key = match (&pool.sticky, &self.sticky) {
            (Some(sticky), Some((key, _))) => Key::new(sticky, files, Some(key)).is_ok_and(|new| new == *key),
            _ => true,
        };
        let same_tls = self.connections.dialer().is_made_from(&pool.transport, files);
        self.config == *pool && self.inherited == filter.into() && same_key && same_tls
    }

    /// HTTP/2 is spoken to its servers, or would be if they chose it.
    pub fn speaks_h2(&self) -> bool {
        self.config.transport.h2.is_some()
    }

    /// WebSockets go to its servers over HTTP/2 (RFC 8441). Where a server may choose they go over HTTP/1.1, which all of them know.
    pub fn upgrades_over_h2(&self) -> bool {
        self.config.transport.h2.is_some_and(|h2| !h2.or_http1)
    }

    /// Its servers by their names, and how each is.
    pub fn describe(&self) -> Vec<(Box<str>, String)> {
        self.status().into_iter().map(|server| (server.label.clone(), server.in_words())).collect()
    }

    /// Begins the health checks; they end when the pool is dropped.
    pub fn start_checks(self: &Rc<Self>, metrics: &Metrics) {
        self.checks.start(self, metrics);
    }

    pub(super) fn checks(&self) -> &Checks {
        &self.checks
    }

    /// Enforces the deadlines of all connections and requests, and hands out what has become free; called a few times a second.
    pub fn sweep(self: &Rc<Self>) {
        self.connections.sweep();
        self.checks.sweep();
        self.deadlines.sweep(self.clock.now());
        for (index, server) in self.servers.iter().enumerate() {
            if self.balancer.is_draining(index) {
                server.slot.close_idle();
            }
        }
        self.serve_queue();
    }

    /// What the request wants of its server; the sticky cookie is taken out.
    pub fn wish(&self, client: IpAddr, tls: bool, headers: &mut HeaderMap) -> Wish {
        let hash = match &self.config.balance {
            Balance::Hash { on: HashOn::Client, .. } => Some(hash::address(client)),
            Balance::Hash { on: HashOn::Header(name), .. } => {
                headers.get(&**name).map(|value| hash::key(value.as_bytes()))
            }
            Balance::Hash { on: HashOn::Cookie(name), .. } => cookies::values(headers, name).next().map(hash::key),
            Balance::RoundRobin | Balance::LeastConnections | Balance::TwoChoices => None,
        };
        let prefer = self.sticky.as_ref().and_then(|(_, sticky)| sticky.take(headers));
        Wish { hash, prefer, tls }
    }

    /// The deadline of a request that begins now.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        let limit = u64::try_from(self.config.total_deadline.as_millis()).unwrap_or(u64::MAX);
        (limit > 0).then(|| self.deadlines.begin(self.clock.now().saturating_add(limit)))
    }

    /// A place at a server that was not tried, after a wait if need be; how long it was is added to `waited`.
    pub(super) async fn place(
        self: &Rc<Self>,
        app: &App,
        wish: &Wish,
        tried: &[usize],
        waited: &mut Option<Duration>,
    ) -> Result<Busy, NoPlace> {
        if app.metrics.sent_on.get() >= wide(app.config.max_requests) {
            return Err(NoPlace::Shed);
        }
        let sent_on = app.metrics.sent_on.hold();
        let mut busy = self.place_at_server(&app.metrics, wish, tried, waited).await?;
        busy._sent_on = Some(sent_on);
        Ok(busy)
    }

    async fn place_at_server(
        self: &Rc<Self>,
        metrics: &Metrics,
        wish: &Wish,
        tried: &[usize],
        waited: &mut Option<Duration>,
    ) -> Result<Busy, NoPlace> {
        self.serve_queue(); // who waits was here before
        match self.balancer.pick(&wish.ask(tried), self.clock.instant()) {
            Choice::Server(pick) => return Ok(self.busy(pick)),
            Choice::Nobody => return Err(NoPlace::Nobody),
            Choice::Full => {}
        }
        let crowd = &self.config.crowd;
        let place = self.queue.enter(*wish, tried, crowd.queue).ok_or(NoPlace::QueueFull)?;
        let _waiting = metrics.queued.hold();
        let began = Instant::now();
        let place = tokio::time::timeout(crowd.deadline, place).await;
        *waited = Some(waited.unwrap_or_default() + began.elapsed());
        match place {
            Ok(Ok(Some(busy))) => Ok(busy),
            Ok(_) => Err(NoPlace::Nobody),
            Err(_) => Err(NoPlace::TooLong),
        }
    }

    fn busy(self: &Rc<Self>, pick: Pick) -> Busy {
        Busy { pick: Some(pick), pool: Rc::clone(self), deadline: None, _sent_on: None }
    }

    pub(super) fn serve_queue(self: &Rc<Self>) {
        if !self.queue.is_empty() {
            self.queue.serve(&self.balancer, self.clock.instant(), |pick| self.busy(pick));
        }
    }

    /// An answer came. Whether that speaks for the server is for `eject_on` to say.
    pub(super) fn answered(&self, metrics: &Metrics, index: usize, status: StatusCode) {
        let counts_5xx = self.config.eject.is_some_and(|eject| eject.on.status_5xx);
        if counts_5xx && status.is_server_error() {
            self.blame(metrics, index);
        } else {
            self.balancer.succeeded(index, self.clock.instant());
        }
    }

    /// No answer came.
    pub(super) fn failed(&self, metrics: &Metrics, index: usize, error: &SendError) {
        if self.config.eject.is_some_and(|eject| retry::is_failure(&eject.on, error)) {
            self.blame(metrics, index);
        }
    }

    fn blame(&self, metrics: &Metrics, index: usize) {
        // The only server is used whatever it does.
        if self.servers.len() < 2 {
            return;
        }
        if let Some(time) = self.balancer.failed(index, self.clock.instant()) {
            metrics.ejections.up();
            let server = self.servers.get(index).map(|server| &*server.label);
            tracing::warn!(pool = &*self.name, server, seconds = time.as_secs(), "left out");
        }
    }

    /// Gives a server nothing new, or takes that back. `false`: the pool has no such server.
    pub fn drain(self: &Rc<Self>, server: &str, drain: bool) -> bool {
        let known = self.balancer.drain(server, drain, Instant::now());
        if known {
            let what = if drain { "draining: it gets nothing new" } else { "no longer draining" };
            tracing::info!(pool = &*self.name, server, "{what}");
            self.serve_queue();
        }
        known
    }

    /// Who chooses among its servers.
    pub fn balancer(&self) -> &Balancer {
        &self.balancer
    }

    /// Requests that wait for a free server.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// What is known of each server.
    pub fn status(&self) -> Vec<ServerStatus> {
        self.balancer.status(Instant::now())
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

impl Busy {
    /// Position of the server in its pool.
    pub fn server(&self) -> usize {
        self.pick.as_ref().map_or(usize::MAX, |pick| pick.server)
    }

    /// Whether the request has taken longer than it may; if not, the task is woken when it has.
    pub fn is_overdue(&self, cx: &std::task::Context<'_>) -> bool {
        self.deadline.as_ref().is_some_and(|deadline| deadline.is_over(cx))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        drop(self.pick.take());
        self.pool.serve_queue();
    }
}

fn h2_limits(h2: config::PoolH2, secure: bool) -> H2Limits {
    H2Limits {
        or_http1: h2.or_http1,
        secure,
        streams: h2.max_streams,
        stream_window: h2.stream_window,
        ping_interval: h2.ping_interval.unwrap_or(Duration::ZERO),
        ping_deadline: h2.ping_deadline,
    }
}

fn limits(pool: &config::Pool, filter: &config::HttpFilter) -> PoolLimits {
    PoolLimits {
        idle_per_endpoint: pool.max_idle,
        idle: pool.idle_deadline,
        age: pool.max_age,
        connect: pool.connect_deadline,
        first_byte: filter.response_deadline,
        body_idle: filter.body_idle_deadline,
        both_ways: filter.tunnel_idle_deadline,
        h2: pool.transport.h2.map(|h2| h2_limits(h2, pool.transport.tls.is_some())),
        ..PoolLimits::default()
    }
}
