//! `kill -9` of each process under load. Tunnels belong to the relay and survive the death of everybody else; a client whose
//! handshake has not begun survives the death of the terminator; the launcher brings each back.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use harness::backends::Backend;
use harness::clients::{http, raw, tls, tunnel};
use harness::{World, eventually, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const ALL_BUT_THE_RELAY: [&str; 4] = ["sni-router", "tls-terminator", "http-filter", "forward-proxy"];

struct Everything {
    world: World,
    app: Backend,
    echo: Backend,
}

fn everything(name: &str) -> Everything {
    let (app, echo) = (Backend::application(), Backend::echo());
    let world = World::new(name)
        .terminates(&["www.test"])
        .pool("app", &[app.address()])
        .pool("echo", &[echo.address()])
        .serves("app")
        .passes("echo.test", "echo")
        .forwards_to(&[echo.address()])
        .start();
    Everything { world, app, echo }
}

impl Everything {
    fn passthrough(&self) -> TcpStream {
        let hello = tls::client("echo.test").hello().0;
        let mut stream = raw::connect(self.world.https());
        stream.write_all(&hello).unwrap();
        let mut back = vec![0; hello.len()];
        stream.read_exact(&mut back).unwrap();
        stream
    }

    fn tunnel(&self) -> TcpStream {
        tunnel::open(self.world.proxy(), &self.echo.address().to_string(), "")
            .map_err(|refused| refused.text())
            .unwrap()
    }

    /// Every kind of service works for somebody new.
    fn serves(&self) {
        let mut stream = self.passthrough();
        echoes(&mut stream, 7).unwrap();
        let mut stream = self.tunnel();
        echoes(&mut stream, 8).unwrap();
        let mut stream = tls::client("www.test").connect(self.world.https()).unwrap();
        assert_eq!(http::get(&mut stream, "www.test", "/").unwrap().status, 200);
        tls::goodbye(stream);
        let mut stream = raw::connect(self.world.http());
        assert_eq!(http::get(&mut stream, "www.test", "/").unwrap().status, 200);
    }
}

fn echoes(stream: &mut TcpStream, seed: u8) -> std::io::Result<()> {
    let sent: Vec<u8> = (0..5000u32).map(|at| at as u8 ^ seed).collect();
    stream.write_all(&sent)?;
    let mut back = vec![0; sent.len()];
    stream.read_exact(&mut back)?;
    if back == sent { Ok(()) } else { Err(std::io::Error::other("changed on the way")) }
}

/// A tunnel that never rests until it is told to; its result is the error that ended it.
fn busy(mut stream: TcpStream, over: &Arc<AtomicBool>, rounds: &Arc<AtomicU64>) -> JoinHandle<std::io::Result<()>> {
    let (over, rounds) = (Arc::clone(over), Arc::clone(rounds));
    thread::spawn(move || {
        let mut seed = 0u8;
        while !over.load(Ordering::SeqCst) {
            seed = seed.wrapping_add(1);
            echoes(&mut stream, seed)?;
            rounds.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    })
}

/// Requests in a loop, errors allowed: load, whatever happens meanwhile.
fn requests(address: SocketAddr, over: &Arc<AtomicBool>) -> JoinHandle<(u32, u32)> {
    let over = Arc::clone(over);
    thread::spawn(move || {
        let (mut good, mut bad) = (0, 0);
        while !over.load(Ordering::SeqCst) {
            let one = || {
                let stream = TcpStream::connect(address)?;
                stream.set_read_timeout(Some(Duration::from_secs(5)))?;
                let mut stream = tls::client("www.test").over(stream)?;
                http::get(&mut stream, "www.test", "/bytes/2000")
            };
            match one() {
                Ok(answer) if answer.status == 200 => good += 1,
                _ => bad += 1,
            }
            thread::sleep(Duration::from_millis(5));
        }
        (good, bad)
    })
}

#[test]
fn tunnels_survive_the_death_of_every_other_process() {
    within(150, || {
        let all = everything("kill-9");
        all.serves();
        let (over, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tunnels = Vec::new();
        for _ in 0..3 {
            tunnels.push(busy(all.passthrough(), &over, &rounds));
            tunnels.push(busy(all.tunnel(), &over, &rounds));
        }
        let load = requests(all.world.https(), &over);
        for victim in ALL_BUT_THE_RELAY {
            let before = rounds.load(Ordering::SeqCst);
            let killed = all.world.kill(victim);
            thread::sleep(Duration::from_millis(300));
            assert!(tunnels.iter().all(|tunnel| !tunnel.is_finished()), "a tunnel died with {victim}");
            all.world.wait_for_restart(&killed);
            eventually(5, "tunnels go on", || (rounds.load(Ordering::SeqCst) > before + 12).then_some(()));
            all.serves();
        }
        over.store(true, Ordering::SeqCst);
        for tunnel in tunnels {
            tunnel.join().unwrap().expect("the tunnel was cut");
        }
        let (good, bad) = load.join().unwrap();
        assert!(good > 20 && bad < good, "{good} requests served, {bad} lost under four kills");
        assert!(!all.app.connections().is_empty());
    });
}

#[test]
fn the_relay_comes_back_too() {
    within(90, || {
        let all = everything("kill-relay");
        let mut held = all.passthrough();
        let killed = all.world.kill("passthrough-relay");
        assert_ne!(raw::how_it_ends(&mut held).1, raw::End::Open, "its tunnels die with it");
        all.world.wait_for_restart(&killed);
        // The others find it by themselves.
        all.serves();
    });
}

#[test]
fn a_client_whose_handshake_has_not_begun_survives_the_terminator() {
    within(90, || {
        let all = everything("kill-terminator");
        let address = all.world.https();
        let (hello, connection) = tls::client("www.test").hello();
        // Has sent nothing; has sent half a ClientHello.
        let silent = raw::connect(address);
        let mut half = raw::connect(address);
        half.write_all(&hello[..hello.len() / 2]).unwrap();
        thread::sleep(Duration::from_millis(100));
        let killed = all.world.kill("tls-terminator");
        all.world.wait_for_restart(&killed);
        let mut silent = tls::client("www.test").over(silent).expect("who sent nothing was never in danger");
        assert_eq!(http::get(&mut silent, "www.test", "/").unwrap().status, 200);
        half.write_all(&hello[hello.len() / 2..]).unwrap();
        let mut half = tls::finish(connection, half).expect("the hello was only peeked at");
        assert_eq!(http::get(&mut half, "www.test", "/").unwrap().status, 200);
        tls::goodbye(silent);
        tls::goodbye(half);
    });
}

#[test]
fn clients_already_handed_over_but_not_taken_survive_the_terminator() {
    within(90, || {
        let all = everything("kill-unacknowledged");
        let terminator = all.world.pid("tls-terminator");
        // It cannot take anything any more, but nobody knows yet.
        kill(Pid::from_raw(i32::try_from(terminator).unwrap()), Signal::SIGSTOP).unwrap();
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let (hello, connection) = tls::client("www.test").hello();
                let mut stream = raw::connect(all.world.https());
                stream.write_all(&hello).unwrap();
                (connection, stream)
            })
            .collect();
        thread::sleep(Duration::from_millis(300));
        let killed = all.world.kill("tls-terminator");
        all.world.wait_for_restart(&killed);
        for (number, (connection, stream)) in waiting.into_iter().enumerate() {
            let mut stream = tls::finish(connection, stream).unwrap_or_else(|error| panic!("client {number}: {error}"));
            assert_eq!(http::get(&mut stream, "www.test", "/").unwrap().status, 200);
            tls::goodbye(stream);
        }
    });
}

#[test]
fn a_process_that_dies_again_and_again_comes_back_with_pauses() {
    within(90, || {
        let all = everything("back-off");
        let began = Instant::now();
        for _ in 0..4 {
            let killed = all.world.kill("http-filter");
            all.world.wait_for_restart(&killed);
        }
        assert!(began.elapsed() < Duration::from_secs(30));
        all.serves();
        let pids = all.world.processes();
        assert_eq!(pids.len(), 5, "{pids:?}");
    });
}
