//! Empty rooms: a network namespace with nothing in it, and private System V IPC and host name.
//!
//! Sockets that were inherited or are handed over keep belonging to the room they were made in and work fully; Unix sockets
//! with a path are reached by their path from any network namespace (abstract ones are not, which is wanted).
//!
//! As an ordinary user a user namespace is needed first, which the kernel allows only a process with one thread. Under a
//! systemd unit `RestrictNamespaces=` refuses all of it, but the unit has already made the rooms: then the layer holds from
//! outside, if there is evidence for it.

use std::fs;
use std::io;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use rustix::net::{AddressFamily, SocketType, socket};

use super::outcome::{Cover, Outcome};
use super::policy::{Network, Policy};

/// Name of the layer.
pub const LAYER: &str = "namespaces";

/// What to do when they cannot be had.
const ADVICE: &str = "allow user namespaces (sysctl user.max_user_namespaces; kernel.apparmor_restrict_unprivileged_userns=0; \
    in a container its seccomp profile), start as root, or run under the systemd units, which make them";

/// Numbers of the first namespaces of the system, which are part of the kernel's interface (`include/linux/proc_ns.h`).
const FIRST_IPC: &str = "ipc:[4026531839]";
const FIRST_UTS: &str = "uts:[4026531838]";

/// What was reached.
pub struct Rooms {
    /// For the report.
    pub outcome: Outcome,
    /// Whether the process is now in a network namespace with nothing in it.
    pub network: Held,
}

/// Whether an empty network namespace holds, and who made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// We made it.
    Made,
    /// It was there when we started (a unit with `PrivateNetwork=yes`).
    FromOutside,
    /// Not, or the policy does not want it.
    No,
}

/// Enters the rooms that the policy allows.
#[must_use]
pub fn enter(policy: &Policy) -> Rooms {
    let wants_network = policy.network == Network::None;
    let quiet = CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    let all = if wants_network { quiet | CloneFlags::CLONE_NEWNET } else { quiet };
    let how = match make(all) {
        Ok(how) => how,
        Err(error) => return from_outside(wants_network, error),
    };
    let what = if wants_network { "own empty network, IPC and host name" } else { "own IPC and host name" };
    let mut outcome = Outcome::holds(LAYER, what);
    outcome.advice = ADVICE;
    match how {
        How::Plain => {}
        How::UserNamespace(Ok(())) => outcome.done.push_str(", in a user namespace"),
        How::UserNamespace(Err(error)) => {
            outcome.gap(format!("user and group could not be mapped into the user namespace: {error}"), Cover::Nothing);
        }
    }
    Rooms { outcome, network: if wants_network { Held::Made } else { Held::No } }
}

/// Which way the namespaces were made.
enum How {
    /// With root's rights.
    Plain,
    /// Through a user namespace, and whether our ids exist in it.
    UserNamespace(io::Result<()>),
}

/// Makes the namespaces, through a user namespace where the plain way is refused.
fn make(flags: CloneFlags) -> nix::Result<How> {
    if unshare(flags).is_ok() {
        return Ok(How::Plain);
    }
    let (uid, gid) = (geteuid(), getegid());
    unshare(flags | CloneFlags::CLONE_NEWUSER)?;
    // Same ids inside as outside, so that SO_PEERCRED means the same to everybody.
    let map = || {
        fs::write("/proc/self/setgroups", "deny")?; // the kernel's condition for mapping a group without rights
        fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
        fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
    };
    Ok(How::UserNamespace(map()))
}

/// Looks for evidence that somebody else has already made the rooms.
fn from_outside(wants_network: bool, refusal: Errno) -> Rooms {
    let mut outcome = Outcome::holds(LAYER, "");
    outcome.advice = ADVICE;
    let mut network = Held::No;
    let mut held = Vec::new();
    if wants_network {
        if network_is_empty() {
            network = Held::FromOutside;
            held.push("network");
        } else {
            outcome.gap(format!("network namespace: {refusal}"), Cover::Nothing);
        }
    }
    for (what, path, first) in [("IPC", "/proc/self/ns/ipc", FIRST_IPC), ("host name", "/proc/self/ns/uts", FIRST_UTS)]
    {
        match fs::read_link(path) {
            Ok(link) if link.as_os_str() != first => held.push(what),
            _ => outcome.gap(format!("{what} namespace: {refusal}"), Cover::SystemCalls),
        }
    }
    outcome.done = if held.is_empty() {
        "none made".to_owned()
    } else {
        format!("made by the service manager: {}", held.join(", "))
    };
    Rooms { outcome, network }
}

/// Whether every network family is refused already and no route leads anywhere: what a unit with `PrivateNetwork=yes` and
/// `RestrictAddressFamilies=AF_UNIX` looks like from inside.
fn network_is_empty() -> bool {
    let refused = |family| socket(family, SocketType::STREAM, None).is_err();
    let no_route = fs::read_to_string("/proc/self/net/route").is_ok_and(|table| table.lines().count() <= 1);
    refused(AddressFamily::INET) && refused(AddressFamily::INET6) && no_route
}
