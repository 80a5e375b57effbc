//! The self-report: after the jail is closed, really try what must fail.
//!
//! A policy says what should hold; only an attempt shows what does. Every act here is harmless where it is let through and
//! leaves no descriptor, file or process behind. The ones that need the kernel's bare interface are in [`crate::sys::probe`].

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener, UnixStream};

use nix::errno::Errno;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::policy::{Network, Policy, Threads};
use super::report::Act;
use crate::sys::probe;

/// `AF_ALG`, which rustix does not name: the kernel's ciphers as sockets.
const KERNEL_CRYPTO: AddressFamily = AddressFamily::from_raw(38);

/// What is laid out before the jail is closed, so that the acts have something to reach for.
pub struct Bait {
    /// A listener with an abstract name, in the network namespace and Landlock domain from before.
    listener: Option<(UnixListener, UnixAddr)>,
    /// The root folder, opened before.
    root: Option<OwnedFd>,
}

/// What depends on the machine rather than on the policy.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances {
    /// The bait's abstract socket lies in another network namespace or Landlock scope, so reaching it must fail. False only
    /// where a service manager made the namespace (the bait is inside it, too) and the kernel has no scopes.
    pub abstract_out_of_reach: bool,
}

impl Bait {
    /// Lays it out.
    #[must_use]
    pub fn lay() -> Self {
        let random = RandomState::new().build_hasher().finish();
        let name = format!("bulkhead-self-test-{}-{random:x}", std::process::id());
        let listener = UnixAddr::from_abstract_name(name)
            .and_then(|address| UnixListener::bind_addr(&address).map(|listener| (listener, address)))
            .ok();
        let root = rustix::fs::openat(CWD, "/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok();
        Self { listener, root }
    }

    /// The descriptors that must survive the closing of all others.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.listener.iter().map(|(listener, _)| listener.as_fd()).chain(self.root.iter().map(AsFd::as_fd))
    }
}

/// When an act must be refused.
#[derive(Clone, Copy)]
enum Forbidden {
    /// Always.
    Always,
    /// To processes without a network of their own.
    WithoutNetwork,
    /// To processes without helper threads.
    WithoutThreads,
    /// Unless the circumstances say otherwise.
    WhereScoped,
}

/// One act.
struct Attempt {
    what: &'static str,
    forbidden: Forbidden,
    run: fn(&Bait) -> io::Result<()>,
}

/// An act that must always be refused.
const fn never(what: &'static str, run: fn(&Bait) -> io::Result<()>) -> Attempt {
    Attempt { what, forbidden: Forbidden::Always, run }
}

/// An act that only a process with a network of its own may do.
const fn network(what: &'static str, run: fn(&Bait) -> io::Result<()>) -> Attempt {
    Attempt { what, forbidden: Forbidden::WithoutNetwork, run }
}

/// Everything that is tried, by kind.
const ATTEMPTS: &[Attempt] = &[
    // Files
    never("read /etc/passwd", |_| fs::File::open("/etc/passwd").map(drop)),
    never("read /etc/shadow", |_| fs::File::open("/etc/shadow").map(drop)),
    never("read /proc/self/environ", |_| fs::File::open("/proc/self/environ").map(drop)),
    never("read /etc/passwd through an open folder", read_through_open_folder),
    never("list /", |_| fs::read_dir("/").map(drop)),
    never("see whether /etc/shadow exists", |_| fs::symlink_metadata("/etc/shadow").map(drop)),
    never("create a file in /tmp", create_file),
    never("change permissions of a file", |_| probe::change_mode()),
    never("delete a file", |_| probe::delete()),
    // Network
    network("make a TCP socket over IPv4", |_| make(AddressFamily::INET, SocketType::STREAM).map(drop)),
    network("make a TCP socket over IPv6", |_| make(AddressFamily::INET6, SocketType::STREAM).map(drop)),
    network("make a UDP socket", |_| make(AddressFamily::INET, SocketType::DGRAM).map(drop)),
    network("connect to 127.0.0.1:9", |_| connect((Ipv4Addr::LOCALHOST, 9).into())),
    network("connect to [::1]:9", |_| connect((Ipv6Addr::LOCALHOST, 9).into())),
    never("listen on a TCP port", |_| listen()),
    never("make a raw socket", |_| make(AddressFamily::INET, SocketType::RAW).map(drop)),
    never("make a netlink socket", |_| make(AddressFamily::NETLINK, SocketType::RAW).map(drop)),
    never("make a packet socket", |_| make(AddressFamily::PACKET, SocketType::RAW).map(drop)),
    never("make a VM socket", |_| make(AddressFamily::VSOCK, SocketType::STREAM).map(drop)),
    never("make a kernel-crypto socket", |_| make(KERNEL_CRYPTO, SocketType::SEQPACKET).map(drop)),
    Attempt { what: "reach an abstract Unix socket", forbidden: Forbidden::WhereScoped, run: reach_abstract },
    // Programs and other processes
    never("start a program", |_| probe::execute()),
    never("fork", |_| probe::fork()),
    Attempt { what: "start a thread", forbidden: Forbidden::WithoutThreads, run: start_thread },
    never("trace a process", |_| probe::trace()),
    never("read its parent's memory", |_| probe::read_foreign_memory()),
    never("signal process 1", |_| signal_init()),
    // Rights
    never("become root", |_| become_root()),
    never("become dumpable again", |_| probe::become_dumpable()),
    never("mount", |_| probe::mount()),
    never("leave a namespace", |_| probe::unshare()),
    never("enter a namespace", |_| probe::enter_namespace()),
    // Code
    never("take writable and executable memory", |_| probe::writable_code()),
    never("make data executable", |_| probe::code_from_data()),
    never("make a file in memory", |_| probe::memory_file()),
    // Kernel interfaces with a history
    never("bpf", |_| probe::bpf()),
    never("io_uring", |_| probe::io_uring()),
    never("userfaultfd", |_| probe::userfaultfd()),
    never("performance counters", |_| probe::performance_counters()),
    never("kernel keyring", |_| probe::keyring()),
    never("System V shared memory", |_| probe::shared_memory()),
    never("load a kernel module", |_| probe::kernel_module()),
];

