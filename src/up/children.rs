//! One keeper per process instance: starts it, notices when it serves, starts it again when it ends.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use common::agreement::{AGREEMENT, Judgement, MAX_JUDGEMENT, WORD};
use common::ipc::messages::control::Control;
use common::process::Process;
use common::sandbox::LAUNCHER_VARIABLE;
use common::sys::socket::pass_descriptors;
use common::wiring::control_socket;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::Notify;

use super::backoff::{Backoff, Next, PROVED};
use super::changed::Changed;
use super::last_words;
use crate::notes::{self, Trouble};
use crate::say::span;
use crate::{ask, siblings};

/// A process that ends so often without ever having served is not going to: its own lines say why.
const START_ATTEMPTS: u32 = 3;
/// From here on it is called a crash loop.
const LOOP: u32 = 3;
/// How long one question "do you serve?" waits, and the pause between two.
const QUESTION: Duration = Duration::from_secs(1);
const QUESTION_PAUSE: Duration = Duration::from_millis(20);

/// All that is needed to start an instance, as often as it takes.
#[derive(Debug)]
pub struct Recipe {
    process: Process,
    instance: u32,
    program: PathBuf,
    config: PathBuf,
    control: PathBuf,
    sockets: Vec<(String, Rc<OwnedFd>)>,
}

/// What all keepers share.
#[derive(Debug)]
pub struct Shared {
    /// Told when something has changed with one of them.
    pub changed: Changed,
    /// Who keeps ending, for `bulkhead status`.
    troubles: RefCell<BTreeMap<(Process, u32), Trouble>>,
    runtime_dir: PathBuf,
    /// Whether all processes have agreed to serve this configuration ([`common::agreement`]).
    agreed: Cell<bool>,
    word: Notify,
}

impl Shared {
    /// Of a launcher whose directory this is.
    pub fn new(runtime_dir: &Path) -> Self {
        Self {
            changed: Changed::default(),
            troubles: RefCell::default(),
            runtime_dir: runtime_dir.to_owned(),
            agreed: Cell::new(false),
            word: Notify::new(),
        }
    }

    fn in_trouble(&self, trouble: Trouble) {
        self.troubles.borrow_mut().insert((trouble.process, trouble.instance), trouble);
        self.note();
    }

    /// It lives on in peace, or is not cared for any more.
    pub fn out_of_trouble(&self, process: Process, instance: u32) {
        if self.troubles.borrow_mut().remove(&(process, instance)).is_some() {
            self.note();
        }
    }

    fn note(&self) {
        if let Err(error) = notes::note_troubles(&self.runtime_dir, self.troubles.borrow().values()) {
            tracing::warn!("`bulkhead status` cannot be told who keeps ending: {error}");
        }
    }

    /// All have agreed: those that wait begin to serve, and whoever is started from here on is not asked.
    pub fn give_the_word(&self) {
        self.agreed.set(true);
        self.word.notify_waiters();
    }

    /// Whether that has happened.
    pub fn was_given_the_word(&self) -> bool {
        self.agreed.get()
    }

    async fn word(&self) {
        let word = self.word.notified();
        if !self.agreed.get() {
            word.await;
        }
    }
}

/// Cares for one instance until told to stop.
#[derive(Debug)]
pub struct Keeper {
    recipe: RefCell<Recipe>,
    process: Process,
    instance: u32,
    control: PathBuf,
    pid: Cell<Option<u32>>,
    judgement: RefCell<Option<Judgement>>,
    served: Cell<bool>,
    stopping: Cell<bool>,
    quiet: Cell<bool>,
    gone: Cell<bool>,
    given_up: RefCell<Option<String>>,
    stop: Notify,
    /// `changed` is told when one of the cells above has changed.
    shared: Rc<Shared>,
}

/// How a life ended.
enum Ending {
    NotStarted(io::Error),
    Ended(ExitStatus),
    Lost(io::Error),
}

impl Keeper {
    /// Begins to care. Call inside the runtime.
    pub fn start(recipe: Recipe, shared: &Rc<Shared>) -> Rc<Self> {
        let keeper = Rc::new(Self {
            process: recipe.process,
            instance: recipe.instance,
            control: recipe.control.clone(),
            recipe: RefCell::new(recipe),
            pid: Cell::new(None),
            judgement: RefCell::new(None),
            served: Cell::new(false),
            stopping: Cell::new(false),
            quiet: Cell::new(false),
            gone: Cell::new(false),
            given_up: RefCell::new(None),
            stop: Notify::new(),
            shared: Rc::clone(shared),
        });
        tokio::task::spawn_local(Rc::clone(&keeper).care());
        keeper
    }

