//! A flood of full handshakes beside connections that are established. Handshakes cost the terminator's processor time, requests
//! http-filter's, and the kernel shares a processor between processes: so established connections keep answering. The test in CI
//! asserts that they do; the measurement prints how fast (`make tls-check`).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::backends::Backend;
use harness::clients::{http, tls};
use harness::within;

use crate::held::{Held, SUITES, config};
use crate::world::{Handoff, SITE, describe, for_each};

/// Times of requests.
struct Times(Vec<Duration>);

impl Times {
    fn at(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }
}

/// One connection's requests, one after the other, for so long.
fn requests(held: &mut Held, length: Duration) -> Times {
    let end = Instant::now() + length;
    let mut times = Vec::new();
    while Instant::now() < end {
        let began = Instant::now();
        let answer = http::get(held, SITE, "/bytes/1024").expect("an established connection answers");
        times.push(began.elapsed());
        assert_eq!((answer.status, answer.body.len()), (200, 1024));
        thread::sleep(Duration::from_millis(1));
    }
    times.sort();
    Times(times)
}

/// Full handshakes from as many threads, without a request, until it is over. What it returns were finished.
fn flooded<T>(address: SocketAddr, threads: usize, act: impl FnOnce() -> T) -> (T, u64) {
    let (over, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let result = thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                // A client of its own each time, so that none has a ticket and every handshake is a full one.
                while !over.load(Ordering::SeqCst) {
                    // Who is refused tries again at once.
                    let shaken = tls::client(SITE).connect(address);
                    done.fetch_add(u64::from(shaken.is_ok()), Ordering::SeqCst);
                }
            });
        }
        let result = act();
        over.store(true, Ordering::SeqCst);
        result
    });
    (result, done.into_inner())
}

/// Quiet times, times under a flood, and how many handshakes a second that was; `rate`: how many are let through.
fn measure(handoff: Handoff, rate: u32, length: Duration, threads: usize) -> (Times, Times, u64) {
    let backend = Backend::application();
    let world = describe("flood", handoff, &backend);
    let world = world.set("tls-terminator", "full_handshake_rate", &rate.to_string()).start();
    let mut held = Held::open(world.https(), config(Some(SUITES[1])));
    let _warm = requests(&mut held, length / 4);
    let quiet = requests(&mut held, length);
    let (flooded, handshakes) = flooded(world.https(), threads, || requests(&mut held, length));
    drop(held);
    world.stop_without_counting();
    (quiet, flooded, handshakes * 1000 / length.as_millis() as u64)
}

#[test]
fn established_connections_go_on_under_a_flood_of_handshakes() {
    within(90, || {
        for_each(|handoff| {
            let (_, flooded, handshakes) = measure(handoff, 0, Duration::from_secs(2), 4);
            assert!(flooded.0.len() > 20 && handshakes > 0, "{} requests, {handshakes}/s", flooded.0.len());
        });
    });
}

#[test]
#[ignore = "prints figures: make tls-check"]
fn how_much_a_flood_of_handshakes_slows_established_connections() {
    within(300, || {
        for_each(|handoff| {
            for (threads, rate) in [(1, 0), (4, 0), (16, 0), (16, 100)] {
                let (quiet, flooded, handshakes) = measure(handoff, rate, Duration::from_secs(8), threads);
                eprintln!(
                    "FLOOD {}, limit {rate}/s: {handshakes} handshakes/s from {threads} threads: p50 {:?} -> {:?}, p99 {:?} -> {:?}",
                    handoff.name(),
                    quiet.at(50),
                    flooded.at(50),
                    quiet.at(99),
                    flooded.at(99)
                );
            }
        });
    });
}
