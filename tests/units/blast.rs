//! What each accident and each order to each process costs the clients: the table in docs/blast-radius.md.
//!
//! Twelve kinds of clients ask all the time, one of each. Orders (restart, one generation after another, more and fewer instances) must
//! cost nothing, with one exception that is named; an accident may cost what the process held, and nothing else. The figures of the
//! document are those of the run that wrote it (`BLESS=1 ROUNDS=10 cargo test -p tests --test units blast`); every run asserts the bounds.

use std::fmt::Write as _;
use std::path::PathBuf;

use common::process::Process;
use harness::load::{Load, Manner};
use harness::needs::note;
use harness::{eventually, within};

use crate::memory::{LIMIT, Memory};
use crate::world::{World, doors, unit};

/// What is done to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Restart,
    Upgrade,
    Scale,
    Kill,
    Hang,
    OutOfMemory,
}

const ACTS: [Act; 6] = [Act::Restart, Act::Upgrade, Act::Scale, Act::Kill, Act::Hang, Act::OutOfMemory];

impl Act {
    fn name(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Upgrade => "upgrade",
            Self::Scale => "scale 1 → 3 → 1",
            Self::Kill => "SIGKILL",
            Self::Hang => "SIGSTOP",
            Self::OutOfMemory => "out of memory",
        }
    }

    fn is_order(self) -> bool {
        matches!(self, Self::Restart | Self::Upgrade | Self::Scale)
    }

    /// Does it to a process whose only instance is the first one, and waits until that is so again.
    fn happens(self, world: &World, process: Process, memory: Option<&Memory>) {
        let (machine, first) = (&world.machine, unit(process));
        let before = machine.main_pid(&first);
        match self {
            Self::Restart => drop(machine.systemctl(&["restart", &first])),
            Self::Upgrade => drop(world.bulkhead(&["upgrade", process.name()])),
            Self::Scale => {
                world.bulkhead(&["scale", process.name(), "3"]);
                world.bulkhead(&["scale", process.name(), "1"]);
            }
            Self::Kill => drop(machine.systemctl(&["kill", "--signal=KILL", &first])),
            Self::Hang => drop(machine.systemctl(&["kill", "--signal=STOP", &first])),
            Self::OutOfMemory => memory.expect("it was looked for").runs_out(machine, &first),
        }
        eventually(60, &format!("{first} serves again"), || {
            let now = machine.main_pid(&first);
            let another = now != before || self == Self::Scale;
            (now != 0 && another && machine.property(&first, "ActiveState") == "active").then_some(())
        });
    }
}

/// Whose requests and connections a process holds, so that they may be lost with it.
fn held_by(process: Process) -> &'static [Manner] {
    use Manner::*;
    match process {
        Process::SniRouter => &[NewPlain, NewTls, NewTls12, NewPassthrough],
        Process::PassthroughRelay => &[NewPassthrough, Passthrough, NewTunnel, Connect],
        Process::TlsTerminator => &[NewTls, NewTls12],
        Process::HttpFilter => {
            &[NewPlain, KeptPlain, NewTls, NewTls12, KeptTls, KeptTls12, KeptHttp2, WebSocket, WebSocketTls12]
        }
        Process::ForwardProxy => &[NewTunnel, KeptForward],
    }
}

/// What may be lost by an act.
fn may_lose(process: Process, act: Act) -> &'static [Manner] {
    match (act.is_order(), process) {
        (false, process) => held_by(process),
        (true, _) => &[],
    }
}

/// Clients and backends are in this process, and each connection is two descriptors for a while.
fn more_descriptors() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the kernel says");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("up to the hard limit everybody may");
}

fn document() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/blast-radius.md")
}

