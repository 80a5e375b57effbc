//! Active health checks: each server is asked from time to time, by a task of its own that ends with the pool.
//!
//! Every check is a connection of its own, dialled by the relay like all others, so it also finds out whether the server takes connections.
//! The answer's status decides; its body is not read.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::rc::{Rc, Weak};
use std::time::Instant;

use common::config::{CheckKind, HealthCheck};
use common::net::balance::{Change, schedule};
use common_http::guarded::Clock;
use common_http::upstream::{Dialer, Endpoint, Pool, PoolLimits, Slot};
use http::header::{self, HeaderValue};
use http::{Method, Request};
use tokio::task::JoinHandle;

use super::body::ClientBody;
use super::dialer::RelayDialer;
use super::pool::{Connections, Server, ServerPool};
use crate::metrics::Metrics;

/// What the servers' logs show.
const USER_AGENT: HeaderValue = HeaderValue::from_static("bulkhead-health-check");

/// The checks of a pool.
pub struct Checks {
    how: Option<(HealthCheck, Connections)>,
    tasks: RefCell<Vec<JoinHandle<()>>>,
}

impl Checks {
    /// As configured; `None`: none. The dialler and the other limits are those of the pool.
    pub fn new(health: Option<&HealthCheck>, dialer: RelayDialer, limits: PoolLimits, clock: &Clock) -> Self {
        let how = health.map(|health| {
            // The one deadline of a check is around all of it; these only stand behind it.
            let late = health.timeout.saturating_mul(2);
            let limits = PoolLimits {
                idle_per_endpoint: 0,
                connect: health.timeout,
                first_byte: late,
                body_idle: late,
                ..limits
            };
            (health.clone(), Pool::new(dialer, limits, clock.clone()))
        });
        Self { how, tasks: RefCell::default() }
    }

    /// Begins, with a task for each server.
    pub fn start(&self, pool: &Rc<ServerPool>, metrics: &Metrics) {
        let Some((health, connections)) = &self.how else { return };
        let mut tasks = self.tasks.borrow_mut();
        for (index, server) in pool.servers.iter().enumerate() {
            let check = Check::new(health, server, connections);
            let watch = watch(Rc::downgrade(pool), index, check, metrics.clone());
            tasks.push(tokio::task::spawn_local(watch));
        }
    }

    /// Enforces deadlines; called a few times a second.
    pub fn sweep(&self) {
        if let Some((_, connections)) = &self.how {
            connections.sweep();
        }
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        self.tasks.get_mut().iter().for_each(JoinHandle::abort);
    }
}

/// What one server is asked.
struct Check {
    health: HealthCheck,
    endpoint: Endpoint,
    slot: Rc<Slot<RelayDialer, ClientBody>>,
    host: Option<HeaderValue>,
}

impl Check {
    fn new(health: &HealthCheck, server: &Server, connections: &Connections) -> Self {
        let own = health.host.as_deref().and_then(|host| HeaderValue::from_str(host).ok());
        let endpoint = server.slot.endpoint().clone();
        Self {
            slot: connections.slot(&endpoint),
            endpoint,
            host: own.or_else(|| server.host.clone()),
            health: health.clone(),
        }
    }

    /// Asks once. The error says what was not good.
    async fn ask(&self, dialer: impl AsyncFnOnce() -> Result<(), String>) -> Result<(), String> {
        let ask = async {
            match self.health.check {
                CheckKind::Connect => dialer().await,
                CheckKind::Http => self.request().await,
            }
        };
        match tokio::time::timeout(self.health.timeout, ask).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {} ms", self.health.timeout.as_millis())),
        }
    }

    async fn request(&self) -> Result<(), String> {
        let mut request = Request::new(ClientBody::default());
        if self.health.head {
            *request.method_mut() = Method::HEAD;
        }
        *request.uri_mut() = self.health.path.parse().map_err(|error| format!("pool.health.path: {error}"))?;
        if let Some(host) = &self.host {
            request.headers_mut().insert(header::HOST, host.clone());
        }
        request.headers_mut().insert(header::USER_AGENT, USER_AGENT);
        let response = self.slot.send(request).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        if self.health.statuses.iter().any(|range| range.contains(&status)) {
            Ok(())
        } else {
            Err(format!("status {status}"))
        }
    }
}

/// Asks one server for as long as the pool lives.
async fn watch(pool: Weak<ServerPool>, index: usize, check: Check, metrics: Metrics) {
    let random = RandomState::new();
    let mut pause = schedule::first(check.health.interval, random.hash_one(0_u64));
    for round in 1_u64.. {
        tokio::time::sleep(pause).await;
        let dial = async || {
            let deadline = Instant::now().checked_add(check.health.timeout).unwrap_or_else(Instant::now);
            let Some(pool) = pool.upgrade() else { return Ok(()) };
            let dialled = pool.checks().dial(&check.endpoint, deadline).await;
            dialled.map_err(|error| error.to_string())
        };
        let result = check.ask(dial).await;
        let Some(pool) = pool.upgrade() else { return };
        pool.was_checked(&metrics, index, &check.health, result);
        pause = schedule::next(check.health.interval, random.hash_one(round));
    }
}

impl Checks {
    async fn dial(&self, endpoint: &Endpoint, deadline: Instant) -> Result<(), common_http::upstream::DialError> {
        match &self.how {
            Some((_, connections)) => connections.dialer().dial(endpoint, deadline).await.map(drop),
            None => Ok(()),
        }
    }
}

impl ServerPool {
    fn was_checked(self: &Rc<Self>, metrics: &Metrics, index: usize, health: &HealthCheck, result: Result<(), String>) {
        metrics.checks.up();
        if result.is_err() {
            metrics.checks_failed.up();
        }
        let change = self.balancer.checked(index, result.is_ok(), [health.rise, health.fall], Instant::now());
        let (Some(change), Some(server)) = (change, self.servers.get(index)) else { return };
        match (change, result) {
            (Change::Down, result) => {
                metrics.servers_went_down.up();
                server.slot.close_idle();
                let why = result.err().unwrap_or_default();
                tracing::warn!(pool = &*self.name, server = &*server.label, "down: {why}");
            }
            (Change::Up, _) => {
                metrics.servers_came_up.up();
                tracing::info!(pool = &*self.name, server = &*server.label, "up");
                self.serve_queue();
            }
        }
    }
}
