//! The process as a whole: what it opens before its sandbox closes, and what it does until it is told to stop.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use common::config::{self, Config, Files, ListenProtocol, Listener, NetworkSet};
use common::net::client_limit::ClientLimit;
use common::process::Process;
use common::startup::{Context, HasFigures, Opening, StartError};
use common::wiring::{Edge, ROUTER_TO_FILTER, ROUTER_TO_RELAY, ROUTER_TO_TERMINATOR};
use common_access::{Environment, Place, RuleSet};

use super::accept::accept;
use super::admission::RateLimit;
use super::hand_over::{Directories, HandOver};
use super::metrics::Metrics;
use super::route::Routes;

/// How long hand-overs under way may take when the process is told to stop.
const DRAIN: Duration = Duration::from_secs(5);

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

/// What all listeners share.
#[derive(Debug)]
pub struct Router {
    /// Bytes of a ClientHello at most.
    pub hello_limit: usize,
    /// How long it may take.
    pub hello_deadline: Duration,
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
    config: Config,
    listeners: Vec<(Rc<Gate>, Vec<OwnedFd>)>,
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
    let access = Rc::new(access.map_err(|errors| StartError::Other(errors.join("\n")))?);
    let mut listeners = Vec::new();
    for listener in &config.sni_router.listen {
        let sockets = opening.listeners(&listener.descriptor_name())?;
        listeners.push((Rc::new(gate(&config, listener, Rc::clone(&access))?), sockets));
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

fn gate(config: &Config, listener: &Listener, access: Rc<RuleSet>) -> Result<Gate, StartError> {
    let otherwise = &config.sni_router.otherwise;
    Ok(Gate {
        name: Arc::clone(&listener.name),
        protocol: listener.protocol,
        proxy_from: listener.proxy_protocol_from.clone(),
        proxy_deadline: listener.proxy_protocol_deadline,
        access,
        routes: Routes::new(config, &listener.name).map_err(StartError::Other)?,
        malformed: otherwise.malformed,
        not_tls: otherwise.not_tls.clone(),
    })
}

/// Accepts until told to stop, then finishes what is under way.
pub async fn serve(opened: Opened, context: Context) {
    let Opened { config, listeners, directories, metrics } = opened;
    let config = config.sni_router;
    let router = Rc::new(Router {
        hello_limit: config.client_hello_limit,
        hello_deadline: config.client_hello_deadline,
        rate: RefCell::new(config.connection_rate.map(RateLimit::new)),
        in_progress: ClientLimit::new(config.max_hellos, config.max_hellos_per_address),
        hand_over: HandOver::start(directories, &config, &metrics),
        metrics,
    });
    let mut accepting = Vec::new();
    for (gate, sockets) in listeners {
        for socket in sockets {
            accepting.push(tokio::task::spawn_local(accept(Rc::clone(&router), Rc::clone(&gate), socket)));
        }
    }
    context.stopping().await;
    accepting.iter().for_each(tokio::task::JoinHandle::abort);
    let finished = async {
        while router.metrics.hellos_waiting.get() > 0 || router.hand_over.pending() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(DRAIN, finished).await.is_err() {
        tracing::warn!("stopping with {} connections not handed on", router.hand_over.pending());
    }
}
