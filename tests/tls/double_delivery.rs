//! One connection, one owner. Of two instances of http-filter one is stopped and killed while connections come in: what it had not
//! acknowledged is given to the other. Were a connection ever served by both, two record layers would count on with the same keys,
//! and the client would get records it cannot open. So: every client is served rightly, or cut; never garbage.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use harness::backends::Backend;
use harness::clients::{http, tls};
use harness::{World, eventually, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::strange::{Strange, Verdict, content};
use crate::world::{Handoff, SITE, describe, for_each};

/// Clients at the same time.
const CLIENTS: usize = 12;
/// How often a filter is killed.
const KILLS: usize = 4;

/// What became of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    /// All its requests were answered, each with what it had asked.
    Served,
    /// The connection ended: by FIN, by reset, or it waited in vain.
    Cut,
    /// What came was not meant for it.
    Garbage(String),
}

/// Words of rustls's errors for records that cannot be opened, and for alerts that say the same of ours.
const GARBAGE: [&str; 8] = [
    "decrypt",
    "Decrypt",
    "BadRecordMac",
    "corrupt",
    "InvalidMessage",
    "PeerMisbehaved",
    "Inappropriate",
    "UnexpectedMessage",
];

fn fate_of(error: &std::io::Error) -> Fate {
    let text = format!("{error:?}");
    if GARBAGE.iter().any(|word| text.contains(word)) { Fate::Garbage(text) } else { Fate::Cut }
}

/// Three requests on a connection, each with a path of its own; the answer is the head that the server saw.
fn client(address: SocketAddr, number: u32) -> Fate {
    let connected = TcpStream::connect(address).and_then(|stream| {
        stream.set_read_timeout(Some(Duration::from_secs(12)))?;
        // Every other one speaks TLS 1.2, whose numbers must not be used twice either.
        let client = if number.is_multiple_of(2) { tls::client(SITE) } else { tls::client(SITE).tls12() };
        client.over(stream)
    });
    let mut stream = match connected {
        Ok(stream) => stream,
        Err(error) => return fate_of(&error),
    };
    for round in 0..3 {
        let path = format!("/client-{number}/{round}");
        match http::get(&mut stream, SITE, &path) {
            Err(error) => return fate_of(&error),
            Ok(answer) if answer.status >= 500 => return Fate::Cut,
            Ok(answer) if answer.status == 200 && answer.text().starts_with(&format!("GET {path} ")) => {}
            Ok(answer) => return Fate::Garbage(format!("{path}: {} {}", answer.status, answer.text())),
        }
        thread::sleep(Duration::from_millis(20));
    }
    tls::goodbye(stream);
    Fate::Served
}

