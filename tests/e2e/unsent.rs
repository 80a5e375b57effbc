//! Memory of HTTP/2 answers that nobody takes is bounded per client address, and whoever takes his is served.

use std::net::Ipv4Addr;

use harness::backends::Backend;
use harness::clients::from::{client_address, connect_from};
use harness::clients::{h2, tls};
use harness::{World, eventually, processes, within};

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
/// What may wait for one address, in bytes.
const MOST: u64 = 2 << 20;
/// Connections of the one who takes nothing, and streams of each.
const CONNECTIONS: u32 = 6;
const STREAMS: u32 = 80;

fn connect(world: &World, from: Ipv4Addr) -> h2::Connection {
    let socket = connect_from(from, world.https()).unwrap();
    h2::Connection::over(tls::client("www.test").alpn(&["h2"]).over(socket).unwrap())
}

/// A GET (RFC 7541 appendix A).
fn get(path: &str) -> Vec<u8> {
    [b"\x82\x87\x01\x08www.test\x04".as_slice(), &[path.len() as u8], path.as_bytes()].concat()
}

/// Asks for much and opens no window.
fn hoard(world: &World, from: Ipv4Addr) -> h2::Connection {
    let mut connection = connect(world, from);
    connection.frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).unwrap();
    for number in 0..STREAMS {
        connection.frame(HEADERS, 5, 2 * number + 1, &get("/bytes/60000")).unwrap();
    }
    connection
}

/// Takes a large answer as it comes.
fn take(world: &World, from: Ipv4Addr) {
    let mut connection = connect(world, from);
    connection.frame(SETTINGS, 0, 0, &[0, 4, 0x3f, 0xff, 0xff, 0xff]).unwrap();
    connection.frame(WINDOW_UPDATE, 0, 0, &[0x3f, 0, 0, 0]).unwrap();
    connection.frame(HEADERS, 5, 1, &get("/bytes/3000000")).unwrap();
    match connection.outcome(1) {
        h2::Outcome::Answer(200, body) => assert_eq!(body.len(), 3_000_000),
        other => panic!("{other:?}"),
    }
}

#[test]
fn answers_that_nobody_takes_are_bounded_per_address() {
    within(120, || {
        let backend = Backend::application();
        let world = World::new("unsent")
            .set("http-filter", "max_unsent_per_address", "\"2MiB\"")
            .set("http-filter", "body_idle_deadline", "\"30s\"")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .serves("app")
            .start();
        take(&world, client_address(1));
        let figure = |name: &str| world.figure("http-filter", name);
        assert_eq!(figure("held_back"), 0, "who takes what comes is never held back");
        let before = processes::resident_kib(world.pid("http-filter")).unwrap();

        let hoarders: Vec<_> = (0..CONNECTIONS).map(|_| hoard(&world, client_address(2))).collect();
        eventually(20, "its address has as much as it may", || (figure("unsent") >= MOST).then_some(()));
        eventually(20, "all that it asked for has begun", || {
            (figure("requests_active") >= u64::from(CONNECTIONS * STREAMS)).then_some(())
        });
        eventually(20, "answers are held back", || (figure("held_back") > 100).then_some(()));
        // Of 29 MB; each connection may have what was little, and one piece.
        let waits = figure("unsent");
        assert!(waits <= MOST + u64::from(CONNECTIONS) * 128 * 1024, "{waits} bytes wait");
        let grown = processes::resident_kib(world.pid("http-filter")).unwrap().saturating_sub(before);
        assert!(grown < 24 * 1024, "http-filter grew by {grown} KiB");

        take(&world, client_address(3));
        take(&world, client_address(2)); // even at the same address
        let log = world.log_of("http-filter");
        let said = log.iter().filter(|line| line.contains("max_unsent_per_address")).count();
        assert_eq!(said, 1, "{log:?}");

        drop(hoarders);
        eventually(20, "nothing waits any more", || (figure("unsent") == 0).then_some(()));
    });
}

#[test]
fn a_reload_changes_what_may_wait() {
    within(120, || {
        let backend = Backend::application();
        let world = World::new("unsent-reload")
            .set("http-filter", "body_idle_deadline", "\"30s\"")
            .set("http-filter", "max_unsent_per_address", "\"64MiB\"")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .serves("app")
            .start();
        let first = hoard(&world, client_address(1));
        let figure = |name: &str| world.figure("http-filter", name);
        eventually(20, "much of it waits", || (figure("unsent") > 256 * 1024).then_some(()));
        assert_eq!(figure("held_back"), 0);
        let text = std::fs::read_to_string(world.config()).unwrap().replace("64MiB", "64KiB");
        std::fs::write(world.config(), text).unwrap();
        let output = world.bulkhead(&["reload", "--config", &world.config().to_string_lossy()]);
        assert!(output.status.success(), "{output:?}");
        let held = figure("unsent");
        // What was given before stays; a connection more gets little.
        let second = hoard(&world, client_address(1));
        eventually(20, "answers are held back", || (figure("held_back") > 0).then_some(()));
        assert!(figure("unsent") <= held + 128 * 1024, "{held} bytes waited, now {}", figure("unsent"));
        drop((first, second));
    });
}
