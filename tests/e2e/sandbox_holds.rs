//! The walls, looked at from both sides: what each process says it tried, and what the kernel says of it.

use std::collections::HashSet;
use std::io::Write;

use common::process::Process;
use harness::backends::Backend;
use harness::clients::{http, raw, tls, tunnel};
use harness::{World, needs, processes, within};

struct Everything {
    world: World,
    _app: Backend,
    echo: Backend,
}

fn everything(name: &str, sandbox: &str, uid: Option<u32>) -> Everything {
    let (app, echo) = (Backend::application(), Backend::echo());
    let builder = World::new(name)
        .set("bulkhead", "sandbox", &format!("\"{sandbox}\""))
        .terminates(&["www.test"])
        .pool("app", &[app.address()])
        .pool("echo", &[echo.address()])
        .serves("app")
        .passes("echo.test", "echo")
        .forwards_to(&[echo.address()]);
    let builder = match uid {
        Some(uid) => builder.as_user(uid),
        None => builder,
    };
    Everything { world: builder.start(), _app: app, echo }
}

impl Everything {
    fn serves(&self) {
        let mut stream = tls::client("www.test").connect(self.world.https()).unwrap();
        assert_eq!(http::get(&mut stream, "www.test", "/").unwrap().status, 200);
        tls::goodbye(stream);
        let hello = tls::client("echo.test").hello().0;
        let mut stream = raw::connect(self.world.https());
        stream.write_all(&hello).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(raw::read_to_end(&mut stream), hello);
        assert!(tunnel::open(self.world.proxy(), &self.echo.address().to_string(), "").is_ok());
    }

    /// `bulkhead sandbox`: exit code and text.
    fn table(&self) -> (Option<i32>, String) {
        let config = self.world.config();
        let output = self.world.bulkhead(&["sandbox", &config.to_string_lossy()]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text)
    }
}

/// Every forbidden act of every process was tried and refused.
fn assert_all_refused(table: &str) {
    for process in Process::ALL {
        assert!(table.contains(&format!("{process}  pid ")), "{process} is missing:\n{table}");
    }
    let acts: Vec<&str> = table.lines().filter(|line| line.trim_start().starts_with("act ")).collect();
    assert!(acts.len() >= 5 * 8, "only {} acts were tried:\n{table}", acts.len());
    let open: Vec<&&str> = acts.iter().filter(|line| line.contains(" OPEN ")).collect();
    assert!(open.is_empty(), "not refused: {open:#?}");
}

#[test]
fn every_forbidden_act_is_refused() {
    within(60, || {
        let all = everything("acts", "best-effort", None);
        all.serves();
        let (_, table) = all.table();
        assert_all_refused(&table);
        all.serves();
    });
}

#[test]
fn the_kernel_confirms_it() {
    let name = "the_kernel_confirms_it";
    within(60, move || {
        let all = everything("from-outside", "best-effort", None);
        all.serves();
        let root = nix::unistd::geteuid().is_root();
        let own_network = processes::namespace(std::process::id(), "net");
        let mut users = HashSet::new();
        for living in all.world.processes() {
            let field = |field: &str| processes::field(living.pid, field).unwrap_or_default();
            let who = &living.name;
            assert_eq!(field("Seccomp"), "2", "{who}: a system-call filter");
            assert_eq!(field("NoNewPrivs"), "1", "{who}");
            for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
                assert_eq!(field(set).trim_start_matches('0'), "", "{who}: {set}");
            }
            assert_eq!(field("Threads"), "1", "{who}: one thread");
            if root {
                let mut uids: Vec<String> = field("Uid").split_whitespace().map(str::to_owned).collect();
                uids.dedup();
                assert!(uids.len() == 1 && uids[0] != "0", "{who}: {uids:?}");
                assert!(!field("Groups").split_whitespace().any(|group| group == "0"), "{who} is in root's group");
                assert!(users.insert(uids), "{who} shares its user with another process");
                let network = processes::namespace(living.pid, "net");
                let shared = network == own_network;
                assert_eq!(shared, living.name == "passthrough-relay", "{who}: network namespace {network:?}");
            }
        }
        if !root {
            needs::note(name, "namespaces of processes are shown to root only");
        }
    });
}

#[test]
fn nobody_holds_a_descriptor_he_does_not_need() {
    let name = "nobody_holds_a_descriptor_he_does_not_need";
    if !nix::unistd::geteuid().is_root() {
        return needs::note(name, "descriptors of our processes are shown to root only");
    }
    within(60, || {
        let all = everything("descriptors", "best-effort", None);
        let run = all.world.folder().join("run").to_string_lossy().into_owned();
        for process in Process::ALL {
            let kinds = all.world.descriptors(process.name()).expect("root may look");
            for kind in kinds.keys() {
                let known = kind == "socket"
                    || kind == "pipe"
                    || kind == "/dev/null"
                    || kind.starts_with("anon_inode:[event")
                    || kind.starts_with("anon_inode:inotify")
                    || kind.starts_with(&run); // folders of edges
                assert!(known, "{process} holds {kind}: {kinds:?}");
            }
            let keys = kinds.keys().filter(|kind| kind.ends_with(".key") || kind.ends_with(".pem")).count();
            assert_eq!(keys, 0, "{process}: {kinds:?}");
        }
    });
}

#[test]
fn strict_serves_where_everything_holds_and_says_why_where_not() {
    within(60, || {
        // Whether every layer can hold depends on this machine (kernel, container); the two modes must agree about it.
        let all = everything("lenient", "best-effort", None);
        let (code, table) = all.table();
        drop(all);
        let strict = std::panic::catch_unwind(|| everything("strict", "strict", None));
        match strict {
            Ok(all) => {
                assert_eq!(code, Some(0), "strict serves, but the table shows a gap:\n{table}");
                all.serves();
                assert_all_refused(&all.table().1);
            }
            Err(panic) => {
                let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                assert_eq!(code, Some(1), "every layer holds, but strict does not serve:\n{said}\n{table}");
                assert!(said.contains("strict") && said.contains("does not hold"), "{said}");
            }
        }
    });
}

#[test]
fn an_ordinary_user_has_the_same_walls() {
    if !nix::unistd::geteuid().is_root() {
        return; // then every other test is this one
    }
    within(60, || {
        let all = everything("ordinary", "best-effort", Some(65_534));
        all.serves();
        assert_all_refused(&all.table().1);
        for living in all.world.processes() {
            assert_eq!(processes::field(living.pid, "Seccomp").as_deref(), Some("2"), "{}", living.name);
            assert_eq!(processes::field(living.pid, "NoNewPrivs").as_deref(), Some("1"), "{}", living.name);
        }
    });
}

#[test]
fn a_terminator_without_network_serves_sockets_it_was_handed() {
    within(60, || {
        let all = everything("no-network", "best-effort", None);
        let (_, table) = all.table();
        let of_terminator = table.split("tls-terminator  pid ").nth(1).unwrap_or_default();
        let of_terminator = of_terminator.split("  pid ").next().unwrap_or_default();
        let refused = |part: &str| {
            of_terminator.lines().any(|line| line.contains(part) && line.trim_start().starts_with("act    refused"))
        };
        assert!(refused("AF_INET") || refused("IPv4") || refused("internet"), "{of_terminator}");
        all.serves();
    });
}
