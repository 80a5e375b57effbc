//! What a process may still do once its jail is closed, as data with a reason on every line.
//!
//! A policy is strict by default: what it does not name is refused. The [`BASE`] list holds what every process needs
//! (a single-threaded tokio runtime, IPC over `AF_UNIX`, memory, signals); the `sandbox.rs` of each process adds its own
//! few lines. This file decides nothing at run time and calls nothing; `seccomp.rs` and `landlock.rs` read it.
//!
//! What no list here may ever hold: opening or naming a file, starting a program, tracing or signalling another process,
//! listening, executable memory.

use crate::process::Process;

/// Everything one process may do after [`super::close`].
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Whose policy this is.
    pub process: Process,
    /// System calls beyond [`BASE`].
    pub calls: &'static [Permission],
    /// Whether the process may make network sockets of its own.
    pub network: Network,
    /// Helper threads.
    pub threads: Threads,
    /// Files and folders that may still be opened for reading. Normally none: what is needed is read before the jail.
    pub read_paths: &'static [PathGrant],
    /// Files and folders that may still be opened for writing and made new files in. Normally none.
    pub write_paths: &'static [PathGrant],
    /// Resource limits that differ from process to process.
    pub limits: Limits,
}

/// Whether a process may make `AF_INET`/`AF_INET6` sockets of its own. Sockets it *inherits* or is *handed* work fully
/// either way, also from inside an empty network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Only `AF_UNIX`; moved into an empty network namespace where the machine allows it.
    None,
    /// TCP and UDP sockets that connect outwards. Still no `listen`, no raw, packet or netlink socket.
    Outbound,
}

/// Whether a process may start threads. Starting a *process* is never possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// The one thread it has is the only one there will ever be.
    None,
    /// A few helpers.
    Few {
        /// What they are for.
        why: &'static str,
    },
}

/// A path that may be opened after the jail is closed.
#[derive(Debug, Clone, Copy)]
pub struct PathGrant {
    /// Absolute path of a file, or of a folder with everything in it.
    pub path: &'static str,
    /// The reason.
    pub why: &'static str,
}

/// Resource limits of one process. Core dumps, locked memory and message queues are 0 for everybody.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many descriptors the process wants to be able to hold; below it the report says so. The hard limit is used
    /// in full when it is higher.
    pub open_files: u64,
}

impl Limits {
    /// 16 384 descriptors: some thousand connections with two sockets and two pipe ends each.
    pub const DEFAULT: Self = Self { open_files: 16_384 };
}

/// One allowed system call.
#[derive(Debug, Clone, Copy)]
pub struct Permission {
    /// Its name in the kernel's table; a name this machine's architecture does not have is skipped.
    pub call: &'static str,
    /// Allowed only when one of these sets of conditions holds as a whole; an empty list means always.
    pub when: &'static [&'static [Argument]],
    /// Which code needs it and what for.
    pub why: &'static str,
}

/// A condition on one argument of a system call. Only the value itself can be judged: what a pointer points at (a path, an
/// address) is invisible to seccomp, which is why no call that takes a path is on any list.
#[derive(Debug, Clone, Copy)]
pub struct Argument {
    /// Which argument, from 0.
    pub index: u8,
    /// What it must be.
    pub test: Test,
}

/// What an argument must be.
#[derive(Debug, Clone, Copy)]
pub enum Test {
    /// Exactly this (32 bits).
    Is(u32),
    /// These bits (`mask`) must have this value (32 bits).
    Bits {
        /// Which bits are looked at.
        mask: u32,
        /// What they must be.
        value: u32,
    },
    /// The process's own id.
    OwnPid,
}

/// A call that is always allowed.
#[must_use]
pub const fn allow(call: &'static str, why: &'static str) -> Permission {
    Permission { call, when: &[], why }
}

