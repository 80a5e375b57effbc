//! Negative controls: is what the units forbid really refused, by the units alone?
//!
//! `PROCESS --acts` tries inside the unit what the process's own sandbox must forbid, *without* closing that sandbox, so what is
//! refused is refused by the unit. Then single settings are lifted, and an act must become possible: that shows that the
//! setting was at work, and that the control would notice if systemd ignored it. Last, the kernel is asked about the living
//! processes: namespaces, capabilities, filters, what lies below their root.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use common::process::Process;
use common::wiring::EDGES;
use harness::clients::{raw, tunnel};
use harness::{needs, within};

use crate::machine::Machine;
use crate::world::{HTTP, PROXY, WWW, World, unit};

/// What the unit cannot refuse, because the start of the process needs the same call. The process's own sandbox, which closes
/// after the start, refuses every one of them (see [`crate::serving`]).
const LEFT_TO_THE_PROCESS: [&str; 8] = [
    "read /etc/passwd",        // its own root holds a copy, for the names of users
    "read /etc/shadow",        // not there: ENOENT
    "read /proc/self/environ", // its own
    "read /etc/passwd through an open folder",
    "list /",                         // its own root, see `the_root_of_a_process_holds_next_to_nothing`
    "see whether /etc/shadow exists", // ENOENT
    "start a program",                // ENOENT: there is none; execve itself starts the process
    "become dumpable again",          // prctl closes the sandbox
];

/// Act → whether it was refused.
type Acts = BTreeMap<String, bool>;

/// Runs `PROCESS --acts` in the unit of instance 9, with further settings.
fn acts(machine: &Machine, process: Process, settings: &str) -> Acts {
    let unit = format!("bulkhead-{process}@9.service");
    let text = format!(
        "[Service]\nType=oneshot\nRestart=no\nWatchdogSec=0\nSockets=\nExecStart=\n\
         ExecStart=/usr/lib/bulkhead/{process} --acts\nStandardOutput=file:/run/acts\n{settings}\n"
    );
    machine.write("/run/acts", "");
    machine.drop_in(&unit, Some(&text));
    machine.systemctl(&["start", &unit]);
    machine.drop_in(&unit, None);
    let text = fs::read_to_string(machine.path("/run/acts")).expect("systemd wrote it");
    let line = |line: &str| {
        let mut fields = line.split('\t');
        let verdict = fields.next().expect("a verdict");
        (fields.nth(2).unwrap_or_else(|| panic!("no act in {line:?}")).to_owned(), verdict == "refused")
    };
    let acts: Acts = text.lines().map(line).collect();
    assert!(acts.len() > 35, "{process} tried {} acts: {text}", acts.len());
    acts
}

/// What passthrough-relay may do because it is the one that connects.
fn is_the_relays(act: &str) -> bool {
    let outbound = [
        "make a TCP socket over IPv4",
        "make a TCP socket over IPv6",
        "make a UDP socket",
        "connect to 127.0.0.1:9",
        "connect to [::1]:9",
        // SocketBindDeny= refuses it where systemd is built with BPF (257); 252 of Debian 12 is not. The process's own
        // sandbox does on both.
        "listen on a TCP port",
    ];
    outbound.contains(&act)
}

#[test]
fn what_a_unit_forbids_is_refused_without_the_processes_own_sandbox() {
    within(120, || {
        let Some(world) = World::install("what_a_unit_forbids") else { return };
        for process in Process::ALL {
            for (act, refused) in acts(&world.machine, process, "") {
                let excused = LEFT_TO_THE_PROCESS.contains(&act.as_str())
                    || act == "reach an abstract Unix socket" // the bait lies in the same namespace
                    // It makes its journal at its first start; its own filter, behind the unit's, refuses it afterwards.
                    || process == Process::HttpFilter && act == "make a file in memory"
                    || process == Process::PassthroughRelay && is_the_relays(&act)
                    // They check passwords and inspect bodies in threads, and a unit's seccomp cannot tell a thread from a process by name alone.
                    || matches!(process, Process::ForwardProxy | Process::HttpFilter)
                        && ["fork", "start a thread"].contains(&act.as_str());
                assert!(refused || excused, "{process} could {act}: a setting of its unit is not enforced");
            }
        }
    });
}

