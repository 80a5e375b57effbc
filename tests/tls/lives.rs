//! Connections that live long and never rest: HTTP/1.1 (keys renewed now and then), HTTP/2 with several streams, a WebSocket, and
//! downloads that are always under way. Each says in the end what cut it, and counts what it did meanwhile.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use harness::backends::application;
use harness::clients::http::{get, read_head};
use harness::clients::websocket::WebSocket;
use harness::clients::{multiplexed, tls};
use harness::{World, eventually};

use crate::held::{Held, OLD_SUITES, SUITES, config};
use crate::world::SITE;

/// One of them.
struct Life {
    what: &'static str,
    rounds: Arc<AtomicU64>,
    thread: JoinHandle<io::Result<()>>,
}

/// All of them.
pub struct Lives {
    over: Arc<AtomicBool>,
    all: Vec<Life>,
}

/// What a life looks at and counts in.
#[derive(Clone)]
struct Signs {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
}

impl Signs {
    fn go_on(&self) -> bool {
        self.rounds.fetch_add(1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(2));
        !self.over.load(Ordering::SeqCst)
    }
}

/// Lives until it is told to end, or is cut.
type Living = fn(&Signs) -> io::Result<()>;

const KINDS: [(&str, Living); 6] = [
    ("HTTP/1.1", |signs| http1(signs, Held::open(signs.address, config(Some(SUITES[1]))))),
    ("HTTP/1.1 over TLS 1.2", |signs| http1(signs, Held::open(signs.address, config(Some(OLD_SUITES[0]))))),
    ("HTTP/2", http2),
    ("a WebSocket", websocket),
    ("a download", |signs| download(signs, Held::open(signs.address, config(Some(SUITES[0]))))),
    ("a download over TLS 1.2", |signs| download(signs, Held::open(signs.address, config(Some(OLD_SUITES[2]))))),
];

impl Lives {
    /// Begins `count` of each kind, and waits until each has been served.
    pub fn begin(world: &World, count: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut all = Vec::new();
        for (what, live) in KINDS.iter().cycle().take(count * KINDS.len()) {
            let rounds = Arc::new(AtomicU64::new(0));
            let signs = Signs { address: world.https(), over: Arc::clone(&over), rounds: Arc::clone(&rounds) };
            let thread = thread::spawn(move || live(&signs));
            all.push(Life { what, rounds, thread });
        }
        let lives = Self { over, all };
        lives.wait_for_rounds("at the beginning");
        lives
    }

    /// Waits until each has done something more; panics when one was cut.
    pub fn wait_for_rounds(&self, when: &str) {
        let before: Vec<u64> = self.all.iter().map(|life| life.rounds.load(Ordering::SeqCst)).collect();
        for (life, before) in self.all.iter().zip(before) {
            eventually(15, &format!("{} goes on {when}", life.what), || {
                assert!(!life.thread.is_finished(), "{} was cut {when}", life.what);
                (life.rounds.load(Ordering::SeqCst) > before + 2).then_some(())
            });
        }
    }

    /// Ends them, and asserts that nobody else did.
    pub fn end(self) {
        self.over.store(true, Ordering::SeqCst);
        for life in self.all {
            let rounds = life.rounds.load(Ordering::SeqCst);
            life.thread.join().unwrap().unwrap_or_else(|error| panic!("{} after {rounds} rounds: {error}", life.what));
        }
    }

    /// Ends them, cut or not; how many were.
    pub fn end_anyhow(self) -> usize {
        self.over.store(true, Ordering::SeqCst);
        self.all.into_iter().filter_map(|life| life.thread.join().ok()).filter(Result::is_err).count()
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}

fn http1(signs: &Signs, mut held: Held) -> io::Result<()> {
    let renews = held.tls.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
    let mut round = 0;
    loop {
        round += 1;
        if renews && round % 20 == 0 {
            held.tls.refresh_traffic_keys().map_err(io::Error::other)?;
            held.seal();
        }
        let count = round * 37 % 30_000;
        let answer = get(&mut held, SITE, &format!("/stream/{count}"))?;
        if answer.status != 200 || answer.body != application::pattern_of(count) {
            return Err(wrong("another answer"));
        }
        if !signs.go_on() {
            held.tls.send_close_notify();
            held.seal();
            held.send_all();
            return Ok(());
        }
    }
}

fn http2(signs: &Signs) -> io::Result<()> {
    multiplexed::run(signs.address, SITE, async |client| {
        let wanted = application::pattern_of(20_000);
        loop {
            let (one, two) = tokio::join!(client.get("/stream/20000"), client.get("/stream/20000"));
            for answer in [one, two] {
                let answer = answer.map_err(io::Error::other)?;
                if answer.head.status() != 200 || answer.body != wanted {
                    return Err(wrong("another answer"));
                }
            }
            tokio::task::yield_now().await;
            if !signs.go_on() {
                return Ok(());
            }
        }
    })
}

fn websocket(signs: &Signs) -> io::Result<()> {
    let stream = tls::client(SITE).connect(signs.address)?;
    let mut socket = WebSocket::open(stream, SITE, "/chat").map_err(|answer| wrong(&answer.head))?;
    let mut round = 0;
    loop {
        round += 1;
        let message = application::pattern_of(round % 3_000 + 1);
        socket.send(&message)?;
        if socket.receive()? != message {
            return Err(wrong("another message"));
        }
        if !signs.go_on() {
            return socket.close();
        }
    }
}

fn download(signs: &Signs, mut held: Held) -> io::Result<()> {
    const LONG: usize = 4 << 30;
    io::Write::write_all(&mut held, format!("GET /stream/{LONG} HTTP/1.1\r\nHost: {SITE}\r\n\r\n").as_bytes())?;
    let head = read_head(&mut held)?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err(wrong(&head));
    }
    let mut at = 0;
    let mut buffer = vec![0; 20_000];
    loop {
        held.read_exact(&mut buffer)?;
        if buffer.iter().enumerate().any(|(more, byte)| *byte != application::pattern(at + more)) {
            return Err(wrong("other bytes"));
        }
        at += buffer.len();
        if !signs.go_on() {
            return Ok(());
        }
    }
}