    /// Which process.
    pub fn process(&self) -> Process {
        self.process
    }

    /// Which instance of it.
    pub fn instance(&self) -> u32 {
        self.instance
    }

    /// Whether it goes, or has gone.
    pub fn is_let_go(&self) -> bool {
        self.stopping.get()
    }

    /// What one that cannot start says, found by starting it once more. Call it before its sockets are let go.
    pub async fn last_words(&self) -> String {
        let command = self.recipe.borrow().command(None);
        match command {
            Ok(command) => last_words::of(command).await,
            Err(error) => error.to_string(),
        }
    }

    /// `sni-router@1`, as in the log lines of the process itself.
    pub fn name(&self) -> String {
        format!("{}@{}", self.process, self.instance)
    }

    /// What the process that lives now says of the configuration.
    pub fn judgement(&self) -> Option<Judgement> {
        self.judgement.borrow().clone()
    }

    /// Whether it has answered at least once.
    pub fn served(&self) -> bool {
        self.served.get()
    }

    /// Why it will not be started again although nobody has told us to stop.
    pub fn given_up(&self) -> Option<String> {
        self.given_up.borrow().clone()
    }

    /// Whether it has ended for good.
    pub fn gone(&self) -> bool {
        self.gone.get()
    }

    /// From here on it is not started again, and our copies of its sockets are closed: when it closes a listener, the
    /// listener is closed.
    pub fn let_go(&self) {
        self.stopping.set(true);
        self.stop.notify_one();
        self.recipe.borrow_mut().sockets.clear();
    }

    /// Ends it without a word in the log: the start was given up, and nothing was served.
    pub fn dismiss(&self) {
        self.quiet.set(true);
        self.let_go();
        self.kill();
    }

    /// Asks it to finish.
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Ends it.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// The number stays its own until we have waited for it, which happens in the turn that clears the cell.
    fn signal(&self, signal: Signal) {
        let Some(pid) = self.pid.get().and_then(|pid| i32::try_from(pid).ok()) else { return };
        if let Err(error) = kill(Pid::from_raw(pid), signal) {
            tracing::warn!("{} (pid {pid}) cannot be sent {signal}: {error}", self.name());
        }
    }

    async fn care(self: Rc<Self>) {
        let mut backoff = Backoff::default();
        while !self.stopping.get() {
            let begun = Instant::now();
            let (pid, ending) = self.one_life().await;
            let lived = begun.elapsed();
            if self.stopping.get() {
                if !self.quiet.get() {
                    tracing::info!("{} finished: {ending}", self.name());
                }
                break;
            }
            if matches!(*self.judgement.borrow(), Some(Judgement::Refused(_))) {
                break; // as it has said
            }
            let told = matches!(&ending, Ending::Ended(status) if status.success());
            let next = if told && self.served.get() { backoff.ended_in_peace(lived) } else { backoff.ended(lived) };
            if !self.served.get() && next.in_a_row >= START_ATTEMPTS {
                self.give_up(&ending);
                break;
            }
            self.tell(pid, &ending, lived, &next);
            tokio::select! {
                () = tokio::time::sleep(next.pause) => {}
                () = self.stop.notified() => {}
            }
        }
        self.gone.set(true);
        self.shared.changed.tell();
    }

    async fn one_life(&self) -> (u32, Ending) {
        let asked = !self.shared.agreed.get();
        self.judgement.borrow_mut().take();
        let started = asked.then(ours_and_its).transpose().and_then(|pair| {
            let (ours, its) = pair.unzip();
            Ok((ours, self.recipe.borrow().start(its)?))
        });
        let (ours, mut child) = match started {
            Ok(started) => started,
            Err(error) => return (0, Ending::NotStarted(error)),
        };
        let pid = child.id().unwrap_or_default();
        self.pid.set(child.id());
        let ended = tokio::select! {
            biased; // who refuses says so and ends: what it said is heard first
            ended = async { self.follow(ours).await; std::future::pending().await } => ended,
            ended = child.wait() => ended,
        };
        self.pid.set(None);
        (pid, ended.map_or_else(Ending::Lost, Ending::Ended))
    }

    /// A life as it should be: it judges, waits for the others, and serves.
    async fn follow(&self, agreement: Option<UnixStream>) {
        if let Some(mut agreement) = agreement {
            let mut said = Vec::new();
            let most = u64::try_from(MAX_JUDGEMENT).unwrap_or(u64::MAX);
            let _ = (&mut agreement).take(most).read_to_end(&mut said).await;
            let Some(judgement) = Judgement::decode(&said) else { return }; // it ends, and says why itself
            *self.judgement.borrow_mut() = Some(judgement);
            self.shared.changed.tell();
            self.shared.word().await;
            let _ = agreement.write_all(WORD).await; // who cannot hear it has ended
        }
        self.wait_until_it_serves().await;
        tokio::time::sleep(PROVED).await;
        self.shared.out_of_trouble(self.process, self.instance);
    }

