//! Pools: which server gets a request, who is left out, who waits, what is tried again. Every policy and limit through real sockets.

mod choice;
mod failure;
mod health;
mod limits;
mod reload;
mod sticky;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use harness::World;
use harness::backends::Backend;
use harness::clients::{http, raw};

/// What a server does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
enum Mood {
    /// 200 with its name.
    Well,
    /// 503 with its name.
    Ill,
    /// Reads the request and closes.
    Closes,
    /// Reads the request and says nothing.
    Hangs,
    /// 200 with its name after 300 ms.
    Slow,
}

const MOODS: [Mood; 5] = [Mood::Well, Mood::Ill, Mood::Closes, Mood::Hangs, Mood::Slow];

/// A server that says who it is, in a mood that can be changed. Requests for `/health` are not counted.
struct Server {
    backend: Backend,
    mood: Arc<AtomicUsize>,
    seen: Arc<AtomicUsize>,
}

impl Server {
    fn new(name: &'static str) -> Self {
        let (mood, seen) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (now, count) = (Arc::clone(&mood), Arc::clone(&seen));
        let backend = Backend::talking(move |mut talk| {
            loop {
                let head = String::from_utf8_lossy(&talk.read_until(b"\r\n\r\n")?).into_owned();
                let length = harness::backends::application::header(&head, "content-length");
                talk.read_exactly(length.and_then(|length| length.parse().ok()).unwrap_or(0))?;
                if !head.starts_with("GET /health ") {
                    count.fetch_add(1, Ordering::SeqCst);
                }
                let status = match MOODS[now.load(Ordering::SeqCst)] {
                    Mood::Well => "200 OK",
                    Mood::Ill => "503 Service Unavailable",
                    Mood::Closes => return Ok(()),
                    Mood::Hangs => {
                        talk.drain();
                        return Ok(());
                    }
                    Mood::Slow => {
                        thread::sleep(Duration::from_millis(300));
                        "200 OK"
                    }
                };
                let length = name.len();
                talk.say(format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{name}").as_bytes())?;
            }
        });
        Self { backend, mood, seen }
    }

    fn address(&self) -> SocketAddr {
        self.backend.address()
    }

    fn is(&self, mood: Mood) {
        self.mood.store(mood as usize, Ordering::SeqCst);
    }

    /// Requests so far.
    fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

/// Three of them: `a`, `b`, `c`.
fn three() -> [Server; 3] {
    ["a", "b", "c"].map(Server::new)
}

fn addresses(servers: &[Server]) -> Vec<SocketAddr> {
    servers.iter().map(Server::address).collect()
}

/// An address where nobody listens.
fn dead() -> SocketAddr {
    (harness::backends::ADDRESS, harness::ports::hold().port).into()
}

/// A world with one pool of these servers.
fn world(name: &str, servers: &[Server], keys: &str) -> World {
    let pool = World::new(name).terminates(&["www.test"]).pool_with("app", &addresses(servers), keys);
    pool.serves("app").start()
}

/// `bulkhead drain` or `undrain` of a server of the pool.
fn drain(world: &World, verb: &str, server: &str) {
    let output = world.bulkhead(&[verb, "app", server, &world.config().to_string_lossy()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// One request on a connection of its own, with further header lines (each with its end).
fn ask(world: &World, headers: &str) -> io::Result<http::Answer> {
    request(world, &format!("GET / HTTP/1.1\r\nHost: www.test\r\n{headers}\r\n"))
}

fn request(world: &World, text: &str) -> io::Result<http::Answer> {
    let mut stream = raw::connect(world.http());
    stream.write_all(text.as_bytes())?;
    http::read_answer(&mut stream)
}

/// Who answered; panics when it was not a server with 200.
fn who(world: &World, headers: &str) -> String {
    let answer = ask(world, headers).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

/// So many requests, counted by who answered.
fn tally(world: &World, count: usize) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    (0..count).for_each(|_| *tally.entry(who(world, "")).or_default() += 1);
    tally
}
