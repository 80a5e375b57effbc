//! The process as a whole: what it opens before its sandbox closes, and what it does until it is told to stop.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use common::config::{self, Config, Files, ListenProtocol, Listener, NetworkSet};
use common::net::client_limit::ClientLimit;
use common::process::Process;
use common::reload::Commit;
use common::startup::{Context, HasFigures, Opening, StartError};
use common::wiring::{Edge, ROUTER_TO_FILTER, ROUTER_TO_RELAY, ROUTER_TO_TERMINATOR};
use common_access::{Environment, Place, RuleSet};

use super::accept::accept;
use super::admission::RateLimit;
use super::explain::explain;
use super::hand_over::{Directories, HandOver};
use super::metrics::Metrics;
use super::route::Routes;

/// What one listener does with its connections.
#[derive(Debug)]
pub struct Gate {
    /// Name of the listener.
    pub name: Arc<str>,
    /// TLS or plain HTTP.
    pub protocol: ListenProtocol,
    /// Who owes a PROXY header.
    pub proxy_from: NetworkSet,
    /// How long it may take.
    pub proxy_deadline: Duration,
    /// Who may come in.
    pub access: Rc<RuleSet>,
    /// Where a ClientHello goes.
    pub routes: Routes,
    /// What becomes of one that breaks a rule.
    pub malformed: config::Refusal,
    /// What becomes of something else.
    pub not_tls: config::NotTls,
}

/// A listener: what holds for the connections that it accepts from now on. A reload replaces it.
#[derive(Debug)]
pub struct Door(RefCell<Rc<Gate>>);

impl Door {
    /// For a connection that begins now.
    pub fn gate(&self) -> Rc<Gate> {
        Rc::clone(&self.0.borrow())
    }
}

/// What all listeners share.
#[derive(Debug)]
pub struct Router {
    /// Bytes of a ClientHello at most.
    pub hello_limit: Cell<usize>,
    /// How long it may take.
    pub hello_deadline: Cell<Duration>,
    /// Connections per second and client.
    pub rate: RefCell<Option<RateLimit>>,
    /// ClientHellos in progress.
    pub in_progress: ClientLimit,
    /// The way on.
    pub hand_over: HandOver,
    /// Figures.
    pub metrics: Metrics,
}

/// Everything that was opened before the sandbox closed.
#[derive(Debug)]
pub struct Opened {
    config: Rc<Config>,
    listeners: Vec<(Rc<Door>, Vec<OwnedFd>)>,
    directories: Directories,
    metrics: Metrics,
}

impl HasFigures<Metrics> for Opened {
    fn figures(&self) -> Metrics {
        self.metrics.clone()
    }
}

/// Takes the listening sockets, opens the edges, builds the tables.
pub fn open(opening: &mut Opening) -> Result<Opened, StartError> {
    if let Err(error) = common::sys::socket::use_batch_scheduling() {
        tracing::debug!("batch scheduling is not available: {error}");
    }
    let config = opening.config.clone();
    let access = rules(&config, &opening.files(Process::SniRouter)?);
    let access = Rc::new(access.map_err(StartError::Refused)?);
    let mut listeners = Vec::new();
    for listener in &config.sni_router.listen {
        let sockets = opening.listeners(&listener.descriptor_name())?;
        let gate = gate(&config, listener, Rc::clone(&access)).map_err(|error| StartError::Refused(vec![error]))?;
        listeners.push((Rc::new(Door(RefCell::new(Rc::new(gate)))), sockets));
    }
    let mut edge = |edge: &Edge| edge.is_used(&config).then(|| opening.edge_to(edge)).transpose();
    let directories = Directories {
        relay: edge(&ROUTER_TO_RELAY)?,
        terminator: edge(&ROUTER_TO_TERMINATOR)?,
        filter: edge(&ROUTER_TO_FILTER)?,
    };
    Ok(Opened { config, listeners, directories, metrics: Metrics::default() })
}

/// What `--check` judges beyond the configuration: the access rules and the country file.
///
/// # Errors
/// Everything that is wrong.
pub fn check(config: &Config) -> Result<(), Vec<String>> {
    rules(config, &Files::read(&config.files, Process::SniRouter)?).map(drop)
}

