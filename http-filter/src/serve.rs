//! The process as a whole: what it opens before its sandbox closes, what all connections share, and the one sweep.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use common::config::{Config, ForwardedHeaders, HttpFilter};
use common::ipc::Nothing;
use common::ipc::directory::Directory;
use common::ipc::messages::router_to_filter::PlainHttp;
use common::ipc::messages::terminator_to_filter::Decrypted;
use common::ipc::receiver::{Arrival, Receiver};
use common::ipc::sender::{Sender, SenderLimits};
use common::net::client_limit::ClientLimit;
use common::startup::{Context, HasFigures, Opening, StartError};
use common::wiring::{FILTER_TO_RELAY, ROUTER_TO_FILTER, TERMINATOR_TO_FILTER};
use common_http::access::RuleSet;
use common_http::framing::Limits;
use common_http::guarded::{Clock, Deadlines, SWEEP_INTERVAL, Watch};
use common_http::headers::{Style, Underscores};
use tokio::sync::Notify;

use super::metrics::Metrics;
use super::receive;
use super::route::{Route, Routes};
use super::stages::access_list;
use super::upstream::ServerPool;
use super::upstream::dialer::RelayDialer;
use super::upstream::prepare::underscores;

/// How long requests under way may take when the process is told to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// What all connections share.
pub struct App {
    /// The process's section of the configuration.
    pub config: HttpFilter,
    /// One line per request.
    pub log: bool,
    /// Limits of the strict reading.
    pub framing: Limits,
    /// Policy on header names with `_`.
    pub underscores: Underscores,
    /// What the backend is told about the client.
    pub forwarded: Style,
    /// Access rules.
    pub access: RuleSet,
    /// Routes with their pools.
    pub routes: Vec<Route>,
    /// Places for connections.
    pub clients: ClientLimit,
    /// Deadlines of HTTP/1 connections and tunnels.
    pub watch_h1: Watch,
    /// Deadlines of HTTP/2 connections.
    pub watch_h2: Watch,
    /// Figures.
    pub metrics: Metrics,
    draining: Cell<bool>,
    drain: Notify,
}

impl App {
    /// Waits until the process is told to stop.
    pub async fn draining(&self) {
        while !self.draining.get() {
            self.drain.notified().await;
        }
    }

    /// Largest read buffer hyper may grow to: a whole head and some body.
    pub fn buffer_limit(&self) -> usize {
        (self.framing.head * 2).max(64 * 1024)
    }

    fn begin_drain(&self) {
        self.draining.set(true);
        self.drain.notify_waiters();
        self.watch_h1.expire_idle();
    }
}

/// Everything that was opened before the sandbox closed.
#[derive(Debug)]
pub struct Opened {
    config: Config,
    relay: Directory,
    router: Option<OwnedFd>,
    terminator: Option<OwnedFd>,
    metrics: Metrics,
}

impl HasFigures<Metrics> for Opened {
    fn figures(&self) -> Metrics {
        self.metrics.clone()
    }
}

/// Takes the receiving ends of its edges, opens the sending one.
pub fn open(opening: &mut Opening) -> Result<Opened, StartError> {
    let config = opening.config.clone();
    Ok(Opened {
        relay: opening.edge_to(&FILTER_TO_RELAY)?,
        router: ROUTER_TO_FILTER.is_used(&config).then(|| opening.edge_from(&ROUTER_TO_FILTER)).transpose()?,
        terminator: TERMINATOR_TO_FILTER
            .is_used(&config)
            .then(|| opening.edge_from(&TERMINATOR_TO_FILTER))
            .transpose()?,
        config,
        metrics: Metrics::default(),
    })
}