#[test]
fn lifting_a_setting_makes_an_act_possible() {
    within(120, || {
        let Some(world) = World::install("lifting_a_setting") else { return };
        let calls = "SystemCallFilter=\nSystemCallFilter=~reboot\n"; // an empty list would end the allow-list, this one does, too
        let cases: [(&str, String, &str); 8] = [
            ("SystemCallFilter=", calls.to_owned(), "make a file in memory"),
            ("SystemCallFilter= and PrivateTmp=, UMask=", calls.to_owned(), "create a file in /tmp"),
            ("RestrictAddressFamilies=", "RestrictAddressFamilies=\n".to_owned(), "make a TCP socket over IPv4"),
            ("RestrictAddressFamilies=", "RestrictAddressFamilies=\n".to_owned(), "make a netlink socket"),
            (
                "MemoryDenyWriteExecute=",
                "MemoryDenyWriteExecute=no\n".to_owned(),
                "take writable and executable memory",
            ),
            ("RestrictNamespaces=", format!("RestrictNamespaces=no\n{calls}"), "leave a namespace"),
            ("SystemCallFilter=", calls.to_owned(), "fork"),
            (
                "PrivateNetwork=",
                "PrivateNetwork=no\nIPAddressDeny=\nRestrictAddressFamilies=\n".to_owned(),
                "connect to 127.0.0.1:9",
            ),
        ];
        let shipped = acts(&world.machine, Process::SniRouter, "");
        for (setting, lifted, act) in cases {
            assert_eq!(shipped.get(act), Some(&true), "{act} is not refused by the unit as shipped");
            let found = acts(&world.machine, Process::SniRouter, &lifted);
            assert_eq!(found.get(act), Some(&false), "{act} is refused without {setting}: this control shows nothing");
        }
    });
}

#[test]
fn the_kernel_confirms_the_walls_of_every_living_process() {
    within(120, || {
        let Some(world) = World::start("the_kernel_confirms") else { return };
        let machine = &world.machine;
        let namespace = |path: std::path::PathBuf| fs::read_link(path).expect("root may look");
        let mut networks = Vec::new();
        for process in Process::ALL {
            let unit = unit(process);
            let status = fs::read_to_string(machine.proc(&unit, "status")).expect("it lives");
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                line.unwrap_or_else(|| panic!("no {name} in /proc/PID/status")).trim().to_owned()
            };
            for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                assert_eq!(field(set), "0000000000000000", "{process}: {set}"); // it could not empty CapBnd itself
            }
            assert_eq!(field("NoNewPrivs"), "1", "{process}");
            let filters: u32 = field("Seccomp_filters").parse().expect("a number");
            assert!(filters >= 3, "{process}: {filters} filters: the unit's and the process's own");
            let root = format!("/proc/{}", machine.main_pid(&unit));
            for kind in ["mnt", "ipc", "uts", "user"] {
                let own = namespace(machine.proc(&unit, &format!("ns/{kind}")));
                assert_ne!(own, namespace(machine.path(&format!("/proc/1/ns/{kind}"))), "{process}: {kind}");
            }
            let network = namespace(machine.proc(&unit, "ns/net"));
            let outside = network == namespace(machine.path("/proc/1/ns/net"));
            assert_eq!(outside, process == Process::PassthroughRelay, "{process}: only the relay has the network");
            if !outside {
                assert!(!networks.contains(&network), "{process} shares an empty network with another process");
                networks.push(network);
            }
            let user = machine.run("id", &["-u", process.user()]);
            assert_eq!(
                field("Uid").split_whitespace().next(),
                Some(user.trim()),
                "{process} runs as its own user ({root})"
            );
        }
    });
}

