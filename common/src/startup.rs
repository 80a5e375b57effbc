//! The six steps every `main()` takes, in one fixed order: arguments → configuration → inherited sockets → open files →
//! close the sandbox → serve. Whatever a stranger sends is read only in the last one.

mod arguments;
mod ending;
mod judging;
mod peers;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

pub use self::arguments::USAGE;
use self::arguments::{Arguments, Order, print};
use self::judging::{load, refuse};
use self::peers::{control_peers, expected_peers};
use crate::agreement::{Agreement, Judgement};
use crate::budget::Budget;
use crate::certificate_desk::CertificateDesk;
use crate::complain::complain;
use crate::config::{Config, ConfigErrors, Files, SandboxMode, Shared, Text};
use crate::ipc::directory::Directory;
use crate::ipc::messages::control::{Control, ControlReply, Status};
use crate::ipc::messages::explain::{Explain, Explained};
use crate::ipc::peer::PeerCheck;
use crate::ipc::receiver::{Arrival, Receiver, Replier, Verdict};
use crate::journal::{self, JOURNAL};
use crate::net::listen_fds::{InheritError, Inherited};
use crate::notify::Notifier;
use crate::observe::metrics::Figures;
use crate::observe::{output, page};
use crate::pool_desk::{self, PoolDesk};
use crate::process::Process;
use crate::reload::{Commit, Reloader};
use crate::sandbox::{self, Identity, Mode, Options, Policy, Report};
use crate::sys::memory;
use crate::sys::socket::with_open_descriptors;
use crate::wiring::{CONTROL, Edge, OBSERVE};

/// What a component tells `run` of itself.
pub struct Component {
    /// Which process.
    pub process: Process,
    /// What it may do once the sandbox is closed.
    pub policy: &'static Policy,
    /// The stricter one that does for this configuration; `None`: no other.
    pub stricter: fn(&Config) -> Option<&'static Policy>,
    /// Names and meanings of its figures.
    pub figures: &'static [(&'static str, &'static str)],
    /// Judges the component's own part of the configuration beyond what [`Config::load`] does: keys, certificates.
    pub check: fn(&Config, Depth) -> Result<(), Vec<String>>,
    /// What it may need, but for the limit, which stands in the policy.
    pub budget: fn(&Config) -> Budget,
}

/// How much time a check may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Everything (`--check FILE`).
    Whole,
    /// What can be found without arithmetic, because somebody waits (`--check FILE --quick`).
    Quick,
    /// What the component does not find by itself when it opens its files, which it will do next.
    Start,
}

/// Why a process could not start. The text says who can help.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The starter passed no, or the wrong, sockets.
    #[error(transparent)]
    Inherit(#[from] InheritError),
    /// A socket that this process cannot do without.
    #[error(
        "no socket named '{0}' was passed: the unit or launcher does not fit the configuration (under systemd: enable the \
         .socket unit of this listener and restart this service)"
    )]
    Missing(String),
    /// A file or directory.
    #[error("{0}")]
    File(#[from] std::io::Error),
    /// What the component has against the configuration or its files, a complaint each.
    #[error("{}", .0.join("; "))]
    Refused(Vec<String>),
    /// The component's own reason.
    #[error("{0}")]
    Other(String),
    /// The starter has heard it already.
    #[error("it was refused")]
    Told,
}

/// Step 3 and 4: what a component may take and open before the sandbox closes.
#[derive(Debug)]
pub struct Opening {
    /// The whole configuration; each component copies its part, or lets go of this when it serves.
    pub config: Rc<Config>,
    /// Which instance this is, from 1.
    pub instance: u32,
    /// Somebody waits for a verdict on the configuration: what `--check` refuses is to be refused. Otherwise nobody is there,
    /// and as much as possible should be served.
    pub strict: bool,
    inherited: Inherited,
    edges: Vec<OwnedFd>,
}

impl Opening {
    /// Opens the sending end of an edge.
    pub fn edge_to(&mut self, edge: &Edge) -> Result<Directory, StartError> {
        let directory = Directory::open(&edge.directory(&self.config.bulkhead.runtime_dir))?;
        self.edges.push(directory.folder()?);
        Ok(directory)
    }

    /// Takes the receiving end of an edge.
    pub fn edge_from(&mut self, edge: &Edge) -> Result<OwnedFd, StartError> {
        let name = edge.descriptor_name();
        let socket = self.inherited.take_all(&name).into_iter().next().ok_or(StartError::Missing(name))?;
        Ok(socket)
    }

