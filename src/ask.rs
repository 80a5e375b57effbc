//! Asks the living processes over their control sockets: all at once, each with its own deadline.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::config::Config;
use common::ipc::ask::{AskError, ask_with};
use common::ipc::channel::ChannelError;
use common::ipc::messages::control::{Control, ControlReply};
use common::process::Process;
use common::wiring::{CONTROL, OBSERVE, instance_socket};

use crate::command_line::Place;
use crate::plan::Plan;

/// How long a process may take to answer.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// Somebody to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Which process.
    pub process: Process,
    /// Which instance of it, from 1.
    pub instance: u32,
    /// Its control socket.
    pub socket: PathBuf,
}

/// Why somebody did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Silence {
    /// No socket.
    #[error("not running")]
    NotRunning,
    /// A socket, but nobody behind it.
    #[error("dead: its socket is left over")]
    Dead,
    /// We are not who may ask.
    #[error("not for you: ask as root or as the user who started it")]
    Forbidden,
    /// Nothing came in time: it hangs, or it is being started again.
    #[error("no answer within {} s", .0.as_secs())]
    NoAnswer(Duration),
    /// Something else.
    #[error("{0}")]
    Other(AskError),
}

/// What came of asking one process.
pub type Reply = (Target, Result<ControlReply, Silence>);

/// Where the processes are, and who should be there.
#[derive(Debug)]
pub struct Crew {
    /// Of the sockets.
    pub runtime_dir: PathBuf,
    /// In which folder of it the sockets are that are asked.
    pub folder: PathBuf,
    /// Those that are there, and those the configuration needs while nobody of their kind is there.
    pub targets: Vec<Target>,
    /// The file that named them, and the digest of its text as it is now.
    pub file: Option<(PathBuf, String)>,
    /// How many of each there are at a start, by the configuration.
    pub configured: Vec<(Process, u32)>,
}

impl Crew {
    /// Finds out who is to be asked.
    ///
    /// # Errors
    /// When the configuration cannot be read, or when nobody is there.
    pub fn at(place: &Place) -> Result<Self, String> {
        Self::found(place, |_| CONTROL)
    }

    /// The same for questions that change nothing: over the sockets for observers, where the units have made them.
    ///
    /// # Errors
    /// As [`Self::at`].
    pub fn to_observe(place: &Place) -> Result<Self, String> {
        Self::found(place, |dir| if dir.join(OBSERVE).is_dir() { OBSERVE } else { CONTROL })
    }

    fn found(place: &Place, choose: fn(&Path) -> &'static str) -> Result<Self, String> {
        match place {
            Place::RuntimeDir(dir) => Self::in_folder(dir.clone(), choose(dir), Vec::new()),
            Place::Config(file) => {
                let hint = "`--runtime-dir DIR` asks without a configuration";
                let (config, _) = Config::load(file).map_err(|errors| format!("{errors}\n{hint}"))?;
                let dir = config.bulkhead.runtime_dir.clone();
                let folder = choose(&dir);
                let crew = Self::in_folder(dir, folder, Plan::of(&config).processes)?;
                let digest = common::config::read_text(file).map(|text| common::config::digest(&text));
                Ok(Self { file: digest.ok().map(|digest| (file.clone(), digest)), ..crew })
            }
        }
    }

    /// Those of a configuration that is known already.
    ///
    /// # Errors
    /// When nobody is there.
    pub fn of(config: &Config, plan: &Plan) -> Result<Self, String> {
        Self::in_folder(config.bulkhead.runtime_dir.clone(), CONTROL, plan.processes.clone())
    }

    fn in_folder(runtime_dir: PathBuf, folder: &str, configured: Vec<(Process, u32)>) -> Result<Self, String> {
        let folder = runtime_dir.join(folder);
        let found = names_in(&folder);
        if let (Err(error), true) = (&found, configured.is_empty()) {
            return Err(format!("error: no bulkhead runs in {}: {}: {error}", runtime_dir.display(), folder.display()));
        }
        let targets = targets_in(&folder, &configured, found.unwrap_or_default());
        Ok(Self { targets, runtime_dir, folder, file: None, configured })
    }