    async fn wait_until_it_serves(&self) {
        let begun = Instant::now();
        while ask::one(&self.control, &Control::Status, QUESTION).await.is_err() {
            tokio::time::sleep(QUESTION_PAUSE).await;
        }
        if self.served.replace(true) {
            tracing::info!("{} serves again after {}", self.name(), span(begun.elapsed()));
        }
        self.shared.changed.tell();
    }

    fn give_up(&self, ending: &Ending) {
        let name = self.name();
        *self.given_up.borrow_mut() =
            Some(format!("{name} ended {START_ATTEMPTS} times before it served, the last time with {ending}"));
    }

    fn tell(&self, pid: u32, ending: &Ending, lived: Duration, next: &Next) {
        let (name, lived) = (self.name(), span(lived));
        if next.in_a_row < LOOP {
            tracing::warn!(pid, "{name} ended with {ending} after {lived}; starting it again");
            return;
        }
        self.shared.in_trouble(Trouble {
            process: self.process,
            instance: self.instance,
            in_a_row: next.in_a_row,
            ending: ending.to_string(),
            next_try: SystemTime::now() + next.pause,
        });
        tracing::error!(
            pid,
            "{name} keeps ending: {} times in a row, now with {ending} after {lived}; next try in {}. Its own lines say \
             why. Its sockets stay open, so clients wait",
            next.in_a_row,
            span(next.pause)
        );
    }
}

impl Recipe {
    /// For one instance, with its sockets.
    ///
    /// # Errors
    /// When its program is not there.
    pub fn new(
        (process, instance): (Process, u32),
        config: &Path,
        runtime_dir: &Path,
        sockets: Vec<(String, Rc<OwnedFd>)>,
    ) -> Result<Self, String> {
        Ok(Self {
            process,
            instance,
            program: siblings::find(process.name()).map_err(|error| error.to_string())?,
            config: config.to_owned(),
            control: control_socket(runtime_dir, process, instance),
            sockets,
        })
    }

    fn start(&self, agreement: Option<OwnedFd>) -> io::Result<Child> {
        Command::from(self.command(agreement)?).spawn()
    }

    /// With duplicates of its sockets, in a process group of its own, so that Ctrl-C reaches the launcher alone and the order
    /// of stopping is kept. `agreement`: it is asked before it serves.
    fn command(&self, agreement: Option<OwnedFd>) -> io::Result<std::process::Command> {
        let names: Vec<&str> =
            self.sockets.iter().map(|(name, _)| name.as_str()).chain(agreement.as_ref().map(|_| AGREEMENT)).collect();
        let mut command = std::process::Command::new(&self.program);
        command.arg("--config").arg(&self.config).arg("--instance").arg(self.instance.to_string());
        command.env_clear().envs(siblings::passed_environment());
        command.env("LISTEN_FDS", names.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
        command.env(LAUNCHER_VARIABLE, std::process::id().to_string());
        command.stdin(Stdio::null()).process_group(0);
        let duplicates = self.sockets.iter().map(|(_, socket)| socket.try_clone()).chain(agreement.map(Ok));
        pass_descriptors(&mut command, duplicates.collect::<io::Result<Vec<OwnedFd>>>()?);
        Ok(command)
    }
}

/// The two ends over which a process agrees.
fn ours_and_its() -> io::Result<(UnixStream, OwnedFd)> {
    let (ours, its) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((UnixStream::from_std(ours)?, its.into()))
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(error) => write!(f, "an error before it began ({error})"),
            Self::Lost(error) => write!(f, "an unknown result ({error})"),
            Self::Ended(status) => match (status.code(), status.signal()) {
                (Some(code), _) => write!(f, "exit code {code}"),
                (None, Some(number)) => match Signal::try_from(number) {
                    Ok(signal) => write!(f, "signal {number} ({signal})"),
                    Err(_) => write!(f, "signal {number}"),
                },
                (None, None) => write!(f, "{status}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_told_in_words() {
        assert_eq!(Ending::Ended(ExitStatus::from_raw(9)).to_string(), "signal 9 (SIGKILL)");
        assert_eq!(Ending::Ended(ExitStatus::from_raw(1 << 8)).to_string(), "exit code 1");
    }
}