    /// Reads the files that the configuration names for `process`.
    pub fn files(&self, process: Process) -> Result<Files, StartError> {
        Files::read(&self.config.files, process).map_err(StartError::Refused)
    }

    /// The journal that the starter keeps for this process, or that the service manager has been given now; `None`: nobody keeps one.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn journal(&mut self) -> std::io::Result<Option<OwnedFd>> {
        self.inherited.take_all(JOURNAL).into_iter().next().map_or_else(journal::of_the_manager, |kept| Ok(Some(kept)))
    }

    /// Takes all listening sockets of one name.
    pub fn listeners(&mut self, name: &str) -> Result<Vec<OwnedFd>, StartError> {
        let sockets = self.inherited.take_all(name);
        if sockets.is_empty() {
            return Err(StartError::Missing(name.to_owned()));
        }
        Ok(sockets)
    }
}

/// What a serving component may ask of its surroundings.
#[derive(Clone)]
pub struct Context {
    inner: Rc<Inner>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("process", &self.inner.process).finish_non_exhaustive()
    }
}

type Explaining = Pin<Box<dyn Future<Output = Explained>>>;
type Explainer = dyn Fn(Explain, Rc<Config>) -> Explaining;

struct Inner {
    process: Process,
    instance: u32,
    report: Report,
    began: Instant,
    stopping: Cell<bool>,
    stop: Notify,
    peers: Vec<(&'static str, PeerCheck)>,
    reloader: Rc<Reloader>,
    explainer: RefCell<Option<Box<Explainer>>>,
    pools: RefCell<Option<Rc<dyn PoolDesk>>>,
    notifier: Notifier,
    vital: RefCell<Vec<(&'static str, AbortHandle)>>,
    broken: Cell<Option<&'static str>>,
    certificates: RefCell<Option<Rc<dyn CertificateDesk>>>,
}

impl Context {
    /// From now on the process can take another configuration: `prepare` judges it and builds what it needs, changing nothing;
    /// what comes of it puts that in the place of the old and cannot fail. It may wait for work that is done elsewhere, for less than
    /// the front door waits (30 s); it is dropped when it is given up.
    pub fn on_reload<F: Future<Output = Result<Commit, Vec<String>>> + 'static>(
        &self,
        prepare: impl Fn(Rc<Config>, Rc<Files>) -> F + 'static,
    ) {
        self.inner.reloader.answer_with(prepare);
    }

    /// From now on the process can say what would become of a request, by the configuration at work, which it is given.
    /// `explain` must change nothing and count nothing.
    pub fn on_explain<F: Future<Output = Explained> + 'static>(
        &self,
        explain: impl Fn(Explain, Rc<Config>) -> F + 'static,
    ) {
        let explain = move |question, config| -> Explaining { Box::pin(explain(question, config)) };
        *self.inner.explainer.borrow_mut() = Some(Box::new(explain));
    }

    /// From now on operators can ask after these pools, and let servers of them go.
    pub fn offer_pools(&self, pools: Rc<dyn PoolDesk>) {
        *self.inner.pools.borrow_mut() = Some(pools);
    }

    /// A task without which nothing is served: when it ends although nobody stopped the process, the process stops.
    pub fn vital(&self, what: &'static str, task: AbortHandle) {
        self.inner.vital.borrow_mut().push((what, task));
    }

    /// From now on operators can ask after these certificates.
    pub fn offer_certificates(&self, certificates: Rc<dyn CertificateDesk>) {
        *self.inner.certificates.borrow_mut() = Some(certificates);
    }

    /// The configuration at work, read once more.
    fn config(&self) -> Result<Rc<Config>, ConfigErrors> {
        self.inner.reloader.config()
    }

    /// What all processes share, of the configuration at work.
    pub fn shared(&self) -> Shared {
        self.inner.reloader.shared()
    }

    /// Waits until the process is told to finish (SIGTERM, SIGINT or `drain`).
    pub async fn stopping(&self) {
        while !self.inner.stopping.get() {
            let notified = self.inner.stop.notified();
            if self.inner.stopping.get() {
                return;
            }
            notified.await;
        }
    }

    /// Whether it was told to.
    pub fn is_stopping(&self) -> bool {
        self.inner.stopping.get()
    }

    /// Who may send on an edge that this process receives.
    pub fn peers(&self, edge: &Edge) -> PeerCheck {
        let found = self.inner.peers.iter().find(|(name, _)| *name == edge.name);
        found.map_or_else(|| PeerCheck::new([]), |(_, peers)| peers.clone())
    }

