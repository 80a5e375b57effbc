//! The jail that every process closes around itself, once, before the first byte from a stranger.
//!
//! Called after configuration, keys and inherited sockets are open and before the tokio runtime is built: from then on no file
//! can be opened, no program started, no socket made but those the policy names. Each layer is best effort, and each says
//! whether it holds; the process then *tries* what must fail ([`acts`]) and publishes the [`Report`].
//!
//! The order, and why:
//! 1. **descriptors**: no other wall looks at what is already open.
//! 2. **namespaces**: need capabilities or, as an ordinary user, one thread and a readable `/proc/self`.
//! 3. **limits**: raising the number of descriptors needs root's rights.
//! 4. **identity, capabilities, no new privileges, memory**: rights go, in the only order in which each step still may.
//! 5. **landlock**: needs "no new privileges".
//! 6. **system calls**: last, because it forbids all of the above.
//! 7. **acts**: from inside.
//!
//! What this can never do: judge what lies behind a pointer (the address of a `connect`, the port of a `bind`), or protect what
//! the process legitimately holds. A policy's reasons say what is left open.

pub mod acts;
pub mod calls;
mod descriptors;
mod landlock;
mod limits;
mod namespaces;
pub mod outcome;
pub mod policy;
mod privileges;
pub mod report;
pub mod seccomp;
mod start_calls;
mod user_map;

use std::os::fd::BorrowedFd;

use serde::{Deserialize, Serialize};

use self::outcome::{Held, Outcome};
pub use self::policy::{Network, Policy, Threads};
pub use self::privileges::{Identity, LAUNCHER_VARIABLE};
pub use self::report::{Act, Layer, Report, State};
pub use self::start_calls::unit_calls;
pub use self::user_map::UserMap;

/// How seriously the jail is taken. The configuration's key `sandbox`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Everything this machine offers; what it lacks is reported.
    #[default]
    BestEffort,
    /// The same, and refuse to serve unless every layer holds.
    Strict,
    /// No jail at all, and the report says so. For finding out why something fails, never for service.
    Off,
}

/// What a process tells its jail.
#[derive(Debug, Default)]
pub struct Options<'a> {
    /// Best effort, strict or off.
    pub mode: Mode,
    /// Whom to become when started as root. Ignored otherwise.
    pub identity: Option<Identity>,
    /// Every descriptor that is still needed, beside standard input, output and error. All others are closed, whoever thinks
    /// to own them.
    pub keep: &'a [BorrowedFd<'a>],
    /// Folders in which the process connects to the sockets of others (also kept open). From Linux 7.1 on, Landlock lets it
    /// connect nowhere else.
    pub edges: &'a [BorrowedFd<'a>],
    /// How many descriptors the process may hold; as many as it can when not given.
    pub open_files: Option<u64>,
}

/// Why the process must not serve.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A fault of ours: the jail was closed too late.
    #[error(
        "the sandbox must be closed before a second thread is started, but there are {0}; this is an error in bulkhead"
    )]
    NotSingleThreaded(usize),
    /// A fault of ours: the policy cannot be translated.
    #[error("sandbox policy of {process}: {cause}")]
    Policy {
        /// Whose policy.
        process: crate::process::Process,
        /// What is wrong with it.
        cause: seccomp::FilterError,
    },
    /// `strict` only: a layer does not hold on this machine.
    #[error(
        "sandbox = \"strict\", but the layer '{layer}' does not hold: {cause}. {advice}Or set sandbox = \"best-effort\" to serve with what there is"
    )]
    Layer {
        /// Which one.
        layer: String,
        /// Why.
        cause: String,
        /// What to do about it: empty, or a sentence with a full stop and a blank.
        advice: String,
    },
    /// `strict` only: something that must fail did not.
    #[error("sandbox = \"strict\", but the process could {what} (answer: {answer}); please report this")]
    ActAllowed {
        /// What.
        what: String,
        /// What the kernel said.
        answer: String,
    },
    /// The front door died while its child was starting.
    #[error("the launcher that started this process has ended; so does the process")]
    LauncherGone,
}

