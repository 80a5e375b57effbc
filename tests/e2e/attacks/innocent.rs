//! Clients that mean no harm: each asks, reads, waits a moment and asks again, for as long as the attacks last. All come from one address that
//! no attacker has.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use harness::World;
use harness::clients::{h2, http, raw, tls};
use harness::eventually;

/// Between two requests of one client.
const PAUSE: Duration = Duration::from_millis(20);

const KINDS: [&str; 3] = ["kept alive", "TLS", "HTTP/2"];

/// How long each step took.
struct Steps(Instant, Vec<Duration>);

impl Steps {
    fn done<T>(&mut self, what: T) -> T {
        let now = Instant::now();
        self.1.push(now.duration_since(std::mem::replace(&mut self.0, now)));
        what
    }
}

/// What happened to them.
#[derive(Debug, Default)]
pub struct Account {
    /// Requests that were answered as they should.
    pub served: usize,
    /// 99 of 100 were answered within this time.
    pub p99: Duration,
    /// The slowest, and what took how long: connecting, the TLS handshake, the answer.
    pub slowest: (Duration, String),
    /// What else happened.
    pub failures: Vec<String>,
}

#[derive(Debug, Default)]
struct Notes {
    times: Vec<Duration>,
    slowest: (Duration, String),
    kinds: [usize; 3],
    failures: Vec<String>,
}

/// All of them.
#[derive(Debug)]
pub struct Innocent {
    http: SocketAddr,
    https: SocketAddr,
    notes: Mutex<Notes>,
}

impl Innocent {
    pub fn new(world: &World) -> Self {
        Self { http: world.http(), https: world.https(), notes: Mutex::default() }
    }

    /// Begins; they end when `over` is true.
    pub fn begin<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, over: &'scope AtomicBool) {
        scope.spawn(move || self.kept_alive(over));
        scope.spawn(move || self.again_and_again(over, 1, |steps| self.by_tls(steps)));
        scope.spawn(move || self.again_and_again(over, 2, |steps| self.by_http_2(steps)));
    }

    pub fn wait_until_all_are_served(&self) {
        eventually(20, "innocent clients of each kind are served", || {
            self.notes.lock().unwrap().kinds.iter().all(|count| *count > 2).then_some(())
        });
    }

    /// A new account begins.
    pub fn forget(&self) {
        let mut notes = self.notes.lock().unwrap();
        notes.times.clear();
        notes.slowest = Default::default();
        notes.failures.clear();
    }

    /// Requests answered since the account began.
    pub fn served(&self) -> usize {
        self.notes.lock().unwrap().times.len()
    }

    /// The account so far.
    pub fn account(&self) -> Account {
        let mut notes = self.notes.lock().unwrap();
        notes.times.sort_unstable();
        let at = notes.times.len() * 99 / 100;
        let p99 = notes.times.get(at).or(notes.times.last()).copied().unwrap_or_default();
        Account { served: notes.times.len(), p99, slowest: notes.slowest.clone(), failures: notes.failures.clone() }
    }

    fn note(&self, kind: usize, began: Instant, steps: &[Duration], outcome: Result<u16, String>) {
        let took = began.elapsed();
        let mut notes = self.notes.lock().unwrap();
        match outcome {
            Ok(200) => {
                notes.times.push(took);
                if took > notes.slowest.0 {
                    let steps: Vec<String> = steps.iter().map(|step| format!("{}", step.as_millis())).collect();
                    notes.slowest = (took, format!("{} {}", KINDS[kind], steps.join("+")));
                }
                notes.kinds[kind] += 1;
            }
            other => notes.failures.push(format!("kind {kind} after {:?}: {other:?}", began.elapsed())),
        }
    }

    /// HTTP/1 over one connection.
    fn kept_alive(&self, over: &AtomicBool) {
        let mut stream = raw::connect(self.http);
        while !over.load(Relaxed) {
            let began = Instant::now();
            let answer = http::get(&mut stream, "www.test", "/bytes/1000");
            if answer.is_err() {
                stream = raw::connect(self.http);
            }
            self.note(0, began, &[], answer.map(|answer| answer.status).map_err(|error| error.to_string()));
            thread::sleep(PAUSE);
        }
    }

    fn again_and_again(&self, over: &AtomicBool, kind: usize, ask: impl Fn(&mut Steps) -> Result<u16, String>) {
        while !over.load(Relaxed) {
            let began = Instant::now();
            let mut steps = Steps(began, Vec::new());
            let outcome = ask(&mut steps);
            self.note(kind, began, &steps.1, outcome);
            thread::sleep(PAUSE);
        }
    }

    /// TLS, a connection for each request.
    fn by_tls(&self, steps: &mut Steps) -> Result<u16, String> {
        let socket = steps.done(raw::connect(self.https));
        let stream = tls::client("www.test").over(socket).map_err(|error| error.to_string())?;
        let mut stream = steps.done(stream);
        let answer = http::get(&mut stream, "www.test", "/bytes/1000").map_err(|error| error.to_string())?;
        let answer = steps.done(answer);
        tls::goodbye(stream);
        Ok(answer.status)
    }

    /// HTTP/2, a connection for each request.
    fn by_http_2(&self, steps: &mut Steps) -> Result<u16, String> {
        let socket = steps.done(raw::connect(self.https));
        let stream = tls::client("www.test").alpn(&["h2"]).over(socket).map_err(|error| error.to_string())?;
        let mut connection = h2::Connection::over(steps.done(stream));
        let fields: [(&[u8], &[u8]); 4] =
            [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"www.test"), (b":path", b"/bytes/1000")];
        let stream = connection.send(&fields, None).map_err(|error| error.to_string())?;
        match steps.done(connection.outcome(stream)) {
            h2::Outcome::Answer(status, _) => Ok(status),
            other => Err(format!("{other:?}")),
        }
    }
}