    /// Starts to answer the front door; figures are read at every question. Orders are heard on the control socket only.
    fn answer(&self, name: &'static str, listener: OwnedFd, figures: Rc<dyn Figures>, peers: PeerCheck) {
        let context = self.clone();
        let receiver = Receiver::new(name, peers, move |arrival: Arrival<Control, ControlReply>| {
            let Some(replier) = arrival.replier else { return Verdict::Taken };
            match arrival.parcel.body {
                order if name != CONTROL && !order.only_asks() => {
                    let why = "orders are heard on the control socket only: ask as root or as the user who started it";
                    replier.send(ControlReply::Refused(vec![why.into()]), Vec::new());
                }
                Control::Explain(question) => context.explain(*question, replier),
                Control::Prepare { generation } if !context.is_stopping() => {
                    context.prepare(generation, arrival.parcel.descriptors, replier);
                }
                question => replier.send(context.control(question, arrival.parcel.descriptors, &*figures), Vec::new()),
            }
            Verdict::Taken
        });
        let task = tokio::task::spawn_local(receiver.serve(listener));
        self.vital("answering the front door", task.abort_handle());
    }

    fn control(&self, question: Control, descriptors: Vec<OwnedFd>, figures: &dyn Figures) -> ControlReply {
        let reloader = &self.inner.reloader;
        let outcome =
            |outcome: Result<(), Vec<Box<str>>>| outcome.map_or_else(ControlReply::Refused, |()| ControlReply::Done);
        match question {
            Control::Status => ControlReply::Status(Box::new(Status {
                process: self.inner.process,
                instance: self.inner.instance,
                pid: std::process::id(),
                version: env!("CARGO_PKG_VERSION").into(),
                uptime: self.inner.began.elapsed().as_secs(),
                configuration: reloader.digest().into(),
                reloads: reloader.reloads(),
                draining: self.is_stopping(),
                sandboxed: self.inner.report.holds(),
                figures: figures
                    .read()
                    .into_iter()
                    .chain(output::figures().map(|(name, value)| (name.into(), value)))
                    .collect(),
            })),
            Control::Metrics => {
                let text = page::render(&self.facts(), figures);
                descriptors.into_iter().for_each(|stream| page::send(stream, text.clone()));
                ControlReply::Done
            }
            Control::Pools => {
                let desk = self.inner.pools.borrow();
                ControlReply::Pools(pool_desk::fitting(desk.as_ref().map(|desk| desk.pools()).unwrap_or_default()))
            }
            Control::Certificates => {
                let desk = self.inner.certificates.borrow();
                ControlReply::Certificates(Box::new(desk.as_ref().map(|desk| desk.report()).unwrap_or_default()))
            }
            Control::DrainServer { pool, server, drain } => outcome(self.drain_server(&pool, &server, drain)),
            Control::Sandbox => ControlReply::Sandbox(Box::new(self.inner.report.clone())),
            Control::Drain => {
                self.stop();
                ControlReply::Done
            }
            Control::Prepare { .. } => ControlReply::Finishing, // of whoever stays it is answered elsewhere
            Control::Commit { generation } => outcome(reloader.commit(generation)),
            Control::Abort { generation } => {
                reloader.abort(generation);
                ControlReply::Done
            }
            Control::Explain(_) => ControlReply::Refused(Vec::new()), // answered elsewhere, because it may take time
        }
    }

    fn facts(&self) -> page::Facts {
        page::Facts {
            process: self.inner.process,
            instance: self.inner.instance,
            uptime: self.inner.began.elapsed(),
            draining: self.is_stopping(),
            sandboxed: self.inner.report.holds(),
        }
    }

    fn drain_server(&self, pool: &str, server: &str, drain: bool) -> Result<(), Vec<Box<str>>> {
        let desk = self.inner.pools.borrow().clone();
        let desk = desk.ok_or_else(|| vec![format!("{} balances nothing", self.inner.process).into()])?;
        desk.drain(pool, server, drain).map_err(|why| vec![why.into()])
    }

    fn explain(&self, question: Explain, replier: Replier<ControlReply>) {
        let explainer = self.inner.explainer.borrow();
        let explaining = match (&*explainer, self.config()) {
            (Some(explain), Ok(config)) => explain(question, config),
            (None, _) => {
                return replier.send(ControlReply::Refused(vec!["it is still starting: try again".into()]), Vec::new());
            }
            (_, Err(errors)) => {
                return replier.send(ControlReply::Refused(vec![errors.to_string().into()]), Vec::new());
            }
        };
        drop(explainer);
        let file = self.inner.reloader.file_name().into();
        tokio::task::spawn_local(async move {
            replier.send(ControlReply::Explained(file, Box::new(explaining.await)), Vec::new());
        });
    }

