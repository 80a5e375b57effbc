//! The process as a whole: what it opens before its sandbox closes, and what it does until it is told to stop.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use common::config::{Config, Files, ForwardProxy, UserPattern};
use common::ipc::Nothing;
use common::ipc::directory::Directory;
use common::ipc::messages::forward_to_successor::HandedOn;
use common::ipc::receiver::{Arrival, Receiver};
use common::ipc::succession::Successor;
use common::net::client_limit::ClientLimit;
use common::process::Process;
use common::reload::Commit;
use common::startup::{Context, HasFigures, Opening, StartError};
use common::wiring::{FORWARD_TO_RELAY, FORWARD_TO_SUCCESSOR};
use common_http::framing::Limits;
use common_http::guarded::{Clock, Deadlines, SWEEP_INTERVAL, Watch};
use common_http::upstream::{DialError, PassedBody, Pool, PoolLimits};
use tokio::sync::Notify;

use crate::accept::accept;
use crate::access_log::Record;
use crate::authenticate::Authenticator;
use crate::authenticate::users::Users;
use crate::decide::Policy;
use crate::explain::explain;
use crate::metrics::Metrics;
use crate::outward::WayOut;
use crate::succession;

/// How long a successor that lives may take to say so.
const SHORTLY: Duration = Duration::from_millis(100);
/// How long a server may think about a request: a forward proxy does not know what its clients wait for.
const FIRST_BYTE: Duration = Duration::from_secs(300);
/// How long an answer may pause (long polling, event streams without keep-alive comments).
const BODY_IDLE: Duration = Duration::from_secs(300);
/// Idle connections kept per server.
pub const IDLE_PER_SERVER: usize = 16;
/// Servers that idle connections are kept for.
pub const MAX_SERVERS: usize = 1024;
/// An idle connection to a server is kept for `idle_deadline`, but never longer: strangers' servers end theirs early.
const LONGEST_IDLE: Duration = Duration::from_secs(30);
/// What hyper's read buffer must have beyond the largest head that the framing lets pass.
pub const BUFFER_SLACK: usize = 8 * 1024;

/// One configuration at work; a reload replaces it. A request is judged by the one that holds when it begins.
pub struct Generation {
    /// Who may go where.
    pub policy: Policy,
    /// Nobody may go anywhere without a user.
    pub require_user: bool,
    /// What a password is wanted for.
    pub realm: Arc<str>,
    /// Limits on heads.
    pub framing: Limits,
    /// For the first head.
    pub header_deadline: Duration,
    /// hyper's read buffer, in bytes.
    pub buffer: usize,
    /// Whether a line per request is written.
    pub log: bool,
}

/// What all connections share.
pub struct Proxy {
    current: RefCell<Rc<Generation>>,
    /// Who is who.
    pub authenticator: Rc<Authenticator>,
    /// To passthrough-relay.
    pub way_out: WayOut,
    /// Connections to servers, for requests in absolute form.
    pub pool: Pool<WayOut, PassedBody>,
    /// Deadlines of connections in hyper.
    pub watch: Watch,
    /// Places for connections.
    pub places: ClientLimit,
    /// Figures.
    pub metrics: Metrics,
    /// The end.
    pub stop: Stop,
}

/// Tells every connection that the process is to finish.
#[derive(Debug, Default)]
pub struct Stop {
    stopping: Cell<bool>,
    told: Notify,
    successor: RefCell<Option<Successor<HandedOn>>>,
}

impl Stop {
    /// Tells them, and where they may go on.
    pub fn stop(&self, successor: Option<Successor<HandedOn>>) {
        *self.successor.borrow_mut() = successor;
        self.stopping.set(true);
        self.told.notify_waiters();
    }

    /// Where connections may go on, once the process is to finish.
    pub fn successor(&self) -> Option<Successor<HandedOn>> {
        self.successor.borrow().clone().filter(Successor::is_there)
    }

    /// Waits until the process is to finish and connections may go on elsewhere.
    pub async fn leaving(&self) {
        self.stopping().await;
        if self.successor().is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits for it.
    pub async fn stopping(&self) {
        while !self.stopping.get() {
            self.told.notified().await;
        }
    }
}

impl Proxy {
    /// Starts the way out and the sweep of deadlines; inside the runtime.
    #[must_use]
    pub fn start(
        config: &ForwardProxy,
        policy: Policy,
        log: bool,
        authenticator: Rc<Authenticator>,
        directory: Directory,
        metrics: Metrics,
    ) -> Rc<Self> {
        let way_out = WayOut::start(directory, config, &metrics);
        let clock = Clock::new();
        let proxy = Rc::new(Self {
            current: RefCell::new(Rc::new(Generation::new(config, policy, log))),
            authenticator,
            pool: Pool::new(way_out.clone(), pool_limits(config), clock.clone()),
            way_out,
            watch: Watch::new(clock.clone(), deadlines(config)),
            places: ClientLimit::new(config.max_connections, config.max_connections_per_address),
            metrics,
            stop: Stop::default(),
        });
        tokio::task::spawn_local(sweep(Rc::clone(&proxy), clock));
        proxy
    }