/// Closes the jail. Once per process, with one thread; there is no way back.
///
/// # Errors
/// In every mode: [`SandboxError::NotSingleThreaded`], [`SandboxError::Policy`], [`SandboxError::LauncherGone`]. In
/// [`Mode::Strict`] also [`SandboxError::Layer`] and [`SandboxError::ActAllowed`]; the process is then already confined as far
/// as it goes, and can only end.
pub fn close(policy: &Policy, options: &Options<'_>) -> Result<Report, SandboxError> {
    if options.mode == Mode::Off {
        return Ok(off(policy));
    }
    one_thread_only()?;
    let pid = std::process::id();
    let programs =
        seccomp::compile(policy, pid).map_err(|cause| SandboxError::Policy { process: policy.process, cause })?;
    let launcher = privileges::Launcher::note();
    let bait = acts::Bait::lay();

    let named = options.keep.iter().chain(options.edges).copied();
    let mut outcomes = vec![descriptors::close(named, bait.descriptors())];
    let rooms = namespaces::enter(policy);
    outcomes.push(rooms.outcome);
    outcomes.push(limits::set(policy, options.open_files, options.keep));
    let dropped = privileges::drop(options.identity.as_ref(), launcher.as_ref());
    outcomes.extend(dropped.outcomes);
    if dropped.orphaned {
        return Err(SandboxError::LauncherGone);
    }
    let landlock = landlock::restrict(policy, options.edges);
    let scoped = landlock.scoped;
    outcomes.push(landlock.outcome);
    let filter = seccomp::apply(&programs);
    let held = Held { system_calls: filter.is_ok(), network: rooms.network != namespaces::Held::No };
    outcomes.push(filter.unwrap_or_else(|error| Outcome::absent(seccomp::LAYER, error.to_string(), seccomp::ADVICE)));

    let circumstances =
        acts::Circumstances { abstract_out_of_reach: scoped || rooms.network != namespaces::Held::FromOutside };
    let acts = acts::try_all(policy, &bait, circumstances);
    let layers = outcomes.iter().map(|outcome| outcome.judge(held)).collect();
    let report = Report { process: policy.process, pid, uid: nix::unistd::geteuid().as_raw(), layers, acts };
    if options.mode == Mode::Strict {
        insist(&report, &outcomes)?;
    }
    Ok(report)
}

/// `strict`: the first thing that does not hold.
fn insist(report: &Report, outcomes: &[Outcome]) -> Result<(), SandboxError> {
    for (layer, outcome) in report.layers.iter().zip(outcomes) {
        let (State::Partly(cause) | State::Absent(cause)) = &layer.state else { continue };
        let advice = match outcome.advice {
            "" => String::new(),
            advice => format!("What helps: {advice}. "),
        };
        return Err(SandboxError::Layer { layer: layer.name.clone(), cause: cause.clone(), advice });
    }
    match report.acts.iter().find(|act| !act.as_expected()) {
        Some(act) => Err(SandboxError::ActAllowed { what: act.what.clone(), answer: act.answer.clone() }),
        None => Ok(()),
    }
}

/// The report of a process without a jail.
fn off(policy: &Policy) -> Report {
    let state = State::Absent("switched off by the configuration (sandbox = \"off\")".to_owned());
    Report {
        process: policy.process,
        pid: std::process::id(),
        uid: nix::unistd::geteuid().as_raw(),
        layers: vec![Layer { name: "all".to_owned(), state, detail: String::new() }],
        acts: Vec::new(),
    }
}

/// Landlock and user namespaces reach only the calling thread. Without `/proc` it cannot be checked.
fn one_thread_only() -> Result<(), SandboxError> {
    match std::fs::read_dir("/proc/self/task").map(Iterator::count) {
        Ok(threads) if threads > 1 => Err(SandboxError::NotSingleThreaded(threads)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;
    use crate::process::Process;

    #[test]
    fn a_second_thread_is_refused_before_anything_is_closed() {
        std::thread::spawn(|| {
            let answer = close(&Policy::strict(Process::SniRouter), &Options::default());
            assert!(matches!(answer, Err(SandboxError::NotSingleThreaded(2..))), "{answer:?}");
        })
        .join()
        .unwrap();
    }

    #[test]
    fn off_says_so() {
        let options = Options { mode: Mode::Off, ..Options::default() };
        let report = close(&Policy::strict(Process::SniRouter), &options).unwrap();
        assert!(!report.holds());
        assert!(report.summary().contains("switched off"), "{}", report.summary());
    }

    #[test]
    fn the_modes_are_spelled_as_in_the_configuration() {
        for (mode, text) in [(Mode::BestEffort, "best-effort"), (Mode::Strict, "strict"), (Mode::Off, "off")] {
            assert_eq!(serde_json::to_string(&mode).unwrap(), format!("\"{text}\""));
        }
    }
}