/// Serves until told to stop, then lets requests finish.
pub async fn serve(opened: Opened, context: Context) {
    let Opened { config, relay, router, terminator, metrics } = opened;
    let clock = Clock::new();
    let limits = SenderLimits { max_unacknowledged: config.http_filter.max_unacknowledged, ..SenderLimits::default() };
    let relay = Sender::start(FILTER_TO_RELAY.name, relay, limits, |_, _| {});
    let app = match app(&config, &relay, &clock, metrics) {
        Ok(app) => Rc::new(app),
        Err(error) => return tracing::error!("{error}"),
    };
    tokio::task::spawn_local(sweep(Rc::clone(&app), clock));

    let from_router = Receiver::new(ROUTER_TO_FILTER.name, context.peers(&ROUTER_TO_FILTER), {
        let app = Rc::clone(&app);
        move |arrival: Arrival<PlainHttp, Nothing>| receive::plain(&app, arrival.parcel)
    });
    let from_terminator = Receiver::new(TERMINATOR_TO_FILTER.name, context.peers(&TERMINATOR_TO_FILTER), {
        let app = Rc::clone(&app);
        move |arrival: Arrival<Decrypted, Nothing>| receive::decrypted(&app, arrival.parcel)
    });
    if let Some(socket) = router {
        tokio::task::spawn_local(Rc::clone(&from_router).serve(socket));
    }
    if let Some(socket) = terminator {
        tokio::task::spawn_local(Rc::clone(&from_terminator).serve(socket));
    }

    context.stopping().await;
    from_router.drain();
    from_terminator.drain();
    app.begin_drain();
    let finished = async {
        while app.metrics.connections.get() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(DRAIN, finished).await.is_err() {
        tracing::warn!("stopping with {} connections open", app.metrics.connections.get());
    }
}

fn app(
    config: &Config,
    relay: &Sender<common::ipc::messages::filter_to_relay::Dial, common::ipc::messages::filter_to_relay::Dialed>,
    clock: &Clock,
    metrics: Metrics,
) -> Result<App, String> {
    let filter = &config.http_filter;
    let framing = Limits {
        head: filter.max_header_bytes,
        request_line: filter.max_request_line,
        headers: filter.max_headers,
        ..Limits::DEFAULT
    };
    Ok(App {
        access: access_list::rules(filter)?,
        routes: routes(config, relay, clock)?,
        clients: ClientLimit::new(filter.max_connections, filter.max_connections_per_address),
        watch_h1: Watch::new(clock.clone(), deadlines(filter, filter.tunnel_idle_deadline)),
        watch_h2: Watch::new(clock.clone(), deadlines(filter, filter.idle_deadline)),
        underscores: underscores(filter.underscore_headers),
        forwarded: style(filter.forwarded),
        framing,
        log: config.log.access,
        config: filter.clone(),
        metrics,
        draining: Cell::new(false),
        drain: Notify::new(),
    })
}

fn style(choice: ForwardedHeaders) -> Style {
    let (x_forwarded, forwarded) = match choice {
        ForwardedHeaders::Both => (true, true),
        ForwardedHeaders::XForwarded => (true, false),
        ForwardedHeaders::Forwarded => (false, true),
        ForwardedHeaders::None => (false, false),
    };
    Style { x_forwarded, forwarded, ..Style::default() }
}

fn deadlines(filter: &HttpFilter, opaque_idle: Duration) -> Deadlines {
    Deadlines {
        first_byte: filter.first_byte_deadline,
        head: filter.header_deadline,
        keep_alive: filter.idle_deadline,
        body_window: filter.body_idle_deadline,
        body_bytes: 1,
        write: filter.body_idle_deadline,
        opaque_idle,
        ..Deadlines::default()
    }
}

/// Routes that lead to one pool share it.
fn routes(
    config: &Config,
    relay: &Sender<common::ipc::messages::filter_to_relay::Dial, common::ipc::messages::filter_to_relay::Dialed>,
    clock: &Clock,
) -> Result<Vec<Route>, String> {
    let filter = &config.http_filter;
    let mut pools: Vec<Rc<ServerPool>> = Vec::new();
    let mut routes = Vec::new();
    for (route, conditions) in filter.routes.iter().zip(Routes::new(config)?.0) {
        let known = pools.iter().find(|pool| pool.name == route.pool).cloned();
        let pool = match known {
            Some(pool) => pool,
            None => {
                let own = config.pool(&route.pool).ok_or_else(|| format!("there is no pool {}", route.pool))?;
                let pool = Rc::new(ServerPool::new(own, filter, RelayDialer(relay.clone()), clock.clone()));
                pools.push(Rc::clone(&pool));
                pool
            }
        };
        routes.push(Route::new(Arc::clone(&route.name), pool, route.host_header, conditions));
    }
    Ok(routes)
}

/// The one timer: moves the coarse clock on and enforces every deadline.
async fn sweep(app: Rc<App>, clock: Clock) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        clock.advance();
        app.watch_h1.sweep();
        app.watch_h2.sweep();
        let mut swept: Vec<&str> = Vec::new();
        for route in &app.routes {
            if !swept.contains(&&*route.pool.name) {
                swept.push(&route.pool.name);
                route.pool.sweep();
            }
        }
    }
}
