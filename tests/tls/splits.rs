//! Records do not care for segments, nor requests for records: cut at every byte, one byte at a time, many at once, and with
//! the request in the very segment that ends the handshake, where the terminator has not let go of the connection yet.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use harness::backends::{Backend, application};
use harness::{World, within};
use rustls::ClientConfig;

use crate::held::{Held, OLD_SUITES, SUITES, config};
use crate::world::{SITE, describe, for_each, start};

/// Long enough that the server has read what came before.
const PAUSE: Duration = Duration::from_millis(2);
/// Threads that try places at the same time.
const AT_ONCE: usize = 6;

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {SITE}\r\n\r\n").into_bytes()
}

fn post(body: &[u8]) -> Vec<u8> {
    let head = format!("POST /echo HTTP/1.1\r\nHost: {SITE}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn expect(held: &mut Held, path: &str, what: &str) {
    let answer = held.answer().unwrap_or_else(|error| panic!("{what}: {error}"));
    let text = answer.text();
    assert!(answer.status == 200 && text.starts_with(&format!("GET {path} ")), "{what}: {} {text}", answer.status);
}

fn expect_body(held: &mut Held, wanted: &[u8], what: &str) {
    let answer = held.answer().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(answer.status == 200 && answer.body == wanted, "{what}: {} {} bytes", answer.status, answer.body.len());
}

/// Tries every number, several at a time.
fn at_every(count: usize, attempt: impl Fn(usize) + Sync) {
    thread::scope(|scope| {
        let attempt = &attempt;
        let tries: Vec<_> =
            (0..AT_ONCE).map(|first| scope.spawn(move || (first..count).step_by(AT_ONCE).for_each(attempt))).collect();
        for one in tries {
            one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
}

fn in_a_world(name: &str, test: impl Fn(&World)) {
    for_each(|handoff| {
        let backend = Backend::application();
        let world = start(name, handoff, &backend);
        test(&world);
    });
}

/// How many bytes the last flight and the first request have together.
fn length(address: SocketAddr, config: &Arc<ClientConfig>) -> usize {
    let mut held = Held::open(address, Arc::clone(config));
    held.say(&get("/length"));
    let request = held.held.len();
    held.send_all();
    expect(&mut held, "/length", "in one piece");
    let flight = Held::connect(address, Arc::clone(config)).held.len();
    flight + request
}

#[test]
fn the_end_of_the_handshake_and_the_first_request_are_cut_at_every_byte() {
    within(120, || {
        in_a_world("cuts", |world| {
            let address = world.https();
            for config in SUITES.map(|suite| config(Some(suite))) {
                let all = length(address, &config);
                at_every(all, |cut| {
                    let mut held = Held::connect(address, Arc::clone(&config));
                    held.say(&get("/cut"));
                    held.send_cut(&[cut], PAUSE);
                    let what = format!("cut at {cut} of {all}");
                    expect(&mut held, "/cut", &what);
                    // And the connection goes on.
                    held.say(&get("/again"));
                    held.send_all();
                    expect(&mut held, "/again", &what);
                });
            }
        });
    });
}

/// In TLS 1.2 the client speaks last when a session is resumed: then the request can come with its Finished, in front of it nothing but
/// change_cipher_spec.
#[test]
fn so_are_those_of_a_resumed_tls_1_2_handshake() {
    within(120, || {
        in_a_world("resumed-cuts", |world| {
            let address = world.https();
            for config in OLD_SUITES.map(|suite| config(Some(suite))) {
                let mut first = Held::open(address, Arc::clone(&config));
                first.say(&get("/first"));
                first.send_all();
                expect(&mut first, "/first", "the first");
                let resume = || {
                    let held = Held::connect(address, Arc::clone(&config));
                    assert_eq!(held.tls.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
                    held
                };
                let all = resume().held.len() + first_record(&get("/cut"), &mut first);
                at_every(all, |cut| {
                    let mut held = resume();
                    held.say(&get("/cut"));
                    held.send_cut(&[cut], PAUSE);
                    let what = format!("resumed, cut at {cut} of {all}");
                    expect(&mut held, "/cut", &what);
                    held.say(&get("/again"));
                    held.send_all();
                    expect(&mut held, "/again", &what);
                });
                for size in [16_384, 300_000] {
                    let body = application::pattern_of(size);
                    let mut held = resume();
                    held.say(&post(&body));
                    held.send_all();
                    expect_body(&mut held, &body, &format!("{size} bytes behind a resumed handshake"));
                }
            }
        });
    });
}

/// Bytes that this plaintext takes when it is sealed.
fn first_record(plaintext: &[u8], held: &mut Held) -> usize {
    held.say(plaintext);
    held.held.len()
}

#[test]
fn a_later_request_is_cut_at_every_byte() {
    within(90, || {
        in_a_world("later-cuts", |world| {
            for config in [SUITES[1], SUITES[2], OLD_SUITES[1], OLD_SUITES[2]].map(|suite| config(Some(suite))) {
                let mut held = Held::open(world.https(), config);
                held.say(&get("/first"));
                held.send_all();
                expect(&mut held, "/first", "the first");
                held.say(&get("/later"));
                let all = held.held.len();
                held.send_all();
                expect(&mut held, "/later", "in one piece");
                for cut in 1..all {
                    held.say(&get("/later"));
                    held.send_cut(&[cut], PAUSE);
                    expect(&mut held, "/later", &format!("cut at {cut} of {all}"));
                }
            }
        });
    });
}

#[test]
fn one_byte_at_a_time_is_enough() {
    within(60, || {
        in_a_world("bytes", |world| {
            for config in [config(Some(SUITES[0])), config(Some(SUITES[2])), config(None)] {
                // A segment for every byte of the last flight and of the request.
                let mut held = Held::connect(world.https(), Arc::clone(&config));
                held.say(&get("/segments"));
                let every: Vec<usize> = (1..held.held.len()).collect();
                held.send_cut(&every, Duration::from_micros(300));
                expect(&mut held, "/segments", "one byte per segment");
                // A record for every byte of the request, in a segment each, and then all in one.
                for pause in [Some(Duration::from_micros(300)), None] {
                    let mut cuts = Vec::new();
                    for byte in get("/records") {
                        held.say(&[byte]);
                        cuts.push(held.held.len());
                    }
                    held.send_cut(if pause.is_some() { &cuts } else { &[] }, pause.unwrap_or_default());
                    expect(&mut held, "/records", "one byte per record");
                }
            }
        });
    });
}

#[test]
fn many_records_come_in_the_segment_that_ends_the_handshake() {
    within(90, || {
        in_a_world("together", |world| {
            for config in SUITES.map(|suite| config(Some(suite))).into_iter().chain([config(None)]) {
                // Four requests, a record each.
                let mut held = Held::connect(world.https(), Arc::clone(&config));
                (0..4).for_each(|number| held.say(&get(&format!("/pipelined-{number}"))));
                held.send_all();
                (0..4).for_each(|number| expect(&mut held, &format!("/pipelined-{number}"), "pipelined"));
                // Far more than one record, and more than a hand-over may carry: the rest stays in the socket.
                for size in [16_384 - 200, 16_384, 40_000, 300_000] {
                    let body = application::pattern_of(size);
                    let mut held = Held::connect(world.https(), Arc::clone(&config));
                    held.say(&post(&body));
                    held.send_all();
                    expect_body(&mut held, &body, &format!("{size} bytes behind the handshake"));
                    held.say(&get("/after"));
                    held.send_all();
                    expect(&mut held, "/after", "after the upload");
                }
            }
        });
    });
}

#[test]
fn any_cuts_at_all_change_nothing() {
    within(90, || {
        in_a_world("any-cuts", |world| {
            at_every(60, |seed| {
                let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (seed as u64 + 1));
                let mut held = Held::connect(world.https(), config(SUITES.get(seed % 4).copied()));
                let mut wanted = Vec::new();
                for _ in 0..6 {
                    // Plaintext in records of any size, records in segments of any size.
                    let body = application::pattern_of(random.below(50_000));
                    let request = post(&body);
                    let mut rest = request.as_slice();
                    while !rest.is_empty() {
                        let (now, later) = rest.split_at(rest.len().min(1 + random.below(20_000)));
                        held.say(now);
                        rest = later;
                    }
                    wanted.push(body);
                    if random.below(2) == 0 {
                        let all = held.held.len();
                        let mut cuts: Vec<usize> = (0..random.below(12)).map(|_| random.below(all)).collect();
                        cuts.sort_unstable();
                        held.send_cut(&cuts, Duration::from_micros(500));
                        for body in wanted.drain(..) {
                            expect_body(&mut held, &body, &format!("seed {seed}"));
                        }
                    }
                }
                held.send_all();
                for body in wanted {
                    expect_body(&mut held, &body, &format!("seed {seed}, at the end"));
                }
            });
        });
    });
}

#[test]
fn half_a_goodbye_is_one_half_only() {
    within(60, || {
        for_each(|handoff| {
            let backend = Backend::application();
            let world =
                describe("half-close", handoff, &backend).set("http-filter", "half_close", "\"answer\"").start();
            for config in SUITES.map(|suite| config(Some(suite))).into_iter().chain([config(None)]) {
                for fin in [false, true] {
                    let what = format!("close_notify behind the request, {}", if fin { "and FIN" } else { "no FIN" });
                    let mut held = Held::open(world.https(), Arc::clone(&config));
                    held.say(&get("/sleep/100"));
                    held.tls.send_close_notify();
                    held.seal();
                    held.send_all();
                    if fin {
                        held.socket.shutdown(std::net::Shutdown::Write).unwrap();
                    }
                    expect(&mut held, "/sleep/100", &what);
                    // Then the server says goodbye, too: rustls tells an end without close_notify.
                    assert_eq!(std::io::Read::read(&mut held, &mut [0; 1]).unwrap(), 0, "{what}");
                }
            }
        });
    });
}

/// Numbers that look random and are the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}
