//! The cases. Each runs alone in a process of its own, with one thread, and panics when something is not as it should be.

mod refusals;
mod service;

use std::os::fd::BorrowedFd;

use common::process::Process;
use common::sandbox::{Identity, Mode, Options, Report, State, close};
use nix::unistd::geteuid;

use crate::policies;

/// One case.
pub struct Case {
    /// Its name on the command line and in the output.
    pub name: &'static str,
    /// What it does.
    pub run: fn(),
}

/// All of them.
pub const ALL: &[Case] = &[
    Case { name: "sni_router_acts_are_refused", run: || refusals::acts_are_refused(Process::SniRouter) },
    Case { name: "passthrough_relay_acts_are_refused", run: || refusals::acts_are_refused(Process::PassthroughRelay) },
    Case { name: "tls_terminator_acts_are_refused", run: || refusals::acts_are_refused(Process::TlsTerminator) },
    Case { name: "http_filter_acts_are_refused", run: || refusals::acts_are_refused(Process::HttpFilter) },
    Case { name: "forward_proxy_acts_are_refused", run: || refusals::acts_are_refused(Process::ForwardProxy) },
    Case { name: "relay_may_connect_and_ask_but_not_listen", run: refusals::relay_may_connect_and_ask_but_not_listen },
    Case { name: "strict_refuses_when_a_layer_is_missing", run: refusals::strict_refuses_when_a_layer_is_missing },
    Case { name: "rooms_made_by_the_service_manager_count", run: refusals::rooms_made_by_the_service_manager_count },
    Case { name: "best_effort_reports_a_missing_layer", run: refusals::best_effort_reports_a_missing_layer },
    Case { name: "without_the_filter_the_acts_tell", run: refusals::without_the_filter_the_acts_tell },
    Case { name: "root_needs_an_identity", run: refusals::root_needs_an_identity },
    Case { name: "strict_serves_when_all_holds", run: refusals::strict_serves_when_all_holds },
    Case { name: "only_kept_descriptors_stay", run: refusals::only_kept_descriptors_stay },
    Case { name: "a_granted_path_stays_open_and_no_other", run: refusals::a_granted_path_stays_open_and_no_other },
    Case { name: "a_received_tcp_socket_is_served", run: service::a_received_tcp_socket_is_served },
    Case { name: "a_message_carries_a_descriptor", run: service::a_message_carries_a_descriptor },
    Case { name: "the_next_process_is_reached_by_path", run: service::the_next_process_is_reached_by_path },
    Case { name: "timers_and_signals_work", run: service::timers_and_signals_work },
    Case { name: "cryptography_works", run: service::cryptography_works },
    Case { name: "relay_connects_splices_and_asks_by_udp", run: service::relay_connects_splices_and_asks_by_udp },
    Case { name: "helper_threads_only_where_granted", run: service::helper_threads_only_where_granted },
    Case { name: "a_process_ends_with_its_launcher", run: service::a_process_ends_with_its_launcher },
    Case { name: service::LAUNCHED, run: service::launched },
];

/// Closes a process's jail as the process itself would, best effort.
fn jail(process: Process, keep: &[BorrowedFd<'_>], edges: &[BorrowedFd<'_>]) -> Report {
    close(policies::of(process), &options(process, Mode::BestEffort, keep, edges)).unwrap()
}

/// The usual options: root becomes somebody.
fn options<'a>(process: Process, mode: Mode, keep: &'a [BorrowedFd<'a>], edges: &'a [BorrowedFd<'a>]) -> Options<'a> {
    let identity = geteuid().is_root().then(|| Identity::of(process));
    Options { mode, identity, keep, edges, open_files: None }
}

/// What a case must know of its machine; looked up before the jail, because nothing can be looked up after it.
struct Machine {
    root: bool,
    user_namespaces: bool,
    kernel: (u32, u32),
}

static MACHINE: std::sync::LazyLock<Machine> = std::sync::LazyLock::new(|| {
    let name = nix::sys::utsname::uname().unwrap();
    let mut numbers = name.release().to_str().unwrap().split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    let limit = std::fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    Machine {
        root: geteuid().is_root(),
        user_namespaces: limit.trim() != "0",
        kernel: (numbers.next().unwrap(), numbers.next().unwrap()),
    }
});

/// Call before a case.
pub fn look_around() {
    std::sync::LazyLock::force(&MACHINE);
}

/// Layers that this machine cannot be expected to have, so that the tests also say something useful on a lesser one.
fn excused() -> Vec<&'static str> {
    let mut excused = Vec::new();
    if !MACHINE.root && !MACHINE.user_namespaces {
        excused.push("namespaces");
    }
    if kernel() < (6, 12) {
        excused.push("landlock");
    }
    excused
}

/// Major and minor number of the running kernel.
fn kernel() -> (u32, u32) {
    MACHINE.kernel
}

/// Every layer stands, but for the excused.
fn assert_layers_hold(report: &Report, excused: &[&str]) {
    for layer in report.layers.iter().filter(|layer| !excused.contains(&layer.name.as_str())) {
        assert_eq!(layer.state, State::Holds, "{}\n{report}", layer.name);
    }
}

/// The answer to one act.
fn act<'a>(report: &'a Report, what: &str) -> &'a common::sandbox::Act {
    report.acts.iter().find(|act| act.what == what).unwrap_or_else(|| panic!("no act '{what}'"))
}
