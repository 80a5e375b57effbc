//! passthrough-relay ends while tunnels live: whoever takes its place goes on with them. Not one is cut, not one byte is wrong, whether the
//! tunnel is quiet, busy, spliced, half closed or full.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use harness::backends::{ADDRESS, application};
use harness::clients::{raw, tls, tunnel};
use harness::{World, eventually, within};
use nix::sys::signal::Signal;
use rustix::net::{AddressFamily, SocketType};

const RELAY: &str = "passthrough-relay";
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends everything back; unlike the harness's it keeps nothing, because it gets hundreds of megabytes.
fn echo() -> SocketAddr {
    serving(|mut stream| {
        let mut back = stream.try_clone()?;
        io::copy(&mut stream, &mut back)?;
        back.shutdown(Shutdown::Write)
    })
}

fn serving(talk: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((ADDRESS, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let talk = Arc::new(talk);
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let talk = Arc::clone(&talk);
            thread::spawn(move || talk(stream));
        }
    });
    address
}

fn world(name: &str, instances: u32, server: SocketAddr) -> harness::Builder {
    World::new(name)
        .set("passthrough-relay", "instances", &instances.to_string())
        .set("log", "access", "true")
        .pool("echo", &[server])
        .passes("echo.test", "echo")
        .forwards_to(&[server])
}

/// A passthrough connection whose hello has not come back yet.
fn passthrough(world: &World) -> (TcpStream, Vec<u8>) {
    let hello = tls::client("echo.test").hello().0;
    let mut stream = raw::connect(world.https());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&hello).unwrap();
    (stream, hello)
}

fn passthrough_to_echo(world: &World) -> TcpStream {
    let (mut stream, hello) = passthrough(world);
    let mut back = vec![0; hello.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, hello);
    stream
}