    /// For what begins now.
    #[must_use]
    pub fn now(&self) -> Rc<Generation> {
        Rc::clone(&self.current.borrow())
    }

    /// Builds what another configuration needs. Tunnels that are open stay open, whatever the new rules say.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn prepare(self: &Rc<Self>, config: &Config, files: &Files) -> Result<impl FnOnce() + use<>, Vec<String>> {
        let new = &config.forward_proxy;
        let policy = Policy::open(config, files)?;
        let users = new.users_file.as_deref().map(|path| {
            let bytes = files.get(path).map_err(|error| vec![error])?;
            Users::from_bytes(bytes, path)
        });
        let users = users.transpose()?;
        if let Some(users) = &users {
            warn_of_strangers(new, users);
        }
        let users = self.authenticator.prepare(users).map_err(|error| vec![format!("no random bytes: {error}")])?;
        let (proxy, next) = (Rc::clone(self), Rc::new(Generation::new(new, policy, config.log.writes_access())));
        let new = new.clone();
        Ok(move || {
            users();
            *proxy.current.borrow_mut() = next;
            proxy.places.set_limits(new.max_connections, new.max_connections_per_address);
            proxy.watch.set_deadlines(deadlines(&new));
            proxy.pool.set_limits(pool_limits(&new));
            proxy.way_out.reload(&new);
        })
    }

    /// Writes a line, if lines are wanted.
    pub fn log(&self, record: &Record) {
        if self.now().log {
            record.write();
        }
    }

    /// Counts a destination that was not connected.
    pub fn count_dial(&self, error: &DialError) {
        match error {
            DialError::Denied(_) => self.metrics.guarded.up(),
            _ => self.metrics.dials_failed.up(),
        }
    }

    /// Gives connections to a successor, or lets go of those that are idle, and waits for the others. `patience` says for how long, a
    /// moment after the beginning.
    pub async fn drain(
        &self,
        successor: Option<Successor<HandedOn>>,
        patience: impl FnOnce(Option<&Successor<HandedOn>>) -> Duration,
    ) {
        self.stop.stop(successor.clone());
        if successor.is_none() {
            self.watch.expire_idle();
        }
        let busy = || self.places.taken() > 0 || self.way_out.pending() > 0;
        let finished = async {
            loop {
                while busy() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                let Some(successor) = &successor else { return };
                successor.settled().await; // what comes back is busy again
                if !busy() {
                    return;
                }
            }
        };
        let patience = async {
            tokio::time::sleep(SHORTLY).await; // whoever lives has said so by then
            tokio::time::sleep(patience(successor.as_ref()).saturating_sub(SHORTLY)).await;
        };
        tokio::select! {
            () = finished => {}
            () = patience => tracing::warn!("stopping with {} connections open", self.places.taken()),
        }
        if successor.is_some() {
            let (given, back) = (self.metrics.handed_on.get(), self.metrics.came_back.get());
            tracing::info!("{given} connections were handed on, {back} of them came back");
        }
    }
}

impl Generation {
    fn new(config: &ForwardProxy, policy: Policy, log: bool) -> Self {
        Self {
            policy,
            require_user: config.require_user,
            realm: Arc::clone(&config.realm),
            framing: Limits {
                head: config.max_header_bytes,
                request_line: config.max_header_bytes,
                headers: config.max_headers,
                target_wins: true,
                ..Limits::DEFAULT
            },
            header_deadline: config.header_deadline,
            buffer: config.max_header_bytes.saturating_add(BUFFER_SLACK),
            log,
        }
    }
}

fn pool_limits(config: &ForwardProxy) -> PoolLimits {
    PoolLimits {
        idle_per_endpoint: IDLE_PER_SERVER,
        idle: config.idle_deadline.min(LONGEST_IDLE),
        endpoints: MAX_SERVERS,
        connect: config.connect_deadline,
        first_byte: FIRST_BYTE,
        body_idle: BODY_IDLE,
        ..PoolLimits::default()
    }
}

fn deadlines(config: &ForwardProxy) -> Deadlines {
    Deadlines {
        first_byte: config.header_deadline,
        head: config.header_deadline,
        keep_alive: config.idle_deadline,
        ..Deadlines::default()
    }
}

/// All deadlines of all connections, looked at together.
async fn sweep(proxy: Rc<Proxy>, clock: Clock) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        clock.advance();
        proxy.watch.sweep();
        proxy.pool.sweep();
    }
}

