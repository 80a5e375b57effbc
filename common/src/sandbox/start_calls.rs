//! System calls between `execve` and the closed jail: what a unit's `SystemCallFilter=` must let through beyond the policy.
//!
//! The jail's own filter comes last and takes all of these away again. The unit's filter holds during the start, and behind the
//! jail's as a second wall that another program has built. `PROCESS --syscalls` prints the sum; a test compares the units.

use std::collections::BTreeSet;

use super::policy::Policy;
use crate::process::Process;

/// Name, and what needs it during the start. A unit starts the process as its own user without a capability, so changing ids
/// and giving capabilities back are not here; nor is choosing a scheduler, which the unit of sni-router does.
const START: &[(&str, &str)] = &[
    // The dynamic loader, libc and std before main.
    ("execve", "systemd starts the program; nothing can be started later"),
    ("access", "loader: /etc/ld.so.preload"),
    ("arch_prctl", "loader: thread-local storage on x86-64"),
    ("set_tid_address", "libc: the main thread"),
    ("set_robust_list", "libc: the main thread"),
    ("rseq", "libc: the main thread"),
    ("prlimit64", "libc: stack size; the jail's limits"),
    ("openat", "loader: libraries; configuration, certificates, folders of edges"),
    ("newfstatat", "loader and std: size of a file"),
    ("fstat", "loader and std: size of a file"),
    ("fstatfs", "Landlock and std: kind of file system"),
    ("statx", "std: size and kind of a file"),
    ("pread64", "loader: headers of a library"),
    ("getcwd", "std: absolute paths"),
    ("readlink", "std: /proc/self; the jail: which namespaces hold"),
    ("readlinkat", "the jail: which namespaces hold"),
    ("uname", "the jail: which kernel"),
    // Taking over what was inherited and opening what is needed.
    ("close_range", "closing what leaked in"),
    ("inotify_init1", "watching the folder of an edge"),
    ("inotify_add_watch", "watching the folder of an edge"),
    ("socket", "the service manager's notification socket"),
    ("bind", "the bait of the self-report: an abstract Unix socket"),
    ("listen", "the bait of the self-report"),
    // Closing the jail.
    ("prctl", "no new privileges, not dumpable, bounding set, secure bits, executable memory"),
    ("capget", "looking whether capabilities are gone"),
    ("landlock_create_ruleset", "Landlock"),
    ("landlock_add_rule", "Landlock"),
    ("landlock_restrict_self", "Landlock"),
    ("seccomp", "the jail's own, smaller filter"),
    // Helper threads start before and after; glibc tries clone3 first and takes the refusal.
    ("clone3", "glibc: a thread, where the policy allows threads"),
];

/// What http-filter alone needs during its start: it makes its journal when the service manager has none (decision 0033).
const JOURNAL: &[&str] = &["memfd_create", "ftruncate"];

/// Every system call of the life of a process under this policy, by name, sorted.
#[must_use]
pub fn unit_calls(policy: &Policy) -> Vec<&'static str> {
    let threads = matches!(policy.threads, super::Threads::Few { .. });
    let start = START.iter().map(|(call, _)| *call).filter(|call| *call != "clone3" || threads);
    let journal = JOURNAL.iter().copied().filter(|_| policy.process == Process::HttpFilter);
    let all: BTreeSet<&'static str> =
        start.chain(journal).chain(policy.permissions().map(|permission| permission.call)).collect();
    all.into_iter().collect()
}
