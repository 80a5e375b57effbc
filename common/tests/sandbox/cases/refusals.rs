//! What must fail does, and a wall that is missing is noticed.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};

use common::process::Process;
use common::sandbox::policy::{PathGrant, Policy};
use common::sandbox::{Identity, Mode, Options, SandboxError, State, close};
use nix::unistd::geteuid;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use super::{act, assert_layers_hold, excused, jail, kernel, options};
use crate::policies;

/// From inside each process's own jail.
pub fn acts_are_refused(process: Process) {
    let expected = if geteuid().is_root() { Identity::of(process).uid } else { geteuid().as_raw() };
    let report = jail(process, &[], &[]);
    println!("{report}");
    assert_eq!(report.process, process);
    assert_layers_hold(&report, &excused());
    let open: Vec<_> = report.acts.iter().filter(|act| !act.as_expected()).collect();
    let scopes = excused().contains(&"landlock");
    assert!(open.is_empty() || scopes && open.iter().all(|act| act.what.contains("abstract")), "{report}");
    assert!(report.acts.iter().filter(|act| act.expected_refused).count() >= 32, "{report}");
    assert_eq!(report.uid, expected);
    assert_ne!(report.uid, 0);
}

/// The one process with a network of its own.
pub fn relay_may_connect_and_ask_but_not_listen() {
    let report = jail(Process::PassthroughRelay, &[], &[]);
    for what in ["make a TCP socket over IPv4", "make a UDP socket", "connect to 127.0.0.1:9"] {
        let act = act(&report, what);
        assert!(!act.refused && !act.expected_refused, "{act:?}");
    }
    for what in ["listen on a TCP port", "make a raw socket", "make a netlink socket", "make a packet socket"] {
        assert!(act(&report, what).refused, "{report}");
    }
    if kernel() >= (6, 7) {
        let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
        let bound = std::net::TcpListener::bind(any);
        assert_eq!(bound.unwrap_err().raw_os_error(), Some(libc::EACCES), "Landlock refuses to bind TCP ports");
    }
}

/// An outer filter, as a service manager or a container might set it, that refuses one call (with an argument) by an error.
fn refuse_beforehand(call: i64, first_argument: Option<i32>, error: i32) {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let condition = |value: i32| {
        let condition =
            SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::from(value.cast_unsigned()));
        SeccompRule::new(vec![condition.unwrap()]).unwrap()
    };
    let rules = BTreeMap::from([(call, first_argument.map(condition).into_iter().collect())]);
    let refuse = SeccompAction::Errno(error.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture).unwrap();
    seccompiler::apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

/// A layer is taken away by an outer filter; strict names it.
pub fn strict_refuses_when_a_layer_is_missing() {
    refuse_beforehand(libc::SYS_unshare, None, libc::EPERM);
    let policy = policies::of(Process::TlsTerminator);
    let answer = close(policy, &options(Process::TlsTerminator, Mode::Strict, &[], &[]));
    let Err(SandboxError::Layer { layer, cause, advice }) = &answer else { panic!("{answer:?}") };
    assert_eq!(layer, "namespaces");
    assert!(cause.contains("network namespace"), "{cause}");
    assert!(advice.contains("systemd units"), "{advice}");
}

/// Under a tight unit the process may not make namespaces, but they are there: strict must see that, not refuse to serve.
pub fn rooms_made_by_the_service_manager_count() {
    if !geteuid().is_root() || !excused().is_empty() {
        return; // only root can play the service manager
    }
    use nix::sched::CloneFlags;
    nix::sched::unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS).unwrap();
    refuse_beforehand(libc::SYS_unshare, None, libc::EPERM);
    refuse_beforehand(libc::SYS_socket, Some(libc::AF_INET), libc::EAFNOSUPPORT);
    refuse_beforehand(libc::SYS_socket, Some(libc::AF_INET6), libc::EAFNOSUPPORT);
    let policy = policies::of(Process::TlsTerminator);
    let report = close(policy, &options(Process::TlsTerminator, Mode::Strict, &[], &[])).unwrap();
    let layer = report.layers.iter().find(|layer| layer.name == "namespaces").unwrap();
    assert_eq!(layer.detail, "made by the service manager: network, IPC, host name");
}