/// Everything that was opened before the sandbox closed.
#[derive(Debug)]
pub struct Opened {
    config: Rc<Config>,
    policy: Policy,
    listeners: Vec<(Arc<str>, OwnedFd)>,
    directory: Directory,
    predecessor: OwnedFd,
    successor: Directory,
    authenticator: Rc<Authenticator>,
    metrics: Metrics,
}

impl HasFigures<Metrics> for Opened {
    fn figures(&self) -> Metrics {
        self.metrics.clone()
    }
}

/// What `--check` judges beyond the configuration: rules, the country file, the users file.
///
/// # Errors
/// Everything that is wrong, with file and line.
pub fn check(config: &Config) -> Result<(), Vec<String>> {
    let files = Files::read(&config.files, Process::ForwardProxy)?;
    Policy::open(config, &files)?;
    match &config.forward_proxy.users_file {
        Some(path) => Users::read(path).map(drop),
        None => Ok(()),
    }
}

/// Takes the listening sockets, opens the edge, reads the users.
///
/// # Errors
/// What is missing, and who can help.
pub fn open(opening: &mut Opening) -> Result<Opened, StartError> {
    let config = opening.config.clone();
    let mut listeners = Vec::new();
    for listener in &config.forward_proxy.listen {
        for socket in opening.listeners(&listener.descriptor_name())? {
            listeners.push((Arc::clone(&listener.name), socket));
        }
    }
    let directory = opening.edge_to(&FORWARD_TO_RELAY)?;
    let predecessor = opening.edge_from(&FORWARD_TO_SUCCESSOR)?;
    let successor = opening.edge_to(&FORWARD_TO_SUCCESSOR)?;
    let users = config.forward_proxy.users_file.as_deref().map(Users::read).transpose();
    let users = users.map_err(StartError::Refused)?;
    if let Some(users) = &users {
        warn_of_strangers(&config.forward_proxy, users);
    }
    let policy = Policy::open(&config, &opening.files(Process::ForwardProxy)?);
    let policy = policy.map_err(StartError::Refused)?;
    let metrics = Metrics::default();
    let authenticator = Authenticator::new(users, metrics.clone());
    let authenticator = authenticator.map_err(|error| StartError::Other(format!("no random bytes: {error}")))?;
    Ok(Opened { config, policy, listeners, directory, predecessor, successor, authenticator, metrics })
}

/// Rules about users that the file does not have match nobody: most often a slip of the pen.
fn warn_of_strangers(config: &ForwardProxy, users: &Users) {
    if users.is_empty() {
        tracing::warn!("the users file names nobody");
    }
    for rule in &config.access {
        for pattern in &rule.conditions.users {
            if let UserPattern::Named(name) = pattern
                && !users.has(name)
            {
                tracing::warn!(rule = &*rule.name, user = &**name, "a rule names a user who is not in the users file");
            }
        }
    }
}

/// Accepts until told to stop, then finishes what is under way.
pub async fn serve(opened: Opened, context: Context) {
    let Opened { config, policy, listeners, directory, predecessor, successor, authenticator, metrics } = opened;
    let proxy =
        Proxy::start(&config.forward_proxy, policy, config.log.writes_access(), authenticator, directory, metrics);
    context.on_explain({
        let proxy = Rc::clone(&proxy);
        move |question, config| std::future::ready(explain(&proxy, &config, &question))
    });
    context.on_reload({
        let proxy = Rc::clone(&proxy);
        move |config, files| {
            let prepared = proxy.prepare(&config, &files);
            std::future::ready(prepared.map(|commit| Box::new(commit) as Commit))
        }
    });
    let mut accepting = Vec::new();
    for (name, socket) in listeners {
        let proxy = Rc::clone(&proxy);
        let task = tokio::task::spawn_local(async move {
            if let Err(error) = accept(proxy, socket).await {
                tracing::error!(listener = &*name, "cannot accept any more: {error}");
            }
        });
        context.vital("accepting on a listener", task.abort_handle());
        accepting.push(task);
    }
    let from_predecessor = Receiver::heir(FORWARD_TO_SUCCESSOR.name, context.peers(&FORWARD_TO_SUCCESSOR), {
        let proxy = Rc::clone(&proxy);
        move |arrival: Arrival<HandedOn, Nothing>| succession::take(&proxy, arrival.parcel)
    });
    let letter_box = tokio::task::spawn_local(Rc::clone(&from_predecessor).serve(predecessor));
    context.vital("receiving on an edge", letter_box.abort_handle());
    drop(config);
    context.stopping().await;
    accepting.iter().for_each(tokio::task::JoinHandle::abort);
    from_predecessor.drain();
    let _ = letter_box.await; // our own end is closed: who is to find a successor must not find itself
    let successor = Successor::find(&FORWARD_TO_SUCCESSOR, successor, {
        let proxy = Rc::clone(&proxy);
        move |parcel| succession::came_back(&proxy, parcel)
    });
    proxy.drain(successor.await, |successor| Successor::patience(successor, &context.shared())).await;
}
