//! Rights are given back for good: root's identity, every capability, the chance to gain new ones, and readable memory.
//!
//! Order inside: what needs a capability (bounding set, secure bits, groups, ids) before the capabilities go; the signal for
//! the starter's death and "not dumpable" after the ids have changed, because the kernel resets both when they do.

use caps::CapSet;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, getgrouplist, seteuid, setgroups, setresgid, setresuid};

use super::outcome::{Cover, Outcome};
use crate::process::Process;
use crate::sys::jail;

/// Set by the front door for the processes it starts: they end when it does.
pub const LAUNCHER_VARIABLE: &str = "BULKHEAD_LAUNCHER";

/// Above the number of every capability there is or is likely to be (Linux 6.18 has 41).
const CAPABILITIES: u32 = 64;

/// Whom a process started as root becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// For the report: the name of the user, or the number where there is none of that name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups: one per edge on which the process may connect.
    pub groups: Vec<u32>,
}

impl Identity {
    /// The identity of a process on this machine: its own user with all its groups if the machine has it, otherwise the
    /// number from [`Process::fallback_id`]. Reads the user database, so ask before the jail is closed.
    #[must_use]
    pub fn of(process: Process) -> Self {
        let name = process.user();
        let Ok(Some(user)) = User::from_name(name) else {
            let id = process.fallback_id();
            return Self { name: format!("{id} (no user {name})"), uid: id, gid: id, groups: Vec::new() };
        };
        let groups = std::ffi::CString::new(name).ok().and_then(|name| getgrouplist(&name, user.gid).ok());
        let groups = groups.unwrap_or_default().into_iter().filter(|gid| *gid != user.gid).map(Gid::as_raw).collect();
        Self { name: name.to_owned(), uid: user.uid.as_raw(), gid: user.gid.as_raw(), groups }
    }

    /// Adds a supplementary group by name. Answers whether the machine has it.
    pub fn join(&mut self, group: &str) -> bool {
        let Ok(Some(found)) = Group::from_name(group) else { return false };
        let gid = found.gid.as_raw();
        if gid != self.gid && !self.groups.contains(&gid) {
            self.groups.push(gid);
        }
        true
    }
}

/// What the process must know to end with its starter.
pub struct Launcher {
    parent: u32,
    signal: Signal,
}

impl Launcher {
    /// Notes who started us, before anything can change. `None` when nobody asked for it.
    #[must_use]
    pub fn note() -> Option<Self> {
        std::env::var_os(LAUNCHER_VARIABLE)?;
        let signal = prctl::get_pdeathsig().ok().flatten().unwrap_or(Signal::SIGTERM);
        Some(Self { parent: std::os::unix::process::parent_id(), signal })
    }

    /// Asks for the signal again. Answers `false` when the starter is already gone.
    fn renew(&self) -> nix::Result<bool> {
        prctl::set_pdeathsig(self.signal)?;
        Ok(std::os::unix::process::parent_id() == self.parent)
    }
}

/// What [`drop`] achieved, one outcome per layer.
pub struct Dropped {
    /// For the report.
    pub outcomes: Vec<Outcome>,
    /// The starter died while the jail was being closed: the process has nobody to serve.
    pub orphaned: bool,
}

/// Gives every right back.
#[must_use]
pub fn drop(identity: Option<&Identity>, launcher: Option<&Launcher>) -> Dropped {
    let mut capabilities = Outcome::holds("capabilities", "every set empty");
    empty_bounding_set(&mut capabilities);
    let who = become_nobody_special(identity);
    empty_sets(&mut capabilities);
    let privileges = match prctl::set_no_new_privs() {
        Ok(()) => Outcome::holds("no new privileges", "set"),
        Err(error) => Outcome::absent("no new privileges", error.to_string(), "use Linux 3.5 or newer"),
    };
    let mut orphaned = false;
    let mut memory = unreadable_memory();
    if let Some(launcher) = launcher {
        match launcher.renew() {
            Ok(same) => orphaned = !same,
            Err(error) => memory.done.push_str(&format!(", will not notice its starter's death ({error})")),
        }
    }
    Dropped { outcomes: vec![who, capabilities, privileges, memory], orphaned }
}

