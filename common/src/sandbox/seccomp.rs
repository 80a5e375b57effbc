//! The system-call filter: an allow-list compiled from a [`Policy`], for all threads, for good.
//!
//! Anything not on the list answers `EPERM` and never kills: a library that probes for a feature must be able to carry on, and
//! the self-report must be able to try. Calls made through another architecture's entry (32-bit code on x86-64) kill the
//! process: no honest code of ours does that. [`compile`] is pure; [`apply`] installs.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use super::calls::{Lookup, lookup};
use super::outcome::Outcome;
use super::policy::{Argument, Policy, Test, Threads};

/// Name of the layer.
pub const LAYER: &str = "system calls";

/// What to do when it cannot be had.
pub const ADVICE: &str =
    "use a kernel with CONFIG_SECCOMP_FILTER; under a unit, let SystemCallFilter= pass seccomp and prctl";

/// Why a filter could not be made or installed.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// A policy names a call that nobody may allow.
    #[error("the policy names the system call '{0}', which no policy may allow; correct the process's sandbox.rs")]
    UnknownCall(&'static str),
    /// The compiler or the kernel refused.
    #[error("{0}")]
    Seccomp(String),
}

/// The programs of one policy, in the order in which they must be installed.
pub struct Programs {
    /// Answers `ENOSYS` to `clone3`, only for processes with helper threads. First, because the main filter forbids
    /// installing another one after it.
    no_clone3: Option<BpfProgram>,
    /// The allow-list.
    main: BpfProgram,
    /// How many calls are on it.
    allowed: usize,
}

/// Compiles a policy for the process `pid`.
///
/// # Errors
/// [`FilterError::UnknownCall`] when the policy is wrong; [`FilterError::Seccomp`] when the architecture is not supported.
pub fn compile(policy: &Policy, pid: u32) -> Result<Programs, FilterError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(seccomp_error)?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for permission in policy.permissions() {
        let number = match lookup(permission.call) {
            Lookup::Number(number) => number,
            Lookup::NotOnThisArchitecture => continue,
            Lookup::Unknown => return Err(FilterError::UnknownCall(permission.call)),
        };
        // An empty list of rules means "always": it swallows conditions, whichever comes first.
        let always = permission.when.is_empty() || rules.get(&number).is_some_and(Vec::is_empty);
        let entry = rules.entry(number).or_default();
        if always {
            entry.clear();
            continue;
        }
        for conditions in permission.when {
            let conditions =
                conditions.iter().map(|argument| condition(*argument, pid)).collect::<Result<Vec<_>, _>>()?;
            entry.push(SeccompRule::new(conditions).map_err(seccomp_error)?);
        }
    }
    let mut no_clone3 = None;
    if matches!(policy.threads, Threads::Few { .. }) {
        no_clone3 = Some(refuse_clone3(architecture)?);
        rules.insert(libc::SYS_clone3, Vec::new()); // the stricter of two filters wins: this one only lets ENOSYS through
    }
    let allowed = rules.len();
    let main = program(rules, SeccompAction::Errno(libc::EPERM.cast_unsigned()), SeccompAction::Allow, architecture)?;
    Ok(Programs { no_clone3, main, allowed })
}

/// Installs the programs for every thread. Needs `no_new_privs`, and cannot be undone.
///
/// # Errors
/// When the kernel refuses: it is built without seccomp, or an outer filter forbids the call.
pub fn apply(programs: &Programs) -> Result<Outcome, FilterError> {
    if let Some(first) = &programs.no_clone3 {
        seccompiler::apply_filter_all_threads(first).map_err(seccomp_error)?;
    }
    seccompiler::apply_filter_all_threads(&programs.main).map_err(seccomp_error)?;
    Ok(Outcome::holds(LAYER, format!("{} allowed, every other answers EPERM, all threads", programs.allowed)))
}

/// A filter that allows everything but `clone3`.
fn refuse_clone3(architecture: TargetArch) -> Result<BpfProgram, FilterError> {
    let rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    program(rules, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS.cast_unsigned()), architecture)
}

/// Compiles one filter.
fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
    architecture: TargetArch,
) -> Result<BpfProgram, FilterError> {
    let filter = SeccompFilter::new(rules, otherwise, matched, architecture).map_err(seccomp_error)?;
    BpfProgram::try_from(filter).map_err(seccomp_error)
}

/// Translates one condition.
fn condition(argument: Argument, pid: u32) -> Result<SeccompCondition, FilterError> {
    let (operator, value) = match argument.test {
        Test::Is(value) => (SeccompCmpOp::Eq, value),
        Test::Bits { mask, value } => (SeccompCmpOp::MaskedEq(u64::from(mask)), value),
        Test::OwnPid => (SeccompCmpOp::Eq, pid),
    };
    // All of these arguments are C ints: the kernel ignores the upper half, so the filter must, too.
    SeccompCondition::new(argument.index, SeccompCmpArgLen::Dword, operator, u64::from(value)).map_err(seccomp_error)
}

fn seccomp_error(error: impl std::fmt::Display) -> FilterError {
    FilterError::Seccomp(error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;
    use crate::process::Process;
    use crate::sandbox::policy::{Permission, allow};

    #[test]
    fn the_strict_policy_compiles_and_threads_add_a_second_program() {
        let strict = Policy::strict(Process::SniRouter);
        let programs = compile(&strict, 1).unwrap();
        assert!(programs.no_clone3.is_none() && programs.allowed > 40);
        let threads = Policy { threads: Threads::Few { why: "a test" }, ..strict };
        assert!(compile(&threads, 1).unwrap().no_clone3.is_some());
    }

    #[test]
    fn a_forbidden_call_in_a_policy_is_refused() {
        const CALLS: &[Permission] = &[allow("execve", "never")];
        let policy = Policy { calls: CALLS, ..Policy::strict(Process::SniRouter) };
        assert!(matches!(compile(&policy, 1), Err(FilterError::UnknownCall("execve"))));
    }
}
