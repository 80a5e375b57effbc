//! Landlock: no file, no TCP port, no abstract Unix socket and no other process, except what the policy names.
//!
//! Everything that the crate knows up to ABI 10 is asked for and the kernel gives what it has; what it lacks is a gap that
//! names the kernel it takes, and that another layer may cover. Two things Landlock never touches: descriptors that are
//! already open, and connecting to Unix sockets by path before ABI 9 (group permissions of the socket do that).

use std::os::fd::BorrowedFd;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};

use super::outcome::{Cover, Outcome};
use super::policy::{Network, PathGrant, Policy};

/// Name of the layer.
pub const LAYER: &str = "landlock";

/// The newest interface whose every right was weighed for this program.
const NEWEST: ABI = ABI::V10;

const ADVICE: &str = "use Linux 6.12 or newer with Landlock in the kernel's lsm= list";

/// What was reached.
pub struct Restricted {
    /// For the report.
    pub outcome: Outcome,
    /// Whether abstract Unix sockets from before are out of reach.
    pub scoped: bool,
}

/// Closes this layer. `edges`: folders in which the process connects to the sockets of the next ones.
#[must_use]
pub fn restrict(policy: &Policy, edges: &[BorrowedFd<'_>]) -> Restricted {
    let mut scoped = false;
    let outcome = match build(policy, edges).and_then(RulesetCreated::restrict_self) {
        Ok(status) => match status.landlock {
            LandlockStatus::NotEnabled => Outcome::absent(LAYER, "switched off at boot", ADVICE),
            LandlockStatus::NotImplemented => Outcome::absent(LAYER, "not in this kernel", ADVICE),
            LandlockStatus::Available { effective_abi, .. } => {
                scoped = effective_abi >= ABI::V6;
                report(policy, effective_abi)
            }
        },
        Err(error) => Outcome::absent(LAYER, error.to_string(), ADVICE),
    };
    Restricted { outcome, scoped }
}

/// The rules of a policy.
fn build(policy: &Policy, edges: &[BorrowedFd<'_>]) -> Result<RulesetCreated, RulesetError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(ports(policy.network))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    for edge in edges {
        rules = rules.add_rule(PathBeneath::new(edge, AccessFs::ResolveUnix))?;
    }
    if let Some(path) = notify_socket() {
        rules = grant(rules, &path, AccessFs::ResolveUnix.into())?;
    }
    for PathGrant { path, .. } in policy.read_paths {
        rules = grant(rules, path, AccessFs::ReadFile | AccessFs::ReadDir)?;
    }
    for PathGrant { path, .. } in policy.write_paths {
        let write = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg;
        rules = grant(rules, path, write)?;
    }
    Ok(rules)
}

/// Which port rights are refused. Outbound processes keep connecting and asking name servers; binding a TCP port is for
/// nobody.
fn ports(network: Network) -> BitFlags<AccessNet> {
    match network {
        Network::None => AccessNet::from_all(NEWEST),
        Network::Outbound => AccessNet::BindTcp.into(),
    }
}

/// Grants rights beneath a path. A path that is not there grants nothing.
fn grant(rules: RulesetCreated, path: &str, rights: BitFlags<AccessFs>) -> Result<RulesetCreated, RulesetError> {
    let Ok(fd) = PathFd::new(path) else { return Ok(rules) };
    let is_folder = std::fs::metadata(path).is_ok_and(|found| found.is_dir());
    let rights = if is_folder { rights } else { rights & AccessFs::from_file(NEWEST) };
    rules.add_rule(PathBeneath::new(fd, rights))
}

/// The service manager's socket, to which READY, WATCHDOG and STOPPING go. (An abstract one cannot be named here and is out
/// of reach once the jail is closed.)
fn notify_socket() -> Option<String> {
    std::env::var("NOTIFY_SOCKET").ok().filter(|path| path.starts_with('/'))
}

/// What this kernel's version of Landlock leaves open, and who covers it.
fn report(policy: &Policy, abi: ABI) -> Outcome {
    let mut outcome = Outcome::holds(LAYER, format!("ABI {}: no path", abi as i32));
    outcome.advice = ADVICE;
    if policy.opens_files() {
        outcome.done.push_str(" but the policy's");
    }
    if abi >= ABI::V4 {
        outcome.done.push_str(if policy.network == Network::None { ", no TCP port" } else { ", no TCP bind" });
    } else {
        outcome.gap("TCP ports (Linux 6.7)", Cover::SystemCalls); // no socket at all, or bind without listen
    }
    if abi >= ABI::V6 {
        outcome.done.push_str(", no abstract Unix socket, no signal outwards");
    } else {
        outcome.gap("signals outwards (Linux 6.12)", Cover::SystemCalls);
        outcome.gap("abstract Unix sockets (Linux 6.12)", Cover::Network);
    }
    // Truncating and moving files (ABI 2, 3) and requests to device files (ABI 5) need an open or a call with a path, and the
    // filter has neither; with granted paths it cannot help.
    if policy.opens_files() && abi < ABI::V5 {
        outcome.gap("truncating files, device requests (Linux 6.10)", Cover::Nothing);
    }
    outcome
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;
    use crate::process::Process;
    use crate::sandbox::outcome::Held;
    use crate::sandbox::report::State;

    #[test]
    fn an_old_kernel_is_enough_where_other_layers_cover_it() {
        let without_network = Policy::strict(Process::TlsTerminator);
        let relay = Policy { network: Network::Outbound, ..Policy::strict(Process::PassthroughRelay) };
        let isolated = Held { system_calls: true, network: true };
        let outbound = Held { system_calls: true, network: false };
        // Debian 12: Linux 6.1, ABI 2.
        assert_eq!(report(&without_network, ABI::V2).judge(isolated).state, State::Holds);
        let State::Partly(cause) = report(&relay, ABI::V2).judge(outbound).state else { panic!("must be partial") };
        assert_eq!(cause, "abstract Unix sockets (Linux 6.12)");
        assert_eq!(report(&relay, ABI::V6).judge(outbound).state, State::Holds);
        assert!(matches!(report(&without_network, ABI::V2).judge(Held::default()).state, State::Partly(_)));
    }
}