/// What no program started later could get. (None can be started: the filter covers a refusal.)
fn empty_bounding_set(outcome: &mut Outcome) {
    for capability in 0..CAPABILITIES {
        if let Err(error) = jail::drop_from_bounding_set(capability) {
            if error.raw_os_error() != Some(libc::EINVAL) {
                outcome.gap(format!("bounding set: {error}"), Cover::SystemCalls);
            }
            break; // EINVAL: past the kernel's last one
        }
    }
    match jail::lock_secure_bits() {
        Ok(()) => outcome.done.push_str(", secure bits locked"),
        Err(error) => outcome.gap(format!("secure bits: {error}"), Cover::SystemCalls),
    }
}

/// Empties what the process itself holds, and looks whether it is true.
fn empty_sets(outcome: &mut Outcome) {
    for set in [CapSet::Ambient, CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        // What is empty is left alone: a unit's filter may refuse the call that would change nothing.
        let left = match caps::read(None, set) {
            Ok(held) if held.is_empty() => continue,
            _ => caps::clear(None, set).and_then(|()| caps::read(None, set)),
        };
        match left {
            Ok(left) if left.is_empty() => {}
            Ok(left) => outcome.gap(format!("{set:?} still holds {}", left.len()), Cover::Nothing),
            Err(error) => outcome.gap(format!("{set:?}: {error}"), Cover::Nothing),
        }
    }
}

/// Changes the identity when started as root, and tries to come back.
fn become_nobody_special(identity: Option<&Identity>) -> Outcome {
    const LAYER: &str = "identity";
    const ADVICE: &str = "start as the process's own user, or as root with an identity to change to";
    if !geteuid().is_root() {
        let mut outcome = Outcome::holds(LAYER, format!("started as uid {} gid {}", geteuid(), getegid()));
        outcome.advice = ADVICE;
        root_is_out_of_reach(&mut outcome);
        return outcome;
    }
    let Some(identity) = identity else {
        return Outcome::absent(LAYER, "still root: no identity to change to was given", ADVICE);
    };
    let mut outcome = Outcome::holds(LAYER, format!("root became {}", identity.name));
    outcome.advice = ADVICE;
    if let Err(error) = switch(identity) {
        outcome.gap(format!("changing to {}: {error}", identity.name), Cover::Nothing);
    }
    root_is_out_of_reach(&mut outcome);
    outcome
}

/// Groups first, then group, then user: each step needs the rights that the last one gives up.
fn switch(identity: &Identity) -> nix::Result<()> {
    let groups: Vec<Gid> = identity.groups.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups)?;
    let gid = Gid::from_raw(identity.gid);
    setresgid(gid, gid, gid)?;
    let uid = Uid::from_raw(identity.uid);
    setresuid(uid, uid, uid)
}

/// Tries to become root again.
fn root_is_out_of_reach(outcome: &mut Outcome) {
    match seteuid(Uid::from_raw(0)) {
        Err(Errno::EPERM | Errno::EINVAL) => {} // EINVAL: uid 0 does not exist in our user namespace
        Err(error) => outcome.gap(format!("trying to become root again answered {error}"), Cover::Nothing),
        Ok(()) => outcome.gap("root could be regained", Cover::Nothing),
    }
}

/// No debugger, no core dump, no `/proc/self/mem` for others of the same user; no memory both writable and executable.
fn unreadable_memory() -> Outcome {
    let mut outcome = Outcome::holds("memory", "not dumpable");
    if let Err(error) = prctl::set_dumpable(false) {
        outcome.gap(format!("still dumpable: {error}"), Cover::Nothing);
    }
    match jail::refuse_executable_memory() {
        Ok(()) => outcome.done.push_str(", never writable and executable"),
        Err(error) => outcome.gap(format!("refusing executable memory (Linux 6.3): {error}"), Cover::SystemCalls),
    }
    outcome
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn without_its_user_a_process_gets_its_own_number() {
        let identity = Identity::of(Process::HttpFilter);
        if User::from_name(Process::HttpFilter.user()).unwrap().is_none() {
            assert_eq!((identity.uid, identity.gid), (61_003, 61_003));
        }
        assert!(identity.uid != 0 && identity.gid != 0);
    }

    #[test]
    fn joining_an_unknown_group_says_so() {
        let mut identity = Identity::of(Process::HttpFilter);
        assert!(!identity.join("bulkhead-no-such-group"));
        assert!(identity.join("daemon"), "every Linux has the group daemon");
        assert!(identity.join("daemon"));
        assert_eq!(identity.groups.len(), 1);
    }
}
