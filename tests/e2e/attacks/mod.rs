//! Attacks: what strangers do to make a proxy hold much, work much, or wait for ever. While each runs, innocent clients (HTTP/1 kept alive, TLS,
//! HTTP/2) are served without one failure, the memory of all our processes grows by no more than [`GROWTH`], and in the end the attacker
//! is cut off, or what it can hold is bounded where cutting off would be wrong.
//!
//! A table per group of attacks; each group has a world of its own with short deadlines, so the groups run side by side. The table is printed with the
//! latency of the innocent, which depends on the machine and is not asserted.

mod connections;
mod frames;
mod http1;
mod innocent;
mod streams;
mod wire;

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use harness::backends::{Backend, application, websocket};
use harness::{World, processes, within};

/// What all processes together may grow by under one attack, in KiB.
const GROWTH: u64 = 50 * 1024;
/// Shorter attacks are repeated.
const SHORTEST: Duration = Duration::from_millis(600);
/// How long one attack may take.
const LONGEST: Duration = Duration::from_secs(60);

/// An attack: its name, and what it does. It says how it ended, and panics when it was not cut off although it should have been.
type Attack = (&'static str, fn(&Stage) -> String);

/// Where attacks take place.
struct Stage {
    world: World,
    /// Kept for as long as the world.
    _backends: [Backend; 2],
    attackers: AtomicU32,
}

/// Deadlines are short, so that the tests are; the limits are the defaults.
fn stage(name: &str) -> Stage {
    let backends = [Backend::talking(application::talk), Backend::talking(websocket::talk)];
    let mut builder = World::new(name)
        .terminates(&["www.test"])
        .pool("app", &[backends[0].address()])
        .pool("chat", &[backends[1].address()])
        .http_route("name = \"chat\"\npool = \"chat\"\npaths = \"/chat\"")
        .serves("app")
        .set("log", "access", "false")
        .set("log", "level", "\"warn\"")
        .set("sni-router", "client_hello_deadline", "\"2s\"")
        .set("tls-terminator", "handshake_deadline", "\"2s\"");
    for (key, value) in [
        ("first_byte_deadline", "2s"),
        ("header_deadline", "2s"),
        ("idle_deadline", "3s"),
        ("body_idle_deadline", "2s"),
        ("tunnel_idle_deadline", "3s"),
    ] {
        builder = builder.set("http-filter", key, &format!("\"{value}\""));
    }
    Stage { world: builder.start(), _backends: backends, attackers: AtomicU32::new(0) }
}

/// Resident memory of all our processes, in KiB.
fn resident(stage: &Stage) -> u64 {
    stage.world.processes().iter().filter_map(|living| processes::resident_kib(living.pid)).sum()
}

fn run(name: &str, attacks: &[Attack]) {
    let stage = stage(name);
    let innocent = innocent::Innocent::new(&stage.world);
    let over = AtomicBool::new(false);
    let peak = AtomicU64::new(0);
    let mut table = format!(
        "{name}\n  {:<34} {:>6} {:>7} {:>6} {:>9}  {:<32} ended\n",
        "attack", "s", "served", "p99", "grew", "slowest"
    );
    thread::scope(|scope| {
        innocent.begin(scope, &over);
        scope.spawn(|| {
            while !over.load(Relaxed) {
                peak.fetch_max(resident(&stage), Relaxed);
                thread::sleep(Duration::from_millis(50));
            }
        });
        let end = EndOnDrop(&over);
        innocent.wait_until_all_are_served();
        for (what, attack) in attacks {
            let before = resident(&stage);
            peak.store(before, Relaxed);
            innocent.forget();
            let began = Instant::now();
            // Short ones again and again, until the innocent have been served meanwhile, however slow the machine is.
            let ended = loop {
                let ended = attack(&stage);
                let seconds = began.elapsed();
                assert!(seconds < LONGEST, "{what} took {seconds:?}, and {} innocent were served", innocent.served());
                if seconds > SHORTEST && innocent.served() > 0 {
                    break ended;
                }
            };
            let seconds = began.elapsed();
            let grew = peak.load(Relaxed).max(resident(&stage)).saturating_sub(before);
            let seen = innocent.account();
            let _ = writeln!(
                table,
                "  {what:<34} {:>6.1} {:>7} {:>4}ms {grew:>6}KiB  {:<32} {ended}",
                seconds.as_secs_f64(),
                seen.served,
                seen.p99.as_millis(),
                format!("{}ms {}", seen.slowest.0.as_millis(), seen.slowest.1)
            );
            assert!(seen.failures.is_empty(), "{what}: innocent clients failed: {:?}\n{table}", seen.failures);
            assert!(grew <= GROWTH, "{what}: all processes together grew by {grew} KiB\n{table}");
        }
        drop(end);
    });
    let _ = std::io::stderr().write_all(table.as_bytes());
}

/// Lets the other threads end, also when an attack panics.
struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn on_connections_and_tls() {
    within(240, || run("attacks on connections and TLS", connections::ATTACKS));
}

#[test]
fn on_http_1() {
    within(240, || run("attacks on HTTP/1", http1::ATTACKS));
}

#[test]
fn by_http_2_frames() {
    within(240, || run("attacks by HTTP/2 frames", frames::ATTACKS));
}

#[test]
fn by_http_2_streams() {
    within(240, || run("attacks by HTTP/2 streams", streams::ATTACKS));
}

#[test]
fn there_are_enough_of_them() {
    within(10, || {
        let all = [connections::ATTACKS, http1::ATTACKS, frames::ATTACKS, streams::ATTACKS].concat();
        let mut names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert!(names.len() == all.len() && names.len() >= 36, "{} attacks", names.len());
    });
}