fn connect(world: &World, server: SocketAddr) -> TcpStream {
    let stream = tunnel::open(world.proxy(), &server.to_string(), "").map_err(|refused| refused.text()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn echoes(stream: &mut TcpStream, seed: u8, size: usize) -> io::Result<()> {
    let sent: Vec<u8> = (0..size).map(|at| at as u8 ^ seed ^ (at >> 8) as u8).collect();
    stream.write_all(&sent)?;
    let mut back = vec![0; sent.len()];
    stream.read_exact(&mut back)?;
    if back == sent { Ok(()) } else { Err(io::Error::other("changed on the way")) }
}

/// Tunnels that never rest until they are told to.
#[derive(Default)]
struct Load {
    over: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
    running: Vec<JoinHandle<io::Result<()>>>,
}

impl Load {
    /// Small messages to and fro.
    fn talk(&mut self, mut stream: TcpStream) {
        let (over, rounds) = (Arc::clone(&self.over), Arc::clone(&self.rounds));
        self.running.push(thread::spawn(move || {
            for seed in 0u64.. {
                echoes(&mut stream, seed as u8, 1 + (seed * 613 % 9000) as usize)?;
                rounds.fetch_add(1, Ordering::SeqCst);
                if over.load(Ordering::SeqCst) {
                    break;
                }
                thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        }));
    }

    /// As much as goes through, both ways at once.
    fn bulk(&mut self, stream: TcpStream) {
        let over = Arc::clone(&self.over);
        let rounds = Arc::clone(&self.rounds);
        self.running.push(thread::spawn(move || {
            let pattern = Arc::new(application::pattern_of(1 << 20));
            let (mut writing, block) = (stream.try_clone()?, Arc::clone(&pattern));
            let writer = thread::spawn(move || -> io::Result<u64> {
                let mut blocks = 0;
                while !over.load(Ordering::SeqCst) {
                    writing.write_all(&block)?;
                    blocks += 1;
                }
                writing.shutdown(Shutdown::Write)?;
                Ok(blocks)
            });
            let (mut reading, mut back, mut blocks) = (stream, vec![0; 1 << 20], 0);
            loop {
                // Whole blocks, or the clean end of the stream between two.
                match reading.read(&mut back[..1])? {
                    0 => break,
                    _ => reading.read_exact(&mut back[1..])?,
                }
                if back != *pattern {
                    return Err(io::Error::other("changed on the way"));
                }
                blocks += 1;
                rounds.fetch_add(1, Ordering::SeqCst);
            }
            let sent = writer.join().unwrap()?;
            if sent == blocks { Ok(()) } else { Err(io::Error::other(format!("{sent} blocks sent, {blocks} came"))) }
        }));
    }

    /// Everyone goes on.
    fn goes_on(&self, when: &str) {
        let before = self.rounds.load(Ordering::SeqCst);
        let more = self.running.len() as u64;
        eventually(20, &format!("tunnels go on {when}"), || {
            (self.rounds.load(Ordering::SeqCst) > before + more).then_some(())
        });
        let cut = self.running.iter().filter(|one| one.is_finished()).count();
        assert_eq!(cut, 0, "tunnels cut {when}");
    }

    fn finish(self) {
        self.over.store(true, Ordering::SeqCst);
        let ends: Vec<io::Result<()>> = self.running.into_iter().map(|one| one.join().unwrap()).collect();
        let wrong: Vec<_> = ends.iter().filter(|end| end.is_err()).collect();
        assert!(wrong.is_empty(), "{} of {}: {wrong:?}", wrong.len(), ends.len());
    }
}

fn load(world: &World, server: SocketAddr, each: usize) -> Load {
    let mut load = Load::default();
    for _ in 0..each {
        load.talk(passthrough_to_echo(world));
        load.talk(connect(world, server));
    }
    for _ in 0..2 {
        load.bulk(passthrough_to_echo(world));
        load.bulk(connect(world, server));
    }
    load
}

fn end(world: &World, instance: u32) {
    let ended = world.signal_instance(RELAY, instance, Signal::SIGTERM);
    world.wait_for_restart(&ended);
}

#[test]
fn tunnels_outlive_their_relay() {
    within(150, || {
        let server = echo();
        let world = world("succession", 1, server).start();
        let load = load(&world, server, 100);
        for round in 1..=5 {
            end(&world, 1);
            load.goes_on(&format!("after end {round}"));
            assert_eq!((world.figure(RELAY, "taken_over"), world.figure(RELAY, "connections")), (204, 204));
        }
        load.finish();
        let lines = || world.log_of(RELAY).into_iter().filter(|line| line.contains("tunnel ended")).collect::<Vec<_>>();
        eventually(10, "a line for every tunnel", || (lines().len() == 204).then_some(()));
        let odd = lines().into_iter().find(|line| !line.contains("end=\"finished\""));
        assert_eq!(odd, None);
    });
}

#[test]
fn two_instances_hand_on_to_each_other() {
    within(150, || {
        let server = echo();
        let world = world("succession-2", 2, server).start();
        let load = load(&world, server, 40);
        for round in 0..10 {
            end(&world, 1 + round % 2);
            load.goes_on(&format!("after end {round}"));
        }
        assert_eq!(world.figure(RELAY, "connections"), 84);
        load.finish();
    });
}

#[test]
fn a_half_closed_tunnel_and_a_full_one_go_on() {
    const LAST: &[u8] = b"said after your end";
    within(120, || {
        // Reads nothing until it is told to; then sends what it has read, and a last word.
        let told = Arc::new(AtomicBool::new(false));
        let server = serving({
            let told = Arc::clone(&told);
            move |mut stream| {
                while !told.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(10));
                }
                let mut all = Vec::new();
                stream.read_to_end(&mut all)?;
                stream.write_all(&all)?;
                stream.write_all(LAST)
            }
        });
        let world = world("succession-full", 1, server).start();
        let half_closed = connect(&world, server);
        (&half_closed).write_all(b"all I say").unwrap();
        half_closed.shutdown(Shutdown::Write).unwrap();
        let (full, hello) = passthrough(&world);
        full.set_nonblocking(true).unwrap();
        let pattern = application::pattern_of(64 << 20);
        let mut sent = 0;
        let mut quiet = 0;
        while quiet < 20 {
            match (&full).write(&pattern[sent..]) {
                Ok(count) => (sent, quiet) = (sent + count, 0),
                Err(_) => quiet += 1,
            }
            thread::sleep(Duration::from_millis(10));
        }
        full.set_nonblocking(false).unwrap();
        for _ in 0..3 {
            end(&world, 1);
            assert_eq!(world.figure(RELAY, "taken_over"), 2);
        }
        told.store(true, Ordering::SeqCst);
        let mut half_closed = half_closed;
        assert_eq!(raw::how_it_ends(&mut half_closed), ([b"all I say", LAST].concat(), raw::End::Closed));
        let mut full = full;
        full.shutdown(Shutdown::Write).unwrap();
        let (came, how) = raw::how_it_ends(&mut full);
        assert_eq!((came.len(), how), (hello.len() + sent + LAST.len(), raw::End::Closed));
        assert!(came == [&hello, &pattern[..sent], LAST].concat(), "{sent} bytes came back changed");
    });
}

#[test]
fn a_client_whose_server_is_slow_to_answer_finds_it_through_the_successor() {
    within(90, || {
        // A full backlog: nobody is answered until somebody is accepted.
        let listener = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&listener, &SocketAddr::from((ADDRESS, 0))).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let listener = TcpListener::from(listener);
        let server = listener.local_addr().unwrap();
        let fill = |_| TcpStream::connect_timeout(&server, Duration::from_millis(200)).ok();
        let filling: Vec<TcpStream> = (0..4).map_while(fill).collect();
        assert!(filling.len() < 4, "the backlog is full");
        let world = world("succession-dialling", 1, server).start();
        let (mut client, hello) = passthrough(&world);
        eventually(5, "the relay is connecting", || (world.figure(RELAY, "passthrough") == 1).then_some(()));
        end(&world, 1);
        assert_eq!((world.figure(RELAY, "taken_over"), world.figure(RELAY, "connections")), (1, 0));
        for _ in &filling {
            drop(listener.accept().unwrap());
        }
        // Connects that were given up may be among those that are answered now.
        let mut heard = Vec::new();
        while heard.is_empty() {
            let (mut stream, _) = listener.accept().unwrap();
            heard = vec![0; hello.len()];
            match stream.read_exact(&mut heard) {
                Ok(()) => stream.write_all(b"here I am").unwrap(),
                Err(_) => heard.clear(),
            }
        }
        assert_eq!(heard, hello);
        assert_eq!(raw::how_it_ends(&mut client), (b"here I am".to_vec(), raw::End::Closed));
    });
}

