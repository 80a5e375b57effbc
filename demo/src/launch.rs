//! Runs `bulkhead up` as a child: start it, wait until it serves, stop it in order.
//!
//! The child gets a process group of its own, so that Ctrl-C in a terminal reaches only the demo, which then stops everything in
//! order, and so that nothing of it can be left behind.

use crate::living::{self, Living};
use crate::output::Output;
use crate::signals::Signals;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long Bulkhead may take until it serves.
pub const START_DEADLINE: Duration = Duration::from_secs(30);
/// How long it may take to stop, before it is killed.
pub const STOP_DEADLINE: Duration = Duration::from_secs(10);
/// How long the last lines of a dead child may take to arrive.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// `up` prints a line that begins with this when it serves.
const READY: &str = "ready";

/// A running `bulkhead up`.
#[derive(Debug)]
pub struct Bulkhead {
    child: Child,
    group: Pid,
    output: Output,
    readers: JoinSet<()>,
    ready: Option<oneshot::Receiver<()>>,
    /// The processes it had started when it began to serve.
    family: Vec<Living>,
}

/// How waiting for Bulkhead went.
#[derive(Debug)]
pub enum Start {
    /// It serves.
    Ready,
    /// It ended before it served.
    Died(ExitStatus),
    /// It neither served nor ended in [`START_DEADLINE`].
    Late,
    /// Somebody wants the demo to stop.
    Interrupted,
}

/// How a stop went.
#[derive(Debug)]
pub struct Stop {
    /// It ended by itself, with status 0.
    pub clean: bool,
    /// In words.
    pub words: String,
}

/// The `bulkhead` beside this program.
///
/// # Errors
/// When there is none.
pub fn sibling() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("bulkhead");
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::other(format!(
        "{} is missing; build the whole workspace (make, or cargo build --workspace)",
        path.display()
    )))
}

impl Bulkhead {
    /// Starts `program up configuration` with its output going to `output`.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(program: &Path, configuration: &Path, output: Output) -> Result<Self> {
        let mut child = Command::new(program)
            .arg("up")
            .arg(configuration)
            // Ours, if any, are not meant for it.
            .env_remove("LISTEN_FDS")
            .env_remove("LISTEN_PID")
            .env_remove("LISTEN_FDNAMES")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Error::new(error.kind(), format!("cannot start {}: {error}", program.display())))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let group = group.ok_or_else(|| Error::other("bulkhead ended at once"))?;
        let (tell, ready) = oneshot::channel();
        let mut tell = Some(tell);
        let mut readers = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            readers.spawn(output.clone().follow(stdout, move |line| {
                if let Some(tell) = tell.take_if(|_| line.starts_with(READY)) {
                    let _ = tell.send(());
                }
            }));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.spawn(output.clone().follow(stderr, |_| {}));
        }
        Ok(Self { child, group, output, readers, ready: Some(ready), family: Vec::new() })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.group.as_raw().unsigned_abs()
    }

    /// What it printed.
    #[must_use]
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Waits until it serves, dies, or [`START_DEADLINE`] is over, or a signal comes.
    ///
    /// # Errors
    /// What the system says.
    pub async fn wait_ready(&mut self, signals: &mut Signals) -> Result<Start> {
        let ready = self.ready.take();
        let ready = async {
            let served = match ready {
                Some(ready) => ready.await.is_ok(),
                None => false,
            };
            if !served {
                // Its output ended without the line: it is dying, or silent for ever.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = ready => {
                self.family = living::children_of(self.pid());
                Ok(Start::Ready)
            }
            status = self.child.wait() => {
                let status = status?;
                self.hear_last_words().await;
                Ok(Start::Died(status))
            }
            () = tokio::time::sleep(START_DEADLINE) => Ok(Start::Late),
            () = signals.next() => Ok(Start::Interrupted),
        }
    }

    /// Waits until it ends by itself, which it should not.
    ///
    /// # Errors
    /// What the system says.
    pub async fn died(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.hear_last_words().await;
        Ok(status)
    }

    /// SIGTERM, then up to [`STOP_DEADLINE`] of patience (or until another signal), then SIGKILL for whatever is left.
    pub async fn stop(mut self, signals: &mut Signals) -> Stop {
        // Those it started first, and those it started since because one had crashed.
        let mut family = std::mem::take(&mut self.family);
        family.extend(living::children_of(self.pid()));
        family.sort_by_key(|living| living.pid);
        family.dedup();
        // Once waited for, the id may belong to somebody else.
        if self.child.id().is_some() {
            let _ = kill(self.group, Signal::SIGTERM);
        }
        let ended = tokio::select! {
            ended = timeout(STOP_DEADLINE, self.child.wait()) => ended.ok(),
            () = signals.next() => None,
        };
        let left = self.kill_what_is_left(&family, ended.is_none());
        if ended.is_none() {
            let _ = self.child.wait().await;
        }
        self.hear_last_words().await;
        let (mut clean, mut words) = match ended {
            Some(Ok(status)) => (status.success(), format!("{status}")),
            Some(Err(error)) => (false, error.to_string()),
            None => (false, format!("not stopped within {} s, killed", STOP_DEADLINE.as_secs())),
        };
        if !left.is_empty() {
            clean = false;
            words = format!("{words}; left running, now killed: {}", left.join(", "));
        } else if clean {
            words.push_str(", no process left");
        }
        Stop { clean, words }
    }

    /// Kills what should have ended and names it. `all`: the front door itself has not ended either.
    fn kill_what_is_left(&self, family: &[Living], all: bool) -> Vec<String> {
        let left: Vec<_> = family.iter().filter(|living| !all && living::lives(living)).collect();
        // The group exists as long as anybody is in it, so the id cannot be somebody else's.
        match killpg(self.group, None) {
            Err(Errno::ESRCH) => {}
            _ => drop(killpg(self.group, Signal::SIGKILL)),
        }
        for living in family.iter().filter(|living| living::lives(living)) {
            if let Ok(pid) = i32::try_from(living.pid) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        left.iter().map(|living| format!("{} ({})", living.name, living.pid)).collect()
    }

    async fn hear_last_words(&mut self) {
        let readers = &mut self.readers;
        let _ = timeout(LAST_WORDS, async { while readers.join_next().await.is_some() {} }).await;
    }
}

#[cfg(test)]
mod tests;
