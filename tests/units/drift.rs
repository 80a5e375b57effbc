//! Units, code and documents say the same. Nothing here needs root or a running systemd.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use common::process::Process;
use common::wiring::{EDGES, Edge, OBSERVE, control_socket, instance_socket};
use harness::binaries;

use crate::unit_file::{self, UnitFile, folder, read, service};

/// Longest line of system calls in a unit.
const WIDTH: usize = 120;
/// Keys in which the services of the five processes may differ, because their jobs do.
const OWN: [&str; 19] = [
    "Description",
    "Wants",
    "After",
    "Before",
    "ExecStart",
    "Sockets",
    "User",
    "Group",
    "SupplementaryGroups",
    "CPUSchedulingPolicy",
    "RootDirectory",
    "BindReadOnlyPaths",
    "LoadCredential",
    "RestrictAddressFamilies",
    "PrivateNetwork",
    "IPAddressDeny",
    "SocketBindDeny",
    "LimitNOFILE",
    "FileDescriptorStoreMax",
];

/// What the process says of itself.
fn calls_of(process: Process) -> Vec<String> {
    let output = Command::new(binaries::path(process.name())).arg("--syscalls").output().expect("it is built");
    assert!(output.status.success(), "{process} --syscalls: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("names are text");
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_system_calls_of_a_unit_are_those_of_the_processes_own_policy() {
    for process in Process::ALL {
        let calls = calls_of(process);
        assert!(calls.len() > 60, "{process} names {} system calls", calls.len());
        if std::env::var_os("BLESS").is_some() {
            write_calls(process, &calls);
        }
        let help = "BLESS=1 cargo test -p tests --test units drift writes them anew";
        assert_eq!(service(process).words("SystemCallFilter"), calls, "{process}: {help}");
    }
}

#[test]
fn the_page_of_figures_is_closed_in_like_a_process() {
    let unit = read("bulkhead-metrics.service");
    assert_eq!(shared(&unit), shared(&service(Process::SniRouter)));
    assert_eq!(unit.words("SystemCallFilter"), calls_of(Process::SniRouter), "its policy is the same: the strict one");
    assert_eq!(unit.words("SupplementaryGroups"), ["bulkhead-observe"], "it asks, and can order nothing");
    assert!(!unit.words("BindReadOnlyPaths").iter().any(|path| path.contains("control")));
    assert_eq!(unit.one("Sockets"), "bulkhead-metrics.socket");
    assert_eq!(read("bulkhead-metrics.socket").one("FileDescriptorName"), "metrics");
}

/// In place of the lines that are there.
fn write_calls(process: Process, calls: &[String]) {
    const KEY: &str = "SystemCallFilter=";
    let mut lines = vec![KEY.to_owned()];
    for call in calls {
        let last = lines.last_mut().expect("never empty");
        if last.len() + call.len() >= WIDTH {
            lines.push(format!("{KEY}{call}"));
            continue;
        }
        let gap = if last.len() == KEY.len() { "" } else { " " };
        *last = format!("{last}{gap}{call}");
    }
    let path = folder().join(format!("bulkhead-{process}@.service"));
    let text = fs::read_to_string(&path).expect("it is there");
    let first = text.find(KEY).expect("a unit has a list of system calls");
    let (before, rest) = text.split_at(first);
    let rest: String = rest.lines().skip_while(|line| line.starts_with(KEY)).map(|line| format!("{line}\n")).collect();
    fs::write(path, format!("{before}{}\n{rest}", lines.join("\n"))).expect("our own tree");
}

#[test]
fn every_edge_has_its_socket_its_group_and_its_folder() {
    let (users, folders) = (text("sysusers.d/bulkhead.conf"), text("tmpfiles.d/bulkhead.conf"));
    let runtime = Path::new("/run/bulkhead");
    for edge in EDGES.into_iter().filter(|edge| !edge.is_succession()) {
        let (name, group, receiver) = (edge.name, edge.group, edge.receiver);
        let directory = edge.directory(runtime).display().to_string();
        let socket = read(&format!("bulkhead-{name}@.socket"));
        assert_eq!(socket.one("ListenSequentialPacket"), format!("{directory}/%i.sock"));
        assert_eq!(socket.one("FileDescriptorName"), edge.descriptor_name());
        assert_eq!(socket.one("Service"), format!("bulkhead-{receiver}@%i.service"));
        assert_eq!((socket.one("SocketGroup"), socket.one("SocketMode")), (group, "0660"));
        assert!(service(receiver).words("Sockets").contains(&format!("bulkhead-{name}@%i.socket").as_str()), "{name}");
        let sender = service(edge.sender);
        assert!(sender.words("SupplementaryGroups").contains(&group), "{name}: the sender is not in {group}");
        assert!(
            sender.words("BindReadOnlyPaths").contains(&directory.as_str()),
            "{name}: the sender sees no {directory}"
        );
        assert!(users.contains(&format!("\ng {group} ")), "sysusers.d: {group}");
        assert!(folders.contains(&format!("\nd {directory} 0750 root {group} ")), "tmpfiles.d: {directory}");
    }
    let sockets = unit_file::names().into_iter().filter(|name| name.contains("-to-")).count();
    assert_eq!(sockets, EDGES.len(), "a socket for an edge that does not exist");
}

#[test]
fn every_succession_has_one_letter_box_that_only_its_own_process_may_use() {
    let (users, folders) = (text("sysusers.d/bulkhead.conf"), text("tmpfiles.d/bulkhead.conf"));
    for edge in EDGES.into_iter().filter(Edge::is_succession) {
        let (name, process) = (edge.name, edge.sender);
        let directory = edge.directory(Path::new("/run/bulkhead")).display().to_string();
        let socket = read(&format!("bulkhead-{name}.socket"));
        assert_eq!(
            socket.one("ListenSequentialPacket"),
            edge.socket(Path::new("/run/bulkhead"), 1).display().to_string()
        );
        assert_eq!(socket.one("FileDescriptorName"), edge.descriptor_name());
        assert_eq!((socket.one("SocketGroup"), socket.one("SocketMode")), (edge.group, "0660"));
        assert_eq!(socket.one("PartOf"), "bulkhead.target", "it outlives every instance");
        assert!(service(process).words("Sockets").contains(&format!("bulkhead-{name}.socket").as_str()), "{name}");
        assert!(service(process).words("BindReadOnlyPaths").contains(&directory.as_str()), "{process}: {directory}");
        let group = edge.group;
        let kind = if group == process.user() { "u" } else { "g" };
        assert!(users.contains(&format!("\n{kind} {group} ")), "sysusers.d: {group}");
        assert!(folders.contains(&format!("\nd {directory} 0750 root {group} ")), "tmpfiles.d: {directory}");
    }
}

#[test]
fn nobody_has_a_group_or_a_folder_of_an_edge_he_does_not_send_on() {
    for process in Process::ALL {
        let sends: Vec<_> = EDGES.iter().filter(|edge| edge.sender == process).collect();
        let unit = service(process);
        let groups: BTreeSet<&str> = unit.words("SupplementaryGroups").into_iter().collect();
        let further = sends.iter().map(|edge| edge.group).filter(|group| *group != process.user());
        assert_eq!(groups, further.collect(), "{process}: groups");
        let folders: BTreeSet<String> = unit.words("BindReadOnlyPaths").into_iter().map(str::to_owned).collect();
        let folders: BTreeSet<&str> = folders.iter().filter_map(|path| path.strip_prefix("/run/bulkhead/")).collect();
        assert_eq!(folders, sends.iter().map(|edge| edge.name).collect(), "{process}: folders");
    }
}

#[test]
fn every_process_has_its_user_its_control_socket_and_its_program() {
    let (users, folders) = (text("sysusers.d/bulkhead.conf"), text("tmpfiles.d/bulkhead.conf"));
    for process in Process::ALL {
        let unit = service(process);
        let program = format!("/usr/lib/bulkhead/{process}");
        let start = format!("{program} --config /etc/bulkhead/bulkhead.toml --instance %i");
        assert_eq!(unit.one("ExecStart"), start);
        assert_eq!((unit.one("User"), unit.one("Group")), (process.user(), process.user()));
        assert!(unit.words("BindReadOnlyPaths").contains(&program.as_str()));
        assert!(users.contains(&format!("\nu {} ", process.user())), "sysusers.d: {}", process.user());
        assert!(folders.contains(&format!("\nd {} ", unit.one("RootDirectory"))), "tmpfiles.d: the root of {process}");
        let control = read(&format!("bulkhead-{process}-control@.socket"));
        let path = control_socket(Path::new("/run/bulkhead"), process, 1).display().to_string();
        assert_eq!(control.one("ListenSequentialPacket"), path.replace("-1.sock", "-%i.sock"));
        assert_eq!((control.one("FileDescriptorName"), control.one("SocketMode")), ("control", "0600"));
        assert!(unit.words("Sockets").contains(&format!("bulkhead-{process}-control@%i.socket").as_str()));
        let observe = read(&format!("bulkhead-{process}-observe@.socket"));
        let path = format!("/run/bulkhead/{OBSERVE}/{}", instance_socket(process, 1));
        assert_eq!(observe.one("ListenSequentialPacket"), path.replace("-1.sock", "-%i.sock"));
        assert_eq!((observe.one("FileDescriptorName"), observe.one("SocketGroup")), (OBSERVE, "bulkhead-observe"));
        assert!(unit.words("Sockets").contains(&format!("bulkhead-{process}-observe@%i.socket").as_str()));
    }
}

#[test]
fn receivers_start_before_senders_and_stop_after_them() {
    // Whoever comes before a stage is up when the stage is reached, and down only when it is left.
    let stage_after = |process: Process| -> Vec<String> {
        let unit = service(process);
        let stages = unit.words("Before").into_iter().filter(|unit| unit.starts_with("bulkhead-stage-"));
        stages.map(str::to_owned).collect()
    };
    let comes_after = |process: Process| -> Vec<Process> {
        let unit = service(process);
        let stages = unit.words("After");
        let reached = |other: &Process| stage_after(*other).iter().any(|stage| stages.contains(&stage.as_str()));
        Process::ALL.into_iter().filter(reached).collect()
    };
    for edge in EDGES.into_iter().filter(|edge| !edge.is_succession()) {
        let direct = comes_after(edge.sender);
        let earlier: Vec<Process> = direct.iter().flat_map(|process| comes_after(*process)).collect();
        let earliest: Vec<Process> = earlier.iter().flat_map(|process| comes_after(*process)).collect();
        let all = [direct, earlier, earliest].concat();
        assert!(all.contains(&edge.receiver), "{}: {} must start after {}", edge.name, edge.sender, edge.receiver);
    }
}

#[test]
fn the_services_are_alike_but_for_their_jobs() {
    let first = service(Process::SniRouter);
    for process in Process::ALL {
        assert_eq!(shared(&service(process)), shared(&first), "{process} and sni-router");
    }
    // Only one has a network, and only one has keys.
    for process in Process::ALL {
        let closed = service(process).all("PrivateNetwork") == ["yes"];
        assert_eq!(closed, process != Process::PassthroughRelay, "{process}");
    }
}

/// The lines in which services must not differ.
fn shared(unit: &UnitFile) -> Vec<(String, String)> {
    let alike = |key: &str| !OWN.contains(&key) && !["SystemCallFilter", "WantedBy", "DefaultInstance"].contains(&key);
    let lines = unit.lines.iter().filter(|line| alike(&line.key));
    lines.map(|line| (line.key.clone(), line.value.clone())).collect()
}

#[test]
fn no_process_is_given_the_secrets_of_another() {
    for process in Process::ALL {
        for credential in service(process).all("LoadCredential") {
            assert_eq!(credential, format!("{process}:/etc/bulkhead/secrets/{process}"));
        }
        assert_eq!(service(process).one("InaccessiblePaths"), "-+/etc/bulkhead/secrets");
    }
    assert_eq!(service(Process::TlsTerminator).all("LoadCredential").len(), 1);
}

#[test]
fn every_directive_has_its_reason_in_the_readme() {
    let readme = text("README.md");
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("=` | "));
    let reasons: Vec<(&str, &str)> = rows.collect();
    let mut used = BTreeSet::new();
    for unit in unit_file::names().iter().map(|name| read(name)).chain(examples()) {
        used.extend(unit.lines.into_iter().map(|line| line.key));
    }
    for key in &used {
        let reason =
            reasons.iter().find(|(name, _)| name == key).map(|(_, reason)| reason.trim_end_matches(['|', ' ']));
        assert!(reason.is_some_and(|reason| reason.len() >= 15), "systemd/README.md gives no reason for {key}=");
    }
    for (key, _) in reasons {
        assert!(used.contains(key), "systemd/README.md explains {key}=, which no unit uses");
    }
}

/// The drop-ins that administrators copy.
fn examples() -> Vec<UnitFile> {
    let files = fs::read_dir(folder().join("examples")).expect("examples are there").flatten();
    let files = files.filter(|file| file.path().extension().is_some_and(|end| end == "conf" || end == "socket"));
    let units: Vec<UnitFile> = files
        .map(|file| {
            let text = fs::read_to_string(file.path()).expect("a text");
            UnitFile::parse(&file.file_name().to_string_lossy(), &text)
        })
        .collect();
    assert!(units.len() >= 4, "examples are missing");
    units
}

fn text(name: &str) -> String {
    let path = folder().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("systemd/{name}: {error}"))
}