#[test]
fn what_every_accident_and_every_order_costs() {
    within(900, || {
        let Some(world) = World::install("blast") else { return };
        let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1);
        more_descriptors();
        for process in Process::ALL {
            // What hangs is noticed after ten seconds; the test has not that much time.
            world.machine.drop_in(&format!("bulkhead-{process}@.service"), Some("[Service]\nWatchdogSec=2\n"));
        }
        world.machine.systemctl(&["start", "bulkhead.target"]);
        Process::ALL.iter().for_each(|process| drop(world.machine.systemctl(&["start", &unit(*process)])));
        world.everything_serves();
        let memory = Memory::of(&world.machine);
        if memory.is_none() {
            note("blast", "no memory controller: what happens out of memory is not measured");
        }
        let mut table: Vec<(Process, Vec<String>)> = Vec::new();
        let mut too_much = Vec::new();
        for process in Process::ALL {
            let mut row = Vec::new();
            for act in ACTS {
                if act == Act::OutOfMemory && memory.is_none() {
                    row.push("not measured: no memory controller".to_owned());
                    continue;
                }
                let load = Load::start(&doors(world.web.address()), &Manner::ALL);
                load.go_on(60);
                for _ in 0..rounds {
                    act.happens(&world, process, memory.as_ref());
                    load.go_on(60);
                }
                let came = load.end();
                world.forget();
                let words = came.told();
                note("blast", &format!("{process}, {}: {} answered, lost: {words}", act.name(), came.answered));
                let beyond = came.lost.iter().filter(|(manner, _)| !may_lose(process, act).contains(manner));
                too_much.extend(beyond.map(|(manner, why)| format!("{process}, {}: {manner:?}: {why}", act.name())));
                row.push(words);
            }
            table.push((process, row));
        }
        let journal = world.machine.try_run("journalctl", &["--no-pager", "--output=short-precise"]).text;
        let told = |line: &&str| line.contains("systemd[1]") || !line.contains(" INFO ");
        let journal: Vec<&str> = journal.lines().filter(told).collect();
        let lost = too_much.join("\n");
        assert!(too_much.is_empty(), "lost beyond what the process held:\n{lost}\n{}", journal.join("\n"));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(document(), page(&table, rounds, memory.as_ref())).expect("our own tree");
        }
        world.everything_serves();
    });
}

fn page(table: &[(Process, Vec<String>)], rounds: usize, memory: Option<&Memory>) -> String {
    let mut page = String::from(HEAD);
    let _ = writeln!(page, "| process | {} |", ACTS.map(Act::name).join(" | "));
    let _ = writeln!(page, "| --- |{}", " --- |".repeat(ACTS.len()));
    for (process, row) in table {
        let _ = writeln!(page, "| {process} | {} |", row.join(" | "));
    }
    let _ = write!(page, "\n{rounds} rounds each. ");
    page.push_str(FOOT);
    if let Some(memory) = memory {
        let _ = writeln!(
            page,
            "- **out of memory**: likewise what it held. The kernel's own killer ended it, because its control group may have {LIMIT} and no more: {}. When the\n  \
             whole machine runs out, the kernel chooses whom it kills.",
            memory.words()
        );
    }
    page
}

const HEAD: &str = "# Blast radius

What it costs the clients when something happens to one process. Written by the test that measures it, under a real systemd, one
instance of each process, debug builds: `BLESS=1 ROUNDS=10 cargo test -p tests --test units blast`. Every run of the tests asserts the zeros, and that
an accident costs nobody whom the process did not serve.

Clients, one of each kind, each asking again as soon as it has its answer: new connections (plain HTTP, TLS 1.3 and 1.2 with a full handshake,
passed through), a new CONNECT for every request, kept ones (plain, TLS 1.3, TLS 1.2, HTTP/2, WebSocket over either version, passed through, CONNECT, to the forward proxy). A request is lost
when no whole answer came; a connection is lost when it ended and nobody had said that it would.

";

const FOOT: &str = "Numbers are requests and connections lost by all clients in all rounds together.

- **restart** is `systemctl restart` of the only instance, **upgrade** is `bulkhead upgrade PROCESS`: a second generation and back, **scale** `bulkhead scale PROCESS 3` and `1`.
  HTTP/1.1 connections, WebSockets and tunnels go on in the successor, HTTP/2 clients are told to open another connection (decision 0029).
  Nobody stays with tls-terminator, unless its site has `handoff = \"relay\"`: then it is served through it for as long as it lives, and is cut
  when it cannot be waited for any longer.
- **SIGKILL**: what the process held at that instant.
- **SIGSTOP**: the watchdog ends a process that hangs. Clients of the others are served meanwhile; its own wait, or are lost with it.
";

#[test]
fn the_document_promises_what_the_test_asserts() {
    let text = std::fs::read_to_string(document()).expect("docs/blast-radius.md is there");
    for process in Process::ALL {
        let row =
            text.lines().find(|line| line.starts_with(&format!("| {process} |"))).expect("every process has a row");
        let cells: Vec<&str> = row.split('|').map(str::trim).skip(2).collect();
        for (act, cell) in ACTS.iter().zip(&cells) {
            if may_lose(process, *act).is_empty() {
                assert_eq!(*cell, "0", "{process}, {}", act.name());
            }
            let others = Manner::ALL.iter().filter(|manner| !may_lose(process, *act).contains(manner));
            for other in others {
                assert!(!cell.contains(other.words()), "{process}, {}: {cell}", act.name());
            }
        }
    }
}