/// Tries everything, in order.
#[must_use]
pub fn try_all(policy: &Policy, bait: &Bait, circumstances: Circumstances) -> Vec<Act> {
    ATTEMPTS
        .iter()
        .map(|attempt| {
            let expected_refused = match attempt.forbidden {
                Forbidden::Always => true,
                Forbidden::WithoutNetwork => policy.network == Network::None,
                Forbidden::WithoutThreads => policy.threads == Threads::None,
                Forbidden::WhereScoped => circumstances.abstract_out_of_reach,
            };
            let (refused, answer) = match (attempt.run)(bait) {
                Ok(()) => (false, "ok".to_owned()),
                Err(error) => (is_refusal(&error), name(&error)),
            };
            Act { what: attempt.what.to_owned(), refused, answer, expected_refused }
        })
        .collect()
}

/// The same from a process that has not closed its jail: shows which walls others (the unit) have built.
#[must_use]
pub fn try_bare(policy: &Policy) -> Vec<Act> {
    try_all(policy, &Bait::lay(), Circumstances { abstract_out_of_reach: false })
}

/// Whether an error means "you may not" or "there is no such thing here", as opposed to "that makes no sense", which only a
/// kernel says that has looked at the request.
fn is_refusal(error: &io::Error) -> bool {
    matches!(
        Errno::from_raw(error.raw_os_error().unwrap_or(0)),
        Errno::EPERM
            | Errno::EACCES
            | Errno::ENOSYS
            | Errno::EAFNOSUPPORT
            | Errno::ESOCKTNOSUPPORT
            | Errno::EPROTONOSUPPORT
            | Errno::ENETUNREACH  // an empty network namespace
            | Errno::EAGAIN // fork and thread: RLIMIT_NPROC
    )
}

/// The error's name in the kernel's spelling.
fn name(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => format!("{:?}", Errno::from_raw(number)),
        None => error.to_string(),
    }
}

fn read_through_open_folder(bait: &Bait) -> io::Result<()> {
    let Some(root) = &bait.root else { return Err(Errno::EACCES.into()) };
    rustix::fs::openat(root, "etc/passwd", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(())
}

fn create_file(_: &Bait) -> io::Result<()> {
    let path = format!("/tmp/bulkhead-self-test-{}", std::process::id());
    let file = fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    drop(file);
    fs::remove_file(path)
}

fn make(family: AddressFamily, kind: SocketType) -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?)
}

/// Non-blocking: an answer of "in progress" or "connection refused" means that the kernel went out to look.
fn connect(to: SocketAddr) -> io::Result<()> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = make(family, SocketType::STREAM)?;
    Ok(rustix::net::connect(&socket, &to)?)
}

/// A port of the kernel's choice on the loopback, for the shortest of moments.
fn listen() -> io::Result<()> {
    let socket = make(AddressFamily::INET, SocketType::STREAM)?;
    let bound = rustix::net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    rustix::net::listen(&socket, 1)?; // even unbound it would listen on some port
    Ok(bound?)
}

/// "Connection refused" is a refusal here: the bait is listening, so the name must be out of sight.
fn reach_abstract(bait: &Bait) -> io::Result<()> {
    let Some((_, address)) = &bait.listener else { return Err(Errno::EACCES.into()) };
    match UnixStream::connect_addr(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Err(Errno::EACCES.into()),
        other => other.map(drop),
    }
}

fn start_thread(_: &Bait) -> io::Result<()> {
    let thread = std::thread::Builder::new().name("self-test".to_owned()).spawn(|| {})?;
    thread.join().map_err(|_| io::Error::other("the thread died"))
}

/// In a user namespace where uid 0 does not exist, the kernel says "invalid" for "never".
fn become_root() -> io::Result<()> {
    match probe::become_root() {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Err(Errno::EPERM.into()),
        other => other,
    }
}

fn signal_init() -> io::Result<()> {
    Ok(nix::sys::signal::kill(nix::unistd::Pid::from_raw(1), None)?)
}