    /// The first step of a reload, which may take time.
    fn prepare(&self, generation: u64, descriptors: Vec<OwnedFd>, replier: Replier<ControlReply>) {
        let reloader = Rc::clone(&self.inner.reloader);
        tokio::task::spawn_local(async move {
            let prepared = reloader.prepare(generation, descriptors.into_iter().next()).await;
            replier.send(prepared.map_or_else(ControlReply::Refused, |()| ControlReply::Done), Vec::new());
        });
    }

    fn stop(&self) {
        if !self.inner.stopping.replace(true) {
            self.inner.notifier.stopping();
        }
        self.inner.stop.notify_waiters();
    }
}

/// Runs a component from its arguments to its end. `open` takes sockets and reads files; `serve` gets what `open` made.
pub fn run<O, F, S>(
    component: &Component,
    open: impl FnOnce(&mut Opening) -> Result<O, StartError>,
    serve: impl FnOnce(O, Context) -> S,
) -> ExitCode
where
    F: Figures,
    S: Future<Output = ()>,
    O: HasFigures<F>,
{
    let process = component.process;
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Order::Serve(arguments)) => arguments,
        Ok(Order::Print(what)) => return print(component, what),
        Err(text) => {
            complain(format_args!("{process}: {text}\n{USAGE}"));
            return ExitCode::from(64);
        }
    };
    // Taken first: who starts all processes together hears what is wrong from here on.
    let mut inherited = arguments.check_only.is_none().then(Inherited::from_environment);
    let agreement = inherited.as_mut().and_then(|them| them.as_mut().ok()).map(Agreement::of).unwrap_or_default();
    let (text, config) = match load(&arguments.config) {
        Ok(loaded) => loaded,
        Err(errors) => return refuse(&agreement, &[errors.to_string()]),
    };
    let depth = arguments.check_only.or(agreement.is_awaited().then_some(Depth::Start));
    if let Some(Err(complaints)) = depth.map(|depth| (component.check)(&config, depth)) {
        return refuse(&agreement, &complaints);
    }
    let Some(inherited) = inherited else { return ExitCode::SUCCESS };
    crate::observe::log::start(&format!("{process}@{}", arguments.instance), &config.log);
    let start = Start { text, config, instance: arguments.instance, inherited, agreement };
    let code = match begin(component, start, open).and_then(|begun| live(begun, serve)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(StartError::Told) => ExitCode::FAILURE,
        Err(error) => {
            tracing::error!("cannot serve: {error}");
            ExitCode::FAILURE
        }
    };
    output::finish();
    code
}

/// What steps 3 to 5 begin with.
struct Start {
    text: Text,
    config: Config,
    instance: u32,
    inherited: Result<Inherited, InheritError>,
    agreement: Agreement,
}

/// The figures that `open` made, for the status answer.
pub trait HasFigures<F: Figures> {
    /// A handle that shares its values.
    fn figures(&self) -> F;
}

struct Begun<O> {
    opened: O,
    context: Context,
    control: OwnedFd,
    control_peers: PeerCheck,
    /// For questions that change nothing; only units make it.
    observe: Option<OwnedFd>,
    agreement: Agreement,
}

