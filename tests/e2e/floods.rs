//! Clients that make much of little: HTTP/2 floods and readers that do not read. Memory stays bounded, others are served.

use std::io::Write;
use std::time::Duration;

use harness::backends::Backend;
use harness::clients::{h2, http, raw, tls};
use harness::{World, eventually, processes, within};

/// What a process may grow by under a flood, in KiB. Debug builds included.
const GROWTH: u64 = 64 * 1024;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

fn world(name: &str, backend: &Backend) -> World {
    World::new(name)
        .set("http-filter", "body_idle_deadline", "\"2s\"")
        .terminates(&["www.test"])
        .pool("app", &[backend.address()])
        .serves("app")
        .start()
}

fn innocent(world: &World) {
    let mut stream = tls::client("www.test").connect(world.https()).unwrap();
    assert_eq!(http::get(&mut stream, "www.test", "/").unwrap().status, 200);
    tls::goodbye(stream);
}

fn resident(world: &World) -> [u64; 2] {
    ["tls-terminator", "http-filter"].map(|process| processes::resident_kib(world.pid(process)).unwrap())
}

/// A GET in a header block of indexed fields (RFC 7541 appendix A), authority as a literal.
const GET: &[u8] = b"\x82\x87\x84\x01\x08www.test";

/// Sends frames until the server has had enough or `count` have gone.
fn flood(connection: &mut h2::Connection, count: u32, frame: impl Fn(&mut h2::Connection, u32) -> std::io::Result<()>) {
    for number in 0..count {
        if frame(connection, number).is_err() {
            return;
        }
    }
}

/// A flood: frame after frame until it fails.
type Flood = fn(&mut h2::Connection, u32) -> std::io::Result<()>;

#[test]
fn http_2_floods_cost_little_and_hurt_nobody_else() {
    within(120, || {
        let backend = Backend::application();
        let world = world("h2-floods", &backend);
        innocent(&world);
        let before = resident(&world);
        let floods: [(&str, u32, Flood); 5] = [
            // CVE-2023-44487
            ("rapid reset", 3000, |h2, number| {
                h2.frame(HEADERS, 5, 2 * number + 1, GET)?;
                h2.frame(RST_STREAM, 0, 2 * number + 1, &8u32.to_be_bytes())
            }),
            // CVE-2024-27316 and its kin
            ("an endless header block", 20_000, |h2, number| {
                let kind = if number == 0 { HEADERS } else { CONTINUATION };
                h2.frame(kind, 0, 1, &[b"\0\x01x\x7f\x81\x07".as_slice(), &[b'a'; 1024]].concat())
            }),
            ("pings", 20_000, |h2, _| h2.frame(PING, 0, 0, &[0; 8])),
            ("settings", 20_000, |h2, _| h2.frame(SETTINGS, 0, 0, &[])),
            ("window updates", 5000, |h2, number| match number {
                0 => h2.frame(HEADERS, 5, 1, GET),
                _ => h2.frame(WINDOW_UPDATE, 0, 1, &1u32.to_be_bytes()),
            }),
        ];
        for (what, count, frame) in floods {
            let stream = tls::client("www.test").alpn(&["h2"]).connect(world.https()).unwrap();
            stream.sock.set_write_timeout(Some(Duration::from_secs(3))).unwrap();
            let mut connection = h2::Connection::over(stream);
            flood(&mut connection, count, frame);
            innocent(&world);
            drop(connection);
            let grown: Vec<u64> =
                resident(&world).iter().zip(before).map(|(now, then)| now.saturating_sub(then)).collect();
            assert!(grown.iter().all(|grown| *grown < GROWTH), "{what}: grew by {grown:?} KiB");
        }
        // A reset request is no request for the backend for ever.
        let connections = backend.connections().len();
        assert!(connections < 400, "{connections} connections to the backend");
    });
}

#[test]
fn clients_that_do_not_read_are_not_read_for() {
    const CLIENTS: usize = 24;
    within(120, || {
        let backend = Backend::application();
        let world = world("no-readers", &backend);
        innocent(&world);
        let before = resident(&world);
        let request = b"GET /bytes/12000000 HTTP/1.1\r\nHost: www.test\r\n\r\n";
        let mut plain = Vec::new();
        let mut secure = Vec::new();
        for _ in 0..CLIENTS / 2 {
            let mut stream = raw::connect(world.http());
            stream.write_all(request).unwrap();
            plain.push(stream);
            let mut stream = tls::client("www.test").connect(world.https()).unwrap();
            stream.write_all(request).unwrap();
            secure.push(stream);
        }
        std::thread::sleep(Duration::from_millis(700));
        innocent(&world);
        let grown: Vec<u64> = resident(&world).iter().zip(before).map(|(now, then)| now.saturating_sub(then)).collect();
        // 24 answers of 12 MB are 288 MB.
        assert!(grown.iter().all(|grown| *grown < GROWTH), "grew by {grown:?} KiB for {CLIENTS} clients");
        // And the deadline on progress ends it.
        eventually(15, "the filter lets go of them", || {
            (world.figure("http-filter", "connections") == 0).then_some(())
        });
        drop((plain, secure));
    });
}
