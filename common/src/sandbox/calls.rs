//! Names of system calls and their numbers on this architecture.
//!
//! Only calls that some policy may name are here: a call that no process should ever make (`execve`, `ptrace`, `listen`,
//! `open`…) cannot even be spelled in a policy.

/// A call by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// It exists here, under this number.
    Number(i64),
    /// It exists on other architectures only; another call does its work here.
    NotOnThisArchitecture,
    /// Nobody may allow this, or it is misspelt.
    Unknown,
}

macro_rules! table {
    ($($name:literal = $number:ident),* $(,)?) => {
        /// Names and numbers.
        const NUMBERS: &[(&str, i64)] = &[$(($name, libc::$number)),*];
    };
}

table! {
    "accept4" = SYS_accept4, "bind" = SYS_bind, "brk" = SYS_brk, "clock_gettime" = SYS_clock_gettime,
    "clock_nanosleep" = SYS_clock_nanosleep, "clone" = SYS_clone, "close" = SYS_close, "connect" = SYS_connect,
    "epoll_create1" = SYS_epoll_create1, "epoll_ctl" = SYS_epoll_ctl, "epoll_pwait" = SYS_epoll_pwait,
    "eventfd2" = SYS_eventfd2, "exit" = SYS_exit, "exit_group" = SYS_exit_group, "fcntl" = SYS_fcntl,
    "futex" = SYS_futex, "getdents64" = SYS_getdents64, "getpeername" = SYS_getpeername, "getpid" = SYS_getpid,
    "getuid" = SYS_getuid, "geteuid" = SYS_geteuid, "getgid" = SYS_getgid, "getegid" = SYS_getegid,
    "getppid" = SYS_getppid, "getrandom" = SYS_getrandom, "getrusage" = SYS_getrusage, "getsockname" = SYS_getsockname,
    "getsockopt" = SYS_getsockopt, "gettid" = SYS_gettid, "ioctl" = SYS_ioctl, "lseek" = SYS_lseek,
    "madvise" = SYS_madvise, "mmap" = SYS_mmap, "mprotect" = SYS_mprotect, "mremap" = SYS_mremap,
    "munmap" = SYS_munmap, "openat" = SYS_openat, "pipe2" = SYS_pipe2, "ppoll" = SYS_ppoll, "prctl" = SYS_prctl,
    "read" = SYS_read, "readv" = SYS_readv, "recvfrom" = SYS_recvfrom, "recvmsg" = SYS_recvmsg, "restart_syscall" = SYS_restart_syscall, "rseq" = SYS_rseq,
    "rt_sigaction" = SYS_rt_sigaction, "rt_sigprocmask" = SYS_rt_sigprocmask, "rt_sigreturn" = SYS_rt_sigreturn,
    "sched_getaffinity" = SYS_sched_getaffinity, "sched_yield" = SYS_sched_yield, "sendmsg" = SYS_sendmsg, "sendto" = SYS_sendto, "set_robust_list" = SYS_set_robust_list,
    "setsockopt" = SYS_setsockopt, "shutdown" = SYS_shutdown, "sigaltstack" = SYS_sigaltstack,
    "socket" = SYS_socket, "socketpair" = SYS_socketpair, "splice" = SYS_splice, "tee" = SYS_tee,
    "tgkill" = SYS_tgkill, "write" = SYS_write, "writev" = SYS_writev,
}

/// The older calls that x86-64 kept and newer architectures never had.
#[cfg(target_arch = "x86_64")]
const ONLY_SOME: &[(&str, Option<i64>)] = &[("epoll_wait", Some(libc::SYS_epoll_wait)), ("poll", Some(libc::SYS_poll))];
#[cfg(not(target_arch = "x86_64"))]
const ONLY_SOME: &[(&str, Option<i64>)] = &[("epoll_wait", None), ("poll", None)];

/// Looks a name up.
#[must_use]
pub fn lookup(name: &str) -> Lookup {
    if let Some((_, number)) = NUMBERS.iter().find(|(known, _)| *known == name) {
        return Lookup::Number(*number);
    }
    match ONLY_SOME.iter().find(|(known, _)| *known == name) {
        Some((_, Some(number))) => Lookup::Number(*number),
        Some((_, None)) => Lookup::NotOnThisArchitecture,
        None => Lookup::Unknown,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;
    use crate::sandbox::policy::{BASE, GRANTED_PATHS, HELPER_THREADS, OUTBOUND};

    #[test]
    fn every_shared_permission_has_a_number_and_a_reason() {
        for permission in BASE.iter().chain(OUTBOUND).chain(HELPER_THREADS).chain(GRANTED_PATHS) {
            assert_ne!(lookup(permission.call), Lookup::Unknown, "{}", permission.call);
            assert!(permission.why.len() >= 5, "{} has no reason", permission.call);
        }
    }

    #[test]
    fn what_nobody_may_do_cannot_be_spelled() {
        for call in
            ["execve", "execveat", "ptrace", "listen", "open", "clone3", "fork", "vfork", "unshare", "mount", "kill"]
        {
            assert_eq!(lookup(call), Lookup::Unknown, "{call}");
        }
    }
}