#[test]
fn the_root_of_a_process_holds_next_to_nothing() {
    within(120, || {
        let Some(world) = World::start("the_root_of_a_process") else { return };
        for process in Process::ALL {
            let list = |inside: &str| -> Vec<String> {
                let folder = world.machine.proc(&unit(process), &format!("root{inside}"));
                let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{process}: {inside}: {error}"));
                let mut names: Vec<String> =
                    entries.flatten().filter_map(|it| it.file_name().into_string().ok()).collect();
                names.sort();
                names
            };
            let exists = |inside: &str| world.machine.proc(&unit(process), &format!("root{inside}")).exists();
            assert_eq!(list("/usr/lib/bulkhead"), [process.name()], "only its own program");
            for absent in ["/bin", "/sbin", "/usr/bin", "/root", "/var/lib", "/etc/shadow", "/boot", "/opt", "/srv"] {
                let empty = !exists(absent) || list(absent).is_empty();
                assert!(empty, "{process} sees {absent}: {:?}", list(absent));
            }
            let allowed = ["bulkhead", "group", "hosts", "localtime", "passwd", "resolv.conf"];
            let mut etc = list("/etc");
            if process == Process::HttpFilter {
                // The authorities of the system, where it has them; of that folder nothing else.
                // And Debian's rules against web attacks.
                etc.retain(|name| !["ssl", "pki", "modsecurity"].contains(&name.as_str()));
                let keys = exists("/etc/ssl/private") && !list("/etc/ssl/private").is_empty();
                assert!(!keys && (!exists("/etc/ssl/certs") || list("/etc/ssl/certs") == ["ca-certificates.crt"]));
            }
            assert!(etc.iter().all(|name| allowed.contains(&name.as_str())), "{process}: /etc holds {etc:?}");
            let mut sockets = Vec::new();
            sockets_below(&world.machine.proc(&unit(process), "root/run"), &mut sockets);
            for socket in sockets {
                let own =
                    EDGES.iter().any(|edge| edge.sender == process && socket.contains(&format!("/{}/", edge.name)));
                // 257 binds the journal's sockets as well.
                let of_systemd = socket.ends_with("/run/systemd/notify") || socket.contains("/run/systemd/journal/");
                assert!(own || of_systemd, "{process} can reach {socket}");
            }
            let key = world.machine.proc(&unit(process), "root/etc/bulkhead/secrets/tls-terminator/www.key");
            assert!(!key.exists(), "{process} sees the folder of secrets");
        }
        // The key is there for one process alone, as a copy that systemd made.
        let copies = |process: Process| {
            let unit = unit(process);
            let folder = world.machine.proc(&unit, &format!("root/run/credentials/{unit}"));
            fs::read_dir(folder).map_or(0, Iterator::count)
        };
        assert_eq!(copies(Process::TlsTerminator), 1);
        for process in Process::ALL.into_iter().filter(|process| *process != Process::TlsTerminator) {
            assert_eq!(copies(process), 0, "{process} has a key");
        }
    });
}

/// The paths of all Unix sockets in a folder and below.
fn sockets_below(folder: &Path, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => sockets_below(&entry.path(), found),
            Ok(kind) if kind.is_socket() => found.push(entry.path().display().to_string()),
            _ => {}
        }
    }
}

#[test]
fn a_sender_without_the_group_of_an_edge_reaches_nobody() {
    within(120, || {
        let Some(world) = World::start("a_sender_without_the_group") else { return };
        let unit = unit(Process::SniRouter);
        world.machine.drop_in("bulkhead-sni-router@.service", Some("[Service]\nSupplementaryGroups=\n"));
        assert!(!world.machine.try_run("systemctl", &["restart", &unit]).good);
        let journal = world.machine.journal(&unit);
        assert!(
            journal.contains("cannot open the edge directory") && journal.contains("ermission denied"),
            "{journal}"
        );
    });
}