/// The rules of all listeners; each names those it speaks of.
fn rules(config: &Config, files: &Files) -> Result<RuleSet, Vec<String>> {
    let rules = &config.sni_router.access;
    let asking = rules.iter().map(|rule| &rule.conditions);
    let environment = Environment::new(&config.access, files, asking, |path| Ok(path.to_owned()));
    RuleSet::compile(rules, config.sni_router.access_default, Place::Router, &environment.map_err(|error| vec![error])?)
}

fn gate(config: &Config, listener: &Listener, access: Rc<RuleSet>) -> Result<Gate, String> {
    let otherwise = &config.sni_router.otherwise;
    Ok(Gate {
        name: Arc::clone(&listener.name),
        protocol: listener.protocol,
        proxy_from: listener.proxy_protocol_from.clone(),
        proxy_deadline: listener.proxy_protocol_deadline,
        access,
        routes: Routes::new(config, &listener.name)?,
        malformed: otherwise.malformed,
        not_tls: otherwise.not_tls.clone(),
    })
}

/// Builds what another configuration needs. A client whose ClientHello is awaited keeps the rules it came in under; its rate
/// is remembered unless the rate itself changes.
fn prepare(
    router: &Rc<Router>,
    doors: &[Rc<Door>],
    config: &Config,
    files: &Files,
) -> Result<impl FnOnce() + use<>, Vec<String>> {
    let access = Rc::new(rules(config, files)?);
    let mut gates = Vec::new();
    for door in doors {
        let name = door.gate().name.clone();
        let listener = config.sni_router.listen.iter().find(|listener| listener.name == name);
        let listener = listener.ok_or_else(|| vec![format!("the listener {name} is gone")])?;
        let gate = gate(config, listener, Rc::clone(&access)).map_err(|error| vec![error])?;
        gates.push((Rc::clone(door), Rc::new(gate)));
    }
    let (router, config) = (Rc::clone(router), config.sni_router.clone());
    Ok(move || {
        gates.into_iter().for_each(|(door, gate)| drop(door.0.replace(gate)));
        router.hello_limit.set(config.client_hello_limit);
        router.hello_deadline.set(config.client_hello_deadline);
        router.in_progress.set_limits(config.max_hellos, config.max_hellos_per_address);
        router.hand_over.set_limits(&config);
        let mut rate = router.rate.borrow_mut();
        if rate.as_ref().map(RateLimit::rate) != config.connection_rate {
            *rate = config.connection_rate.map(RateLimit::new);
        }
    })
}

/// Accepts until told to stop, then finishes what is under way.
pub async fn serve(opened: Opened, context: Context) {
    let Opened { config, listeners, directories, metrics } = opened;
    let section = &config.sni_router;
    let router = Rc::new(Router {
        hello_limit: Cell::new(section.client_hello_limit),
        hello_deadline: Cell::new(section.client_hello_deadline),
        rate: RefCell::new(section.connection_rate.map(RateLimit::new)),
        in_progress: ClientLimit::new(section.max_hellos, section.max_hellos_per_address),
        hand_over: HandOver::start(directories, section, &metrics),
        metrics,
    });
    let doors: Vec<Rc<Door>> = listeners.iter().map(|(door, _)| Rc::clone(door)).collect();
    context.on_explain({
        let doors = doors.clone();
        move |question, config| std::future::ready(explain(&doors, &config, &question))
    });
    context.on_reload({
        let router = Rc::clone(&router);
        move |config, files| {
            let prepared = prepare(&router, &doors, &config, &files);
            std::future::ready(prepared.map(|commit| Box::new(commit) as Commit))
        }
    });
    let mut accepting = Vec::new();
    for (door, sockets) in listeners {
        for socket in sockets {
            let task = tokio::task::spawn_local(accept(Rc::clone(&router), Rc::clone(&door), socket));
            context.vital("accepting on a listener", task.abort_handle());
            accepting.push(task);
        }
    }
    drop(config);
    context.stopping().await;
    accepting.iter().for_each(tokio::task::JoinHandle::abort);
    let finished = async {
        while router.metrics.hellos_waiting.get() > 0 || router.hand_over.pending() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(context.shared().stop_deadline, finished).await.is_err() {
        tracing::warn!("stopping with {} connections not handed on", router.hand_over.pending());
    }
}