/// Steps 3 to 5.
fn begin<O>(
    component: &Component,
    start: Start,
    open: impl FnOnce(&mut Opening) -> Result<O, StartError>,
) -> Result<Begun<O>, StartError> {
    let Start { text, config, instance, inherited, agreement } = start;
    let mode = match config.bulkhead.sandbox {
        SandboxMode::BestEffort => Mode::BestEffort,
        SandboxMode::Strict => Mode::Strict,
    };
    output::open();
    let reloader = Reloader::new(component.process, text, &config);
    let (config, strict) = (Rc::new(config), agreement.is_awaited());
    let mut opening = Opening { config, instance, strict, inherited: inherited?, edges: Vec::new() };
    let control = opening.listeners(CONTROL)?.into_iter().next().ok_or(StartError::Missing(CONTROL.to_owned()))?;
    let observe = opening.inherited.take_all(OBSERVE).into_iter().next();
    let opened = match open(&mut opening) {
        Err(StartError::Refused(complaints)) if strict => {
            refuse(&agreement, &complaints);
            return Err(StartError::Told);
        }
        opened => opened?,
    };
    agreement.say(&Judgement::Agreed(reloader.digest()));
    // The units open every edge there is; the launcher only those in use.
    for name in opening.inherited.left().into_iter().filter(|name| !name.starts_with("edge-")) {
        tracing::warn!("the socket '{name}' was passed but the configuration has no use for it");
    }
    let starter = nix::unistd::getuid().as_raw();
    let identity = nix::unistd::Uid::effective().is_root().then(|| Identity::of(component.process));
    let peers = expected_peers(component.process, starter);
    let notifier = Notifier::from_environment();
    let report = close_sandbox(component, mode, identity, opening)?;
    let context = Context {
        inner: Rc::new(Inner {
            process: component.process,
            instance,
            report,
            began: Instant::now(),
            stopping: Cell::new(false),
            stop: Notify::new(),
            peers,
            reloader,
            explainer: RefCell::default(),
            pools: RefCell::default(),
            notifier,
            vital: RefCell::default(),
            broken: Cell::new(None),
            certificates: RefCell::default(),
        }),
    };
    Ok(Begun { opened, context, control, control_peers: control_peers(starter), observe, agreement })
}

/// How long the first clients have before memory is tidied up.
const GIVE_BACK_AFTER: Duration = Duration::from_millis(200);

fn close_sandbox(
    component: &Component,
    mode: Mode,
    identity: Option<Identity>,
    opening: Opening,
) -> Result<Report, StartError> {
    let edges: Vec<BorrowedFd<'_>> = opening.edges.iter().map(AsFd::as_fd).collect();
    let policy = (component.stricter)(&opening.config).unwrap_or(component.policy);
    // Leaks were closed before anything was opened, so what is open now was opened on purpose.
    let report = with_open_descriptors(|keep| {
        let options = Options { mode, identity, keep, edges: &edges, ..Options::default() };
        sandbox::close(policy, &options)
    });
    report.map_err(|error| StartError::Other(error.to_string()))
}

/// Step 6.
fn live<O, F, S>(begun: Begun<O>, serve: impl FnOnce(O, Context) -> S) -> Result<(), StartError>
where
    F: Figures,
    S: Future<Output = ()>,
    O: HasFigures<F>,
{
    let Begun { opened, context, control, control_peers, observe, agreement } = begun;
    agreement.word().map_err(|error| StartError::Other(error.to_string()))?;
    match &context.inner.report {
        report if report.holds() => tracing::info!("sandbox closed: every layer holds"),
        report => tracing::warn!("sandbox closed with gaps: {}", report.summary()),
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    runtime.block_on(async {
        stop_on_signals(&context)?;
        tokio::task::spawn_local(output::tend());
        let figures: Rc<dyn Figures> = Rc::new(opened.figures());
        context.answer(CONTROL, control, Rc::clone(&figures), control_peers);
        if let Some(observe) = observe {
            context.answer(OBSERVE, observe, figures, PeerCheck::anybody());
        }
        tokio::task::spawn_local(give_back());
        tokio::task::spawn_local(look_after(context.clone())); // first runs when `serve` first waits: then it serves
        tracing::info!("serving");
        serve(opened, context.clone()).await;
        tracing::info!("finished");
        ending::judge(context.inner.broken.take(), context.is_stopping())
    })
}

/// What the start has left behind goes when the first clients have been served.
async fn give_back() {
    tokio::time::sleep(GIVE_BACK_AFTER).await;
    memory::give_back();
}

/// Tells the service manager that the process serves, and goes on telling it for as long as that is true: the event loop
/// turns, and every task without which nothing is served lives. When one has ended the process ends, to be started again.
async fn look_after(context: Context) {
    let inner = &context.inner;
    inner.notifier.ready(&inner.report.summary());
    let mut ticks = tokio::time::interval(inner.notifier.pace());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let ended = inner.vital.borrow().iter().find(|(_, task)| task.is_finished()).map(|(what, _)| *what);
        if let (Some(what), false) = (ended, context.is_stopping()) {
            tracing::error!("{what} has ended, so this process does not serve any more: it stops, to be started again");
            inner.broken.set(Some(what));
            return context.stop();
        }
        inner.notifier.alive();
    }
}

fn stop_on_signals(context: &Context) -> Result<(), StartError> {
    use tokio::signal::unix::{SignalKind, signal};
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind)?;
        let context = context.clone();
        tokio::task::spawn_local(async move {
            signals.recv().await;
            context.stop();
        });
    }
    Ok(())
}
