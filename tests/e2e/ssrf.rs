//! Server-side request forgery: every way to write an inward address, against CONNECT and absolute form. All are refused,
//! and a trap on this machine's own address never sees a connection.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use harness::backends::Backend;
use harness::clients::{raw, tunnel};
use harness::{World, ports, within};

/// Inward hosts by literal, in the spellings that parsers disagree about. `PORT` is the trap's.
const LITERALS: &[&str] = &[
    "127.0.0.1",
    "127.0.0.53",
    "127.255.255.254",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "017700000001",
    "0177.0.0.1",
    "127.0.0.1.",
    "0",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "169.254.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:10.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b:1::a00:1]",
    "[2002:7f00:1::]",
    "[2002:a00:1::1]",
    "[2001:0:7f00:1::]",
    "[2001:db8::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[::ffff:0:127.0.0.1]",
    "[100::1]",
    "[fe80::1%25lo]",
    "[::1%25lo]",
];

/// Names that lead inside.
const NAMES: &[&str] =
    &["localhost", "LOCALHOST", "localhost.", "a.localhost", "ip6-localhost", "localhost.localdomain"];

struct Traps {
    traps: Vec<Backend>,
    port: u16,
}

/// Listens on all of this machine's own addresses we can have, on one port.
fn traps() -> Traps {
    let first = Backend::trap((Ipv4Addr::LOCALHOST, 0).into());
    let port = first.address().port();
    let mut traps = vec![first];
    if ports::ipv6() && std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, port)).is_ok() {
        traps.push(Backend::trap((Ipv6Addr::LOCALHOST, port).into()));
    }
    Traps { traps, port }
}

impl Traps {
    fn assert_untouched(&self) {
        for trap in &self.traps {
            assert!(trap.connections().is_empty(), "somebody reached {}", trap.address());
        }
    }
}

#[test]
fn no_spelling_of_an_inward_address_gets_a_tunnel() {
    within(120, || {
        let traps = traps();
        let world = World::new("ssrf-connect")
            .forwards()
            .set("forward-proxy", "ports", &format!("[80, 443, {}]", traps.port))
            .start();
        for host in LITERALS.iter().chain(NAMES) {
            for port in [traps.port, 80] {
                let refused = match tunnel::open(world.proxy(), &format!("{host}:{port}"), "") {
                    Err(refused) => refused,
                    Ok(_) => panic!("CONNECT {host}:{port} was let through"),
                };
                // A name that no resolver knows is no forgery; everything else is refused as such.
                let unknown = refused.status == 502 && host.contains("localhost");
                assert!(
                    matches!(refused.status, 400 | 403) || unknown,
                    "{host}:{port}: {} {}",
                    refused.status,
                    refused.text()
                );
            }
        }
        // Its own listeners, by any address.
        for own in [world.proxy(), world.https()] {
            let refused = tunnel::open(world.proxy(), &own.to_string(), "").err().map(|refused| refused.status);
            assert_eq!(refused, Some(403), "{own}");
        }
        traps.assert_untouched();
    });
}

#[test]
fn no_spelling_of_an_inward_address_gets_a_request() {
    within(120, || {
        let traps = traps();
        let port = traps.port;
        let world =
            World::new("ssrf-absolute").forwards().set("forward-proxy", "ports", &format!("[80, 443, {port}]")).start();
        for host in LITERALS.iter().chain(NAMES) {
            let request =
                format!("GET http://{host}:{port}/ HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
            let answer = raw::ask(world.proxy(), request.as_bytes());
            let text = String::from_utf8_lossy(&answer).into_owned();
            let status: u16 = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
            let unknown = status == 502 && host.contains("localhost");
            assert!(matches!(status, 400 | 403) || unknown, "{host}: {text}");
        }
        traps.assert_untouched();
    });
}

#[test]
fn ports_that_are_not_open_are_closed_and_exceptions_are_exact() {
    within(60, || {
        let backend = Backend::echo();
        let traps = traps();
        let world = World::new("ssrf-exceptions").forwards_to(&[backend.address()]).start();
        let status = |target: String| tunnel::open(world.proxy(), &target, "").err().map(|refused| refused.status);
        let open = backend.address();
        assert_eq!(status(open.to_string()), None, "the exception works");
        // In other clothes it is the same address, and nothing beyond it is open.
        let neighbour = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 3), open.port()));
        assert_eq!(status(neighbour.to_string()), Some(403));
        assert_eq!(status(format!("127.0.0.1:{}", open.port())), Some(403));
        for port in [0, 22, 25, 6379, traps.port] {
            let refused = status(format!("{}:{port}", open.ip()));
            assert!(matches!(refused, Some(400 | 403)), "{port}: {refused:?}");
        }
        traps.assert_untouched();
    });
}