#[test]
fn what_no_successor_has_a_place_for_goes_on_until_the_deadline() {
    within(90, || {
        let server = echo();
        let world = world("succession-no-place", 2, server)
            .set("bulkhead", "drain_deadline", "\"3s\"")
            .set("passthrough-relay", "max_connections", "6")
            .start();
        let mut tunnels: Vec<TcpStream> = (0..8).map(|_| passthrough_to_echo(&world)).collect();
        let ended = world.signal_instance(RELAY, 1, Signal::SIGTERM);
        world.wait_for_line(RELAY, &["handed on", "came back"]);
        world.wait_for_restart(&ended);
        let alive = tunnels.iter_mut().filter_map(|tunnel| echoes(tunnel, 3, 5000).ok()).count();
        assert_eq!(alive, 6, "as many as the other instance may have");
        assert_eq!(world.figure(RELAY, "connections"), 6);
    });
}

#[test]
fn kill_9_cuts_what_the_killed_one_held_and_nothing_else() {
    within(90, || {
        let server = echo();
        let world = world("succession-kill", 2, server).start();
        let mut tunnels: Vec<TcpStream> = (0..20).map(|_| passthrough_to_echo(&world)).collect();
        // All of them are with the second one now.
        end(&world, 1);
        let mut others: Vec<TcpStream> = (0..20).map(|_| passthrough_to_echo(&world)).collect();
        let held = |instance: u64| {
            let status = world.status();
            let one = status.iter().find(|one| one["process"] == RELAY && one["instance"] == instance).unwrap();
            one["figures"]["connections"].as_u64().unwrap() as usize
        };
        let (first, second) = (held(1), held(2));
        assert_eq!(first + second, 40);
        assert!(first > 0 && second >= 20, "{first} {second}");
        let killed = world.signal_instance(RELAY, 1, Signal::SIGKILL);
        world.wait_for_restart(&killed);
        let alive =
            |tunnels: &mut Vec<TcpStream>| tunnels.iter_mut().filter_map(|tunnel| echoes(tunnel, 9, 3000).ok()).count();
        assert_eq!(alive(&mut tunnels), 20, "what was handed on is its successor's alone");
        assert_eq!(alive(&mut others), 20 - first);
    });
}
