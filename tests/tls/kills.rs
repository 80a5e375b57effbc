//! The terminator is killed, ended and stopped under load. Where it has handed over socket and secrets (`handoff = "secrets"`) it
//! holds no connection any more, so none that is established may be cut, whatever becomes of it; where it relays, its own die with
//! it, and all there is to ask is that others are served.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use harness::backends::Backend;
use harness::clients::{http, raw, tls};
use harness::{World, eventually, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bulk::bulk;
use crate::lives::Lives;
use crate::world::{Handoff, SITE, describe, for_each};

const TERMINATOR: &str = "tls-terminator";

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

fn one_request(address: SocketAddr) -> std::io::Result<bool> {
    let stream = std::net::TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(8)))?;
    let mut stream = tls::client(SITE).over(stream)?;
    let answer = http::get(&mut stream, SITE, "/stream/3000")?;
    tls::goodbye(stream);
    Ok(answer.status == 200 && answer.body.len() == 3000)
}

/// New connections without end, which may fail: handshakes under way are what a terminator may take with it.
fn load(address: SocketAddr, over: &Arc<AtomicBool>, served: &Arc<AtomicU32>) -> JoinHandle<()> {
    let (over, served) = (Arc::clone(over), Arc::clone(served));
    thread::spawn(move || {
        while !over.load(Ordering::SeqCst) {
            if one_request(address).unwrap_or(false) {
                served.fetch_add(1, Ordering::SeqCst);
            }
            thread::sleep(Duration::from_millis(3));
        }
    })
}

fn serves(world: &World) {
    eventually(20, "a new client is served", || one_request(world.https()).unwrap_or(false).then_some(()));
}

/// A world, long lives in it, and new clients coming all the time.
fn under_load(name: &str, handoff: Handoff, test: impl Fn(&World, &Lives)) {
    let backend = Backend::talking(bulk);
    let world = describe(name, handoff, &backend).start();
    let lives = Lives::begin(&world, 2);
    let over = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicU32::new(0));
    let new: Vec<_> = (0..2).map(|_| load(world.https(), &over, &served)).collect();
    test(&world, &lives);
    let sofar = served.load(Ordering::SeqCst);
    eventually(30, "new clients are served", || (served.load(Ordering::SeqCst) > sofar + 10).then_some(()));
    over.store(true, Ordering::SeqCst);
    new.into_iter().for_each(|new| new.join().unwrap());
    match handoff {
        Handoff::Secrets => lives.end(),
        Handoff::Relay => eprintln!("{} long connections were cut", lives.end_anyhow()),
    }
    // Those that were cut in the middle of an answer keep their server busy until they are found out.
    drop(backend);
}

#[test]
fn killing_the_terminator_cuts_nobody_who_is_established() {
    within(120, || {
        for_each(|handoff| {
            under_load("kill", handoff, |world, lives| {
                for round in 0..3 {
                    let killed = world.kill(TERMINATOR);
                    if handoff == Handoff::Secrets {
                        lives.wait_for_rounds(&format!("while the terminator is dead, round {round}"));
                    }
                    world.wait_for_restart(&killed);
                    serves(world);
                    if handoff == Handoff::Secrets {
                        lives.wait_for_rounds(&format!("beside its successor, round {round}"));
                    }
                }
            });
        });
    });
}

#[test]
fn ending_the_terminator_cuts_nobody_who_is_established() {
    within(120, || {
        for_each(|handoff| {
            under_load("terminate", handoff, |world, lives| {
                let before = world.pid(TERMINATOR);
                signal(before, Signal::SIGTERM);
                if handoff == Handoff::Relay {
                    return; // it drains: its connections are given time, and what becomes of them is e2e's `drain`
                }
                lives.wait_for_rounds("while the terminator ends");
                eventually(20, "the terminator has a successor", || {
                    let pids = world.pids(TERMINATOR);
                    (!pids.is_empty() && !pids.contains(&before)).then_some(())
                });
                lives.wait_for_rounds("beside its successor");
            });
        });
    });
}

#[test]
fn a_stopped_terminator_holds_up_nobody_who_is_established() {
    within(120, || {
        for_each(|handoff| {
            under_load("stop", handoff, |world, lives| {
                let pid = world.pid(TERMINATOR);
                signal(pid, Signal::SIGSTOP);
                let waiting = raw::connect(world.https());
                let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    for round in 0..4 {
                        if handoff == Handoff::Secrets {
                            lives.wait_for_rounds(&format!("while the terminator is stopped, round {round}"));
                        }
                        thread::sleep(Duration::from_millis(200));
                    }
                }));
                signal(pid, Signal::SIGCONT);
                stopped.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                // Who came meanwhile is served late.
                let mut stream = tls::client(SITE).over(waiting).unwrap();
                assert_eq!(http::get(&mut stream, SITE, "/stream/10").unwrap().status, 200);
                tls::goodbye(stream);
            });
        });
    });
}