/// The same with a client of our own, which tells a record that it cannot open from an alert in the clear. The latter is what comes
/// when a terminator dies in the middle of a handshake: who gets the connection after it reads the second flight of a client as the
/// first, and refuses it. That is a cut.
fn strange_client(address: SocketAddr, number: u32) -> Fate {
    let mut strange = Strange::dial(address);
    strange.patience = Duration::from_secs(12);
    let hello = strange.usual_hello();
    strange.send_hello(&hello);
    let mut verdict = strange.server_flight();
    if verdict == Verdict::Accepted && strange.is_ready() {
        let finished = strange.finished();
        strange.say(content::HANDSHAKE, &finished);
        strange.go_on();
        for round in 0..3 {
            verdict = strange.get(&format!("/client-{number}/{round}"));
            if verdict != Verdict::Served {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    match verdict {
        Verdict::Served => Fate::Served,
        Verdict::Garbage | Verdict::Accepted | Verdict::Retry => Fate::Garbage(format!("{verdict:?}")),
        _ => Fate::Cut,
    }
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

/// Clients come in while `act` happens; their fates.
fn while_clients_come(world: &World, client: fn(SocketAddr, u32) -> Fate, act: impl FnOnce()) -> Vec<Fate> {
    let (over, numbers) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        let come = || {
            let mut fates = Vec::new();
            while !over.load(Ordering::SeqCst) {
                fates.push(client(world.https(), numbers.fetch_add(1, Ordering::SeqCst)));
            }
            fates
        };
        let threads: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(come)).collect();
        thread::sleep(Duration::from_millis(200));
        act();
        over.store(true, Ordering::SeqCst);
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

fn judge(what: &str, fates: &[Fate]) -> (usize, usize) {
    let garbage: Vec<&Fate> = fates.iter().filter(|fate| matches!(fate, Fate::Garbage(_))).collect();
    assert!(garbage.is_empty(), "{what}: {} of {} clients got garbage: {garbage:#?}", garbage.len(), fates.len());
    let served = fates.iter().filter(|fate| **fate == Fate::Served).count();
    eprintln!("{what}: {served} of {} clients served, the others cut", fates.len());
    (served, fates.len() - served)
}

fn two_filters(name: &str, handoff: Handoff, backend: &Backend) -> World {
    describe(name, handoff, backend).set("http-filter", "instances", "2").start()
}

#[test]
fn a_filter_that_is_stopped_and_wakes_up_serves_nobody_twice() {
    within(150, || {
        for_each(|handoff| {
            let backend = Backend::application();
            let world = two_filters("stopped-filter", handoff, &backend);
            let fates = while_clients_come(&world, client, || {
                // Shorter and longer than a sender waits for an acknowledgement (2 s).
                for (turn, pause) in [300, 1_900, 2_100, 2_600].into_iter().enumerate() {
                    let pid = world.pids("http-filter")[turn % 2];
                    signal(pid, Signal::SIGSTOP);
                    thread::sleep(Duration::from_millis(pause));
                    signal(pid, Signal::SIGCONT);
                    thread::sleep(Duration::from_millis(200));
                }
            });
            let (served, cut) = judge(&format!("stopped, {}", handoff.name()), &fates);
            assert!(
                served > 100 && cut == 0,
                "{served} served, {cut} cut: to be stopped for a while is no reason to be cut"
            );
            assert_eq!(world.pids("http-filter").len(), 2);
        });
    });
}

#[test]
fn a_filter_that_is_killed_takes_only_its_own_along() {
    within(150, || {
        for_each(|handoff| {
            let backend = Backend::application();
            let world = two_filters("killed-filter", handoff, &backend);
            let fates = while_clients_come(&world, client, || {
                for turn in 0..KILLS {
                    let pids = world.pids("http-filter");
                    let victim = pids[turn % pids.len()];
                    if turn % 2 == 1 {
                        // Silent first, so that it owes acknowledgements when it dies.
                        signal(victim, Signal::SIGSTOP);
                        thread::sleep(Duration::from_millis(400));
                    }
                    signal(victim, Signal::SIGKILL);
                    eventually(20, "both live again", || {
                        let now = world.pids("http-filter");
                        (now.len() == 2 && !now.contains(&victim)).then_some(())
                    });
                    thread::sleep(Duration::from_millis(300));
                }
            });
            let (served, cut) = judge(&format!("killed, {}", handoff.name()), &fates);
            // Each kill takes at most those along that were with it then.
            assert!(served > cut && cut <= KILLS * CLIENTS, "{served} served, {cut} cut");
        });
    });
}

#[test]
fn a_terminator_that_is_stopped_and_killed_hands_nobody_over_twice() {
    within(150, || {
        for_each(|handoff| {
            let backend = Backend::application();
            let world = describe("killed-terminator", handoff, &backend)
                .set("tls-terminator", "instances", "2")
                .set("http-filter", "instances", "2")
                .start();
            let fates = while_clients_come(&world, strange_client, || {
                for turn in 0..KILLS {
                    let pids = world.pids("tls-terminator");
                    let victim = pids[turn % pids.len()];
                    // A filter that takes nothing, so that hand-overs wait when their sender is stopped, wakes up, or dies.
                    let filter = world.pids("http-filter")[turn % 2];
                    signal(filter, Signal::SIGSTOP);
                    thread::sleep(Duration::from_millis(150));
                    signal(victim, Signal::SIGSTOP);
                    signal(filter, Signal::SIGCONT);
                    thread::sleep(Duration::from_millis(150));
                    if turn % 2 == 0 {
                        signal(victim, Signal::SIGCONT);
                        thread::sleep(Duration::from_millis(50));
                    }
                    signal(victim, Signal::SIGKILL);
                    eventually(20, "both live again", || {
                        let now = world.pids("tls-terminator");
                        (now.len() == 2 && !now.contains(&victim)).then_some(())
                    });
                    thread::sleep(Duration::from_millis(300));
                }
            });
            let (served, cut) = judge(&format!("killed terminator, {}", handoff.name()), &fates);
            assert!(served > cut && cut <= KILLS * CLIENTS, "{served} served, {cut} cut");
        });
    });
}