    /// Waits until nobody else gives these processes a configuration or certificates, and keeps others from it for as long as the
    /// answer lives: two that prepare at once would take each other's place.
    ///
    /// # Errors
    /// The folder of the sockets cannot be had.
    pub fn alone(&self) -> Result<std::fs::File, String> {
        let failed = |error: std::io::Error| format!("error: {}: {error}", self.folder.display());
        let folder = std::fs::File::open(&self.folder).map_err(failed)?;
        rustix::fs::flock(&folder, rustix::fs::FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        Ok(folder)
    }

    /// Asks everybody the same, at once. The answers are in the order of the targets.
    ///
    /// # Errors
    /// When this process cannot have an event loop.
    pub fn ask(&self, question: Control) -> Result<Vec<Reply>, String> {
        Ok(event_loop()?.block_on(async {
            let each = |target: Target, question: Control| async move {
                let answer = one(&target.socket, &question, DEADLINE).await;
                (target, answer)
            };
            let all = self.targets.iter().cloned();
            let tasks: Vec<_> = all.map(|target| tokio::task::spawn_local(each(target, question.clone()))).collect();
            let mut replies = Vec::new();
            for task in tasks {
                replies.extend(task.await.ok());
            }
            replies
        }))
    }
}

/// An event loop for questions.
///
/// # Errors
/// When this process cannot have one.
pub fn event_loop() -> Result<tokio::runtime::LocalRuntime, String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .map_err(|error| format!("error: cannot start an event loop: {error}"))
}

/// Asks one process.
///
/// # Errors
/// Why there is no answer.
pub async fn one(socket: &Path, question: &Control, deadline: Duration) -> Result<ControlReply, Silence> {
    one_with(socket, question, &[], deadline).await
}

/// Asks one process, with the descriptors that the question announces.
///
/// # Errors
/// Why there is no answer.
pub async fn one_with(
    socket: &Path,
    question: &Control,
    descriptors: &[BorrowedFd<'_>],
    deadline: Duration,
) -> Result<ControlReply, Silence> {
    match tokio::time::timeout(deadline, ask_with(socket, question, descriptors)).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(error)) => Err(Silence::from(error)),
        Err(_) => Err(Silence::NoAnswer(deadline)),
    }
}

impl From<AskError> for Silence {
    fn from(error: AskError) -> Self {
        use std::io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
        match error {
            AskError::Connect(cause) if cause.kind() == NotFound => Self::NotRunning,
            AskError::Connect(cause) if cause.kind() == ConnectionRefused => Self::Dead,
            AskError::Connect(cause) if cause.kind() == PermissionDenied => Self::Forbidden,
            // A process hangs up on whoever is not its starter before it says a word.
            AskError::Channel(ChannelError::HungUp) => Self::Forbidden,
            other => Self::Other(other),
        }
    }
}

/// Those whose sockets were found, in the order in which a connection meets them. How many of a kind run is the operator's choice
/// (`bulkhead scale`), so somebody is missing only where nobody of the kind is there.
pub fn targets_in(
    folder: &Path,
    configured: &[(Process, u32)],
    found: impl IntoIterator<Item = String>,
) -> Vec<Target> {
    let mut members: Vec<(Process, u32)> = found.into_iter().filter_map(|name| parse(&name)).collect();
    for (process, count) in configured {
        if !members.iter().any(|(there, _)| there == process) {
            members.extend((1..=*count).map(|instance| (*process, instance)));
        }
    }
    members.sort_unstable();
    let target =
        |(process, instance)| Target { process, instance, socket: folder.join(instance_socket(process, instance)) };
    members.into_iter().map(target).collect()
}

/// The sockets in the folder.
fn names_in(control: &Path) -> std::io::Result<Vec<String>> {
    let mut names: Vec<String> =
        std::fs::read_dir(control)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// `<process>-<instance>.sock`
fn parse(name: &str) -> Option<(Process, u32)> {
    let (process, instance) = name.strip_suffix(".sock")?.rsplit_once('-')?;
    Some((process.parse().ok()?, instance.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use common::wiring::control_socket;

    #[test]
    fn who_is_there_counts_and_who_is_missing_is_told_where_nobody_is() {
        let configured = [(Process::SniRouter, 1), (Process::HttpFilter, 2)];
        let found = ["launcher.sock", "sni-router-3.sock"].map(str::to_owned);
        let targets = targets_in(Path::new("/c"), &configured, found);
        let members: Vec<(Process, u32)> = targets.iter().map(|target| (target.process, target.instance)).collect();
        assert_eq!(members, [(Process::SniRouter, 3), (Process::HttpFilter, 1), (Process::HttpFilter, 2)]);
    }

    #[test]
    fn the_name_of_a_control_socket_is_read_back() {
        for process in Process::ALL {
            let path = control_socket(Path::new("/run/bulkhead"), process, 12);
            assert_eq!(parse(path.file_name().unwrap().to_str().unwrap()), Some((process, 12)));
        }
        for name in ["sni-router.sock", "sni-router-x.sock", "other-1.sock", "sni-router-1", ""] {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