/// A call that is allowed when one of the sets of conditions holds.
#[must_use]
pub const fn allow_when(call: &'static str, when: &'static [&'static [Argument]], why: &'static str) -> Permission {
    Permission { call, when, why }
}

/// Condition: argument `index` equals `value`.
#[must_use]
pub const fn is(index: u8, value: i32) -> Argument {
    Argument { index, test: Test::Is(value.cast_unsigned()) }
}

/// Condition: of argument `index`, the bits in `mask` equal `value`.
#[must_use]
pub const fn bits(index: u8, mask: i32, value: i32) -> Argument {
    Argument { index, test: Test::Bits { mask: mask.cast_unsigned(), value: value.cast_unsigned() } }
}

/// `fcntl` command that sets a pipe's capacity, for the policies of crates that do not know libc.
pub const F_SETPIPE_SZ: i32 = libc::F_SETPIPE_SZ;
/// `fcntl` command that reads a pipe's capacity.
pub const F_GETPIPE_SZ: i32 = libc::F_GETPIPE_SZ;

/// The bits of `socket`'s second argument that are the type; the rest are `SOCK_CLOEXEC` and `SOCK_NONBLOCK`.
const TYPE_BITS: i32 = 0xf;

/// What every process needs, and nothing that only one of them needs.
pub const BASE: &[Permission] = &[
    // The tokio runtime, one thread.
    allow("epoll_create1", "tokio: the event loop"),
    allow("epoll_ctl", "tokio: registering sockets"),
    allow("epoll_wait", "tokio: waiting"),
    allow("epoll_pwait", "tokio: waiting, on architectures without epoll_wait"),
    allow("eventfd2", "tokio: waking the event loop"),
    allow("poll", "std: waiting for one socket"),
    allow("ppoll", "std: waiting for one socket"),
    allow("futex", "locks; also taken without contention when a runtime is dropped"),
    allow("sched_yield", "tokio: spinning politely while a lock is held"),
    allow("sched_getaffinity", "std and glibc: how many processors there are"),
    allow("clock_gettime", "timers, where the vDSO cannot answer"),
    allow("clock_nanosleep", "std::thread::sleep"),
    allow("restart_syscall", "the kernel resumes an interrupted wait with it"),
    // Memory. Executable memory is refused for good.
    allow("brk", "malloc"),
    allow_when("mmap", &[&[bits(2, libc::PROT_EXEC, 0)]], "malloc: new memory, never executable"),
    allow_when("mprotect", &[&[bits(2, libc::PROT_EXEC, 0)]], "malloc: growing an arena, never executable"),
    allow("mremap", "malloc: growing a large block"),
    allow("munmap", "malloc: giving memory back"),
    allow("madvise", "malloc: giving memory back"),
    // Signals and the end.
    allow("rt_sigaction", "tokio: SIGTERM and SIGHUP handlers"),
    allow("rt_sigprocmask", "std: signal masks"),
    allow("rt_sigreturn", "coming back from a signal handler"),
    allow("sigaltstack", "std: the stack that reports a stack overflow"),
    allow_when("tgkill", &[&[Argument { index: 0, test: Test::OwnPid }]], "abort(): a signal to itself"),
    allow("getpid", "abort() and the log"),
    allow("gettid", "abort()"),
    allow("getppid", "cannot fail by contract: a refusal would be taken for a number"),
    allow("getuid", "cannot fail by contract: a refusal would be taken for a number"),
    allow("geteuid", "cannot fail by contract; IPC: is the peer the same user?"),
    allow("getgid", "cannot fail by contract: a refusal would be taken for a number"),
    allow("getegid", "cannot fail by contract: a refusal would be taken for a number"),
    allow("exit", "the end"),
    allow("exit_group", "the end"),
    // Descriptors that are already there.
    allow("read", "sockets, eventfd, inotify, the memory file of a reload"),
    allow("readv", "sockets, several buffers"),
    allow("write", "sockets, eventfd, the log on standard error"),
    allow("writev", "sockets, several buffers"),
    allow("close", "giving descriptors back"),
    allow_when(
        "fcntl",
        &[
            &[is(1, libc::F_DUPFD_CLOEXEC)],
            &[is(1, libc::F_GETFD)],
            &[is(1, libc::F_SETFD)],
            &[is(1, libc::F_GETFL)],
            &[is(1, libc::F_SETFL)],
            &[is(1, libc::F_GET_SEALS)],
        ],
        "duplicating a descriptor, reading and setting O_NONBLOCK; reload: is the memory file sealed that was handed over?",
    ),
    // The cast is between the two spellings of the same request number (musl has i32, glibc u64).
    #[allow(clippy::cast_possible_truncation)]
    allow_when(
        "ioctl",
        &[&[is(1, libc::FIONBIO as i32)], &[is(1, libc::FIONREAD as i32)], &[is(1, libc::TIOCOUTQ as i32)]],
        "std: set_nonblocking; how many bytes wait in a socket. No terminal, no interface, no device request",
    ),
    allow("getdents64", "the names in an edge's folder, whose descriptor was opened before"),
    allow("lseek", "back to the start of that folder, to read it again; reload: how large the memory file is"),
    // Sockets: AF_UNIX of one's own, any kind that was inherited or handed over.
    allow_when("socket", &[&[is(0, libc::AF_UNIX)]], "IPC: a channel to the next process"),
    allow_when("socketpair", &[&[is(0, libc::AF_UNIX)]], "tokio: the signal pipe; IPC: a stream to hand over"),
    allow("connect", "IPC: reaching the next process by the path of its socket"),
    allow("accept4", "inherited listening sockets"),
    allow("sendmsg", "IPC: messages with descriptors"),
    allow("recvmsg", "IPC: messages with descriptors"),
    allow("sendto", "send()"),
    allow("recvfrom", "recv(), MSG_PEEK"),
    allow("getsockopt", "SO_PEERCRED, SO_ERROR, SO_TYPE, TCP_INFO"),
    allow("setsockopt", "TCP_NODELAY, keep-alive, TCP_USER_TIMEOUT, SO_RCVLOWAT, buffer sizes"),
    allow("getsockname", "the address a client reached"),
    allow("getpeername", "the client's address"),
    allow("shutdown", "half-close"),
    // The rest.
    allow("getrandom", "hash seeds; the keys of aws-lc-rs"),
    allow("getrusage", "status: processor time used"),
];

/// What [`Network::Outbound`] adds. Neither call can be judged further by seccomp: the address lies behind a pointer.
///
/// `bind` cannot be told apart for UDP and TCP, nor port 0 from port 80. Landlock refuses it for every TCP port (kernel
/// 6.7 and newer), and `listen` is refused on every kernel, so a bound TCP socket never becomes a way in.
pub const OUTBOUND: &[Permission] = &[
    allow_when(
        "socket",
        &[
            &[is(0, libc::AF_INET), bits(1, TYPE_BITS, libc::SOCK_STREAM), is(2, 0)],
            &[is(0, libc::AF_INET), bits(1, TYPE_BITS, libc::SOCK_STREAM), is(2, libc::IPPROTO_TCP)],
            &[is(0, libc::AF_INET), bits(1, TYPE_BITS, libc::SOCK_DGRAM), is(2, 0)],
            &[is(0, libc::AF_INET), bits(1, TYPE_BITS, libc::SOCK_DGRAM), is(2, libc::IPPROTO_UDP)],
            &[is(0, libc::AF_INET6), bits(1, TYPE_BITS, libc::SOCK_STREAM), is(2, 0)],
            &[is(0, libc::AF_INET6), bits(1, TYPE_BITS, libc::SOCK_STREAM), is(2, libc::IPPROTO_TCP)],
            &[is(0, libc::AF_INET6), bits(1, TYPE_BITS, libc::SOCK_DGRAM), is(2, 0)],
            &[is(0, libc::AF_INET6), bits(1, TYPE_BITS, libc::SOCK_DGRAM), is(2, libc::IPPROTO_UDP)],
        ],
        "connecting to upstream servers (TCP) and asking name servers (UDP, TCP); no raw socket",
    ),
    allow("bind", "a name-server query leaves from a random UDP port"),
];

/// What [`Threads::Few`] adds. `clone3` hides its flags behind a pointer, so it answers `ENOSYS` and glibc takes `clone`.
pub const HELPER_THREADS: &[Permission] = &[
    allow_when(
        "clone",
        &[&[bits(
            0,
            libc::CLONE_THREAD | libc::CLONE_VM | libc::CLONE_SIGHAND | NEW_NAMESPACES,
            libc::CLONE_THREAD | libc::CLONE_VM | libc::CLONE_SIGHAND,
        )]],
        "a thread of this process; never a process, never a namespace",
    ),
    allow("set_robust_list", "glibc: a thread's start"),
    allow("rseq", "glibc: a thread's start"),
    allow_when("prctl", &[&[is(0, libc::PR_SET_NAME)]], "std: a thread's name"),
];

/// Every bit of `clone`'s flags that makes a namespace.
const NEW_NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWCGROUP;

/// What a policy with [`Policy::read_paths`] or [`Policy::write_paths`] adds; Landlock then decides which paths.
pub const GRANTED_PATHS: &[Permission] =
    &[allow("openat", "the granted paths; every other one is refused by Landlock")];

impl Policy {
    /// The strictest policy: [`BASE`] and nothing else. A process's own policy states only how it differs.
    #[must_use]
    pub const fn strict(process: Process) -> Self {
        Self {
            process,
            calls: &[],
            network: Network::None,
            threads: Threads::None,
            read_paths: &[],
            write_paths: &[],
            limits: Limits::DEFAULT,
        }
    }

    /// Whether any file may be opened at all.
    #[must_use]
    pub const fn opens_files(&self) -> bool {
        !self.read_paths.is_empty() || !self.write_paths.is_empty()
    }

    /// Every permission of this policy, the shared ones first.
    pub fn permissions(&self) -> impl Iterator<Item = &'static Permission> {
        let outbound = if self.network == Network::Outbound { OUTBOUND } else { &[] };
        let threads = if matches!(self.threads, Threads::Few { .. }) { HELPER_THREADS } else { &[] };
        let paths = if self.opens_files() { GRANTED_PATHS } else { &[] };
        BASE.iter().chain(outbound).chain(threads).chain(paths).chain(self.calls)
    }
}
