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

/// What happened to them.
#[derive(Debug, Default)]
pub struct Account {
    /// Requests that were answered as they should.
    pub served: usize,
    /// 99 of 100 were answered within this time.
    pub p99: Duration,
    /// What else happened.
    pub failures: Vec<String>,
}

#[derive(Debug, Default)]
struct Notes {
    times: Vec<Duration>,
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
        scope.spawn(move || self.again_and_again(over, 1, || self.by_tls()));
        scope.spawn(move || self.again_and_again(over, 2, || self.by_http_2()));
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
        notes.failures.clear();
    }

    /// The account so far.
    pub fn account(&self) -> Account {
        let mut notes = self.notes.lock().unwrap();
        notes.times.sort_unstable();
        let at = notes.times.len() * 99 / 100;
        let p99 = notes.times.get(at).or(notes.times.last()).copied().unwrap_or_default();
        Account { served: notes.times.len(), p99, failures: notes.failures.clone() }
    }

    fn note(&self, kind: usize, began: Instant, outcome: Result<u16, String>) {
        let mut notes = self.notes.lock().unwrap();
        match outcome {
            Ok(200) => {
                notes.times.push(began.elapsed());
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
            self.note(0, began, answer.map(|answer| answer.status).map_err(|error| error.to_string()));
            thread::sleep(PAUSE);
        }
    }

    fn again_and_again(&self, over: &AtomicBool, kind: usize, ask: impl Fn() -> Result<u16, String>) {
        while !over.load(Relaxed) {
            let began = Instant::now();
            self.note(kind, began, ask());
            thread::sleep(PAUSE);
        }
    }

    /// TLS, a connection for each request.
    fn by_tls(&self) -> Result<u16, String> {
        let mut stream = tls::client("www.test").connect(self.https).map_err(|error| error.to_string())?;
        let answer = http::get(&mut stream, "www.test", "/bytes/1000").map_err(|error| error.to_string())?;
        tls::goodbye(stream);
        Ok(answer.status)
    }

    /// HTTP/2, a connection for each request.
    fn by_http_2(&self) -> Result<u16, String> {
        let client = tls::client("www.test").alpn(&["h2"]);
        let mut connection = h2::Connection::over(client.connect(self.https).map_err(|error| error.to_string())?);
        let fields: [(&[u8], &[u8]); 4] =
            [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"www.test"), (b":path", b"/bytes/1000")];
        let stream = connection.send(&fields, None).map_err(|error| error.to_string())?;
        match connection.outcome(stream) {
            h2::Outcome::Answer(status, _) => Ok(status),
            other => Err(format!("{other:?}")),
        }
    }
}
