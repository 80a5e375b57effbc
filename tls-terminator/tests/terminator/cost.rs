//! What serving costs: processor time of the serving thread per operation, memory per idle connection. Figures for the eye,
//! not a test: `cargo bench -p tls-terminator`.

use std::sync::Arc;
use std::time::Instant;

use crate::client::{Client, TLS13, config};
use crate::process::Running;
use crate::world::{Plan, World};

/// Processor time of the serving thread so far, microseconds (schedstat, first field, is in nanoseconds).
fn spent(world: &World) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/self/task/{}/schedstat", world.thread_id)).unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1000.0
}

fn pin(thread: Option<i32>, cpu: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    let thread = thread.and_then(rustix::thread::Pid::from_raw);
    let _ = rustix::thread::sched_setaffinity(thread, &set);
}

fn plan() -> Plan {
    let mut plan = Plan::default();
    plan.terminator.max_connections_per_address = 10_000;
    plan.terminator.max_connections = 10_000;
    plan
}

/// Requests and bulk, over the relay.
pub fn per_request() {
    pin(None, 0);
    let world = World::start(plan());
    pin(Some(world.thread_id), 1);
    println!("serving thread: {}", world.thread_id);
    let config = Arc::new(config(&world, TLS13, &["http/1.1"]));
    for (name, request, answer, clients, rounds) in [
        ("1 KiB echo, 1 client", 1024, 1024, 1, 20_000),
        ("1 KiB answer, 32 clients", 100, 1024, 32, 600),
        ("1 MiB answer, 1 client", 100, 1 << 20, 1, 300),
        ("1 MiB answer, 8 clients", 100, 1 << 20, 8, 40),
        ("1 MiB upload, 1 client", 1 << 20, 1 << 20, 1, 200),
    ] {
        let mut all: Vec<Client> = (0..clients).map(|_| Client::shared(&world, &config, "shop.example")).collect();
        let echo = request >= 1024;
        let mut bytes = if echo { vec![b'x'; request] } else { format!("!get {answer:07} ").into_bytes() };
        bytes.resize(request, b' ');
        let run = |all: &mut Vec<Client>, rounds: usize| {
            for _ in 0..rounds {
                if echo && request > 100_000 {
                    assert!(all[0].duplex(&bytes, false).1);
                    continue;
                }
                all.iter_mut().for_each(|client| client.send(&bytes).unwrap());
                all.iter_mut().for_each(|client| drop(client.receive(answer).unwrap()));
            }
        };
        run(&mut all, rounds / 10);
        let (before, began) = (spent(&world), Instant::now());
        run(&mut all, rounds);
        let operations = f64::from(u32::try_from(rounds * clients).unwrap());
        let cost = (spent(&world) - before) / operations;
        let rate = operations / began.elapsed().as_secs_f64();
        println!("{name}: {cost:.1} us of processor time each, {rate:.0} per second");
    }
}

/// Handshakes, full and resumed.
pub fn per_handshake() {
    pin(None, 0);
    let world = World::start(plan());
    pin(Some(world.thread_id), 1);
    for (name, resumed) in [("full", false), ("resumed", true)] {
        let shared = Arc::new(config(&world, TLS13, &["http/1.1"]));
        let connect = || {
            let config = if resumed { Arc::clone(&shared) } else { Arc::new(config(&world, TLS13, &["http/1.1"])) };
            let mut client = Client::shared(&world, &config, "shop.example");
            client.echo(b"x");
            client.goodbye();
            client.rest().unwrap();
        };
        (0..50).for_each(|_| connect());
        let before = spent(&world);
        (0..1000).for_each(|_| connect());
        println!("{name} handshake, one byte, goodbye: {:.1} us", (spent(&world) - before) / 1000.0);
    }
}

/// Memory of the real process.
pub fn per_idle_connection() {
    let (world, from_router) = World::around(Plan::default());
    let running = Running::start(&world, from_router);
    running.says("serving");
    let config = Arc::new(config(&world, TLS13, &["http/1.1"]));
    let connect = |count: usize| -> Vec<Client> {
        let mut clients: Vec<Client> = (0..count).map(|_| Client::shared(&world, &config, "shop.example")).collect();
        clients.iter_mut().for_each(|client| client.echo(&[1; 1000]));
        clients
    };
    let warm = connect(20);
    let before = resident_kib(&running);
    let clients = connect(480);
    println!("at start {before} KiB; {:.1} KiB per idle connection", (resident_kib(&running) - before) / 480.0);
    drop((warm, clients));
}

fn resident_kib(running: &Running) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", running.child.id())).unwrap();
    let line = text.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