#[test]
fn without_user_namespaces_peers_are_told_apart_by_their_users() {
    within(180, || {
        let Some(world) = World::install("without_user_namespaces") else { return };
        if !needs::need("without_user_namespaces", "python3") {
            return;
        }
        for process in Process::ALL {
            let unit = format!("bulkhead-{process}@.service");
            world.machine.drop_in(&unit, Some("[Service]\nPrivateUsers=no\n"));
        }
        for process in Process::ALL {
            world.machine.systemctl(&["start", &unit(process)]);
        }
        world.everything_serves();
        // In the group of the edge, so the kernel lets both in; but only one is the sender's user.
        let program = "import socket\n\
                       s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n\
                       s.settimeout(2)\n\
                       s.connect('/run/bulkhead/sni-router-to-passthrough-relay/1.sock')\n\
                       try: print('turned away' if s.recv(1) == b'' else 'let in')\n\
                       except TimeoutError: print('let in')\n";
        let knock = |user: &str| {
            let who = [format!("--reuid={user}"), "--regid=65534".into(), "--groups=bulkhead-router-to-relay".into()];
            let who: Vec<&str> = who.iter().map(String::as_str).collect();
            world.machine.run("setpriv", &[&who[..], &["python3", "-c", program]].concat()).trim().to_owned()
        };
        assert_eq!(knock("nobody"), "turned away");
        assert_eq!(knock("bulkhead-sni-router"), "let in");
        let journal = world.machine.journal(&unit(Process::PassthroughRelay));
        assert!(journal.contains("the peer runs as uid"), "{journal}");
    });
}

#[test]
fn address_lists_of_units_hold_in_the_kernel() {
    within(120, || {
        let Some(world) = World::start("address_lists") else { return };
        let barred = Ipv4Addr::new(127, 0, 0, 9);
        let get = |address: Ipv4Addr| -> Option<Vec<u8>> {
            let mut stream = connect_from(address)?;
            stream.write_all(format!("GET / HTTP/1.1\r\nHost: {WWW}\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).ok()?;
            Some(answer)
        };
        assert!(get(barred).is_some_and(|answer| answer.starts_with(b"HTTP/1.1 200")), "served before");
        // Clients: on the .socket, where the accepted sockets belong.
        world.machine.drop_in("bulkhead-http.socket", Some("[Socket]\nIPAddressDeny=127.0.0.9\n"));
        world.machine.systemctl(&["stop", &unit(Process::SniRouter), "bulkhead-http.socket"]);
        world.machine.systemctl(&["start", "bulkhead-http.socket", &unit(Process::SniRouter)]);
        assert!(connect_from(Ipv4Addr::new(127, 0, 0, 10)).is_some(), "everybody else comes in");
        assert!(get(barred).is_none(), "the barred client was answered");
        // The way out: on the service that connects.
        let target: SocketAddr = world.web.address();
        drop(tunnel::open(PROXY, &target.to_string(), "").expect("a tunnel before"));
        let deny = format!("[Service]\nIPAddressDeny={}\n", target.ip());
        world.machine.drop_in("bulkhead-passthrough-relay@.service", Some(&deny));
        world.machine.systemctl(&["restart", &unit(Process::PassthroughRelay)]);
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
        let answer = raw::ask(PROXY, request.as_bytes());
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    });
}

/// To the plain port from this address, within a second: to whom the kernel does not answer, nothing comes back.
fn connect_from(source: Ipv4Addr) -> Option<TcpStream> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with, sockopt};
    let second = Some(Duration::from_secs(1));
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("a socket");
    bind(&socket, &SocketAddr::from((source, 0))).expect("all of 127/8 is ours");
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, second).expect("a TCP socket");
    connect(&socket, &HTTP).ok()?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a TCP socket");
    Some(stream)
}