/// The same without strict: it serves, says what is missing, and the other layers still hold.
pub fn best_effort_reports_a_missing_layer() {
    refuse_beforehand(libc::SYS_landlock_create_ruleset, None, libc::EPERM);
    let report = jail(Process::TlsTerminator, &[], &[]);
    assert!(!report.holds());
    let landlock = report.layers.iter().find(|layer| layer.name == "landlock").unwrap();
    assert!(matches!(landlock.state, State::Absent(_)), "{landlock:?}");
    let mut excused = excused();
    excused.push("landlock");
    assert_layers_hold(&report, &excused);
    assert!(report.acts.iter().all(common::sandbox::Act::as_expected), "{report}");
    assert!(report.summary().contains("landlock: absent"), "{}", report.summary());
}

/// The self-report is no formality: without the system-call filter it finds what is open.
pub fn without_the_filter_the_acts_tell() {
    refuse_beforehand(libc::SYS_seccomp, None, libc::EPERM);
    let report = jail(Process::TlsTerminator, &[], &[]);
    let filter = report.layers.iter().find(|layer| layer.name == "system calls").unwrap();
    assert!(matches!(filter.state, State::Absent(_)), "{filter:?}");
    // Not among them: "start a program". Where a bulkhead runs beside this test under the same user, the limit of processes
    // refuses that too.
    for what in ["make a file in memory", "trace a process", "see whether /etc/shadow exists"] {
        let act = act(&report, what);
        assert!(!act.refused && !act.as_expected(), "{act:?}");
    }
    // Landlock, the limits and the lost rights still do their part.
    for what in ["read /etc/passwd", "list /", "create a file in /tmp", "become root", "mount", "fork"] {
        assert!(act(&report, what).refused, "{report}");
    }
    assert!(report.summary().contains("NOT REFUSED: "), "{}", report.summary());
}

/// Root without anybody to become is a missing layer, not a success.
pub fn root_needs_an_identity() {
    if !geteuid().is_root() {
        return; // an ordinary user already is somebody
    }
    let policy = policies::of(Process::SniRouter);
    let answer = close(policy, &Options { mode: Mode::Strict, ..Options::default() });
    assert!(matches!(&answer, Err(SandboxError::Layer { layer, .. }) if layer == "identity"), "{answer:?}");
    assert!(answer.unwrap_err().to_string().contains("still root"));
}

/// On a machine that has everything, strict is no obstacle.
pub fn strict_serves_when_all_holds() {
    if !excused().is_empty() {
        return;
    }
    let policy = policies::of(Process::HttpFilter);
    let report = close(policy, &options(Process::HttpFilter, Mode::Strict, &[], &[])).unwrap();
    assert!(report.holds(), "{report}");
}

/// A leaked descriptor is gone, a kept one stays, and neither the jail nor its acts leave any behind.
pub fn only_kept_descriptors_stay() {
    let _leaked = std::fs::File::open("/etc/passwd").unwrap().into_raw_fd();
    let table: OwnedFd = std::fs::File::open("/proc/self/fd").unwrap().into();
    let (kept, _closed) = std::os::unix::net::UnixStream::pair().unwrap();
    let _ = _closed.into_raw_fd();
    let report = jail(Process::HttpFilter, &[table.as_fd(), kept.as_fd()], &[]);
    assert_layers_hold(&report, &excused());

    let mut names = Vec::new();
    let mut buffer = [MaybeUninit::uninit(); 1024];
    let mut folder = rustix::fs::RawDir::new(&table, &mut buffer);
    while let Some(entry) = folder.next() {
        names.push(entry.unwrap().file_name().to_str().unwrap().to_owned());
    }
    names.retain(|name| !name.starts_with('.'));
    let mut expected: Vec<String> = ["0", "1", "2"].map(str::to_owned).into();
    expected.extend([&table.as_fd(), &kept.as_fd()].map(|fd| std::os::fd::AsRawFd::as_raw_fd(fd).to_string()));
    names.sort();
    expected.sort();
    assert_eq!(names, expected);
}

/// The way for a process that will one day need a file after all.
pub fn a_granted_path_stays_open_and_no_other() {
    const PATHS: &[PathGrant] = &[PathGrant { path: "/etc/hostname", why: "a test" }];
    let policy = Policy { read_paths: PATHS, ..*policies::of(Process::HttpFilter) };
    let report = close(&policy, &options(Process::HttpFilter, Mode::BestEffort, &[], &[])).unwrap();
    assert!(act(&report, "read /etc/passwd").refused, "{report}");
    if !excused().contains(&"landlock") && std::path::Path::new("/etc/hostname").exists() {
        std::fs::File::open("/etc/hostname").unwrap();
    }
    assert!(std::fs::File::open("/etc/passwd").is_err());
}
