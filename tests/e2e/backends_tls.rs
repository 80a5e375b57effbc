//! What http-filter speaks to backends over TLS: who is believed, what is shown, what a client gets when a backend cannot prove itself.

use std::io::Write;
use std::net::SocketAddr;

use harness::backends::h2::H2Backend;
use harness::backends::nginx::Nginx;
use harness::backends::{ADDRESS, Backend};
use harness::clients::websocket::WebSocket;
use harness::clients::{http, raw};
use harness::world::Builder;
use harness::{World, certificates, folder, need, within};

const OWN_CA: &str = "[pool.tls]\nca = \"ca.pem\"\n";

fn world(name: &str, backend: SocketAddr, protocol: &str, tls: &str) -> Builder {
    World::new(name)
        .terminates(&["www.test"])
        .pool_with("app", &[backend], &format!("protocol = \"{protocol}\"\n{tls}"))
        .serves("app")
}

fn get(world: &World, path: &str) -> http::Answer {
    http::get(&mut raw::connect(world.http()), "www.test", path).unwrap()
}

fn by_address() -> certificates::Signed {
    certificates::sign(&[&ADDRESS.to_string()])
}

#[test]
fn a_verified_backend_serves_over_https_and_its_connection_is_kept() {
    within(60, || {
        let backend = Backend::tls_application(&by_address());
        let world = world("https-backend", backend.address(), "https", OWN_CA).start();
        let mut client = raw::connect(world.http());
        for _ in 0..3 {
            let answer = http::get(&mut client, "www.test", "/bytes/100000").unwrap();
            assert_eq!((answer.status, answer.body.len()), (200, 100_000));
        }
        assert_eq!(backend.connections().len(), 1);
        assert!(get(&world, "/x").text().contains("GET /x HTTP/1.1\r\n"));
    });
}

#[test]
fn nginx_serves_by_both_versions_of_http_over_tls() {
    if !need("nginx_serves_by_both_versions_of_http_over_tls", "nginx") {
        return;
    }
    within(60, || {
        let nginx = Nginx::start(&certificates::sign(&["inner.test"]));
        let tls = "[pool.tls]\nca = \"ca.pem\"\nserver_name = \"inner.test\"\n";
        let versions = [("https", "HTTP/1.1"), ("https-h2", "HTTP/2.0"), ("https-auto", "HTTP/2.0")];
        for (lines, (protocol, version)) in (3..).step_by(3).zip(versions) {
            let world = world(protocol, nginx.https, protocol, tls).start();
            for _ in 0..3 {
                assert_eq!(get(&world, "/file").body.len(), harness::backends::nginx::FILE);
            }
            world.stop();
            let log = nginx.access_log_of(lines);
            assert!(log.len() == lines && log.last().unwrap().contains(version), "{log:?}");
        }
    });
}

#[test]
fn a_server_without_http_2_is_spoken_to_in_its_own_version() {
    if !need("a_server_without_http_2_is_spoken_to_in_its_own_version", "nginx") {
        return;
    }
    within(60, || {
        let nginx = Nginx::without_http2(&certificates::sign(&["inner.test"]));
        let tls = "[pool.tls]\nca = \"ca.pem\"\nserver_name = \"inner.test\"\n[pool.health]\npath = \"/\"\ninterval = \"200ms\"\n";
        let world = world("auto-http1", nginx.https, "https-auto", tls).start();
        // Many at once, so that several wait for the first handshake.
        std::thread::scope(|scope| {
            let ask = || assert_eq!(get(&world, "/file").body.len(), harness::backends::nginx::FILE);
            (0..8).for_each(|_| drop(scope.spawn(ask)));
        });
        let mut client = raw::connect(world.http());
        for _ in 0..5 {
            client.write_all(b"POST / HTTP/1.1\r\nHost: www.test\r\nContent-Length: 5\r\n\r\nhello").unwrap();
            let answer = http::read_answer(&mut client).unwrap();
            assert!(answer.text().contains("method=POST"), "{}", answer.text());
        }
        let log = nginx.access_log_of(8 + 5 + 1); // a health check among them
        assert!(log.iter().all(|line| line.starts_with("HTTP/1.1 ") && line.ends_with(" 200")), "{log:?}");
        assert_eq!(world.figure("http-filter", "upstream_failed"), 0);
    });
}

#[test]
fn websockets_go_over_http_1_where_a_server_may_choose() {
    within(60, || {
        let backend = Backend::tls_talking(&by_address(), harness::backends::websocket::talk);
        let world = world("auto-websocket", backend.address(), "https-auto", OWN_CA).start();
        let mut socket = WebSocket::open(raw::connect(world.http()), "www.test", "/chat").unwrap();
        socket.send(b"hello").unwrap();
        assert_eq!(socket.receive().unwrap(), b"hello");
    });
}

#[test]
fn a_backend_that_cannot_prove_itself_is_a_502_that_says_so_in_the_log() {
    within(90, || {
        let stranger = certificates::sign(&["other.test"]);
        for (name, identity, protocol, tls, words) in [
            ("wrong-name", &stranger, "https", OWN_CA, "not valid for name"),
            // The authority of the tests is not among those of the system.
            ("unknown-authority", &by_address(), "https", "", "UnknownIssuer"),
            ("no-h2", &by_address(), "https-h2", OWN_CA, "NoApplicationProtocol"),
        ] {
            let backend = Backend::tls_application(identity);
            let world = world(name, backend.address(), protocol, tls).start();
            let answer = get(&world, "/");
            assert_eq!(answer.status, 502, "{name}: {}", answer.text());
            assert!(backend.bytes().is_empty(), "{name}: nothing of a request may leave");
            world.wait_for_line("http-filter", &["TLS", words]);
        }
        // No TLS at all at the other end.
        let backend = Backend::application();
        let world = world("plain", backend.address(), "https", OWN_CA).start();
        assert_eq!(get(&world, "/").status, 502);
    });
}

#[test]
fn verification_is_switched_off_only_by_its_name() {
    within(60, || {
        let backend = Backend::tls_application(&certificates::sign(&["other.test"]));
        let keys = "[pool.tls]\nverify = \"insecure-none\"\n";
        let world = world("insecure", backend.address(), "https", keys).start();
        assert_eq!(get(&world, "/").status, 200);
        let check = world.bulkhead(&["check", &world.config().display().to_string()]);
        let said = String::from_utf8_lossy(&check.stderr).into_owned() + &String::from_utf8_lossy(&check.stdout);
        assert!(said.contains("need not prove who they are"), "{said}");
    });
}

#[test]
fn files_that_are_no_certificates_are_found_by_the_check() {
    within(60, || {
        let directory = folder::temporary();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            folder::write_private(&path, text);
            path.display().to_string()
        };
        let (own, other) = (by_address(), by_address());
        let garbage = write("garbage.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        let text = write("text.pem", "hello\n");
        let (certificate, key) = (write("own.pem", &own.pem), write("other.key", &other.key_pem));
        let client = format!("{OWN_CA}client_certificate = \"{certificate}\"\nclient_key = \"{key}\"\n");
        for (tls, words) in [
            (format!("[pool.tls]\nca = \"{garbage}\"\n"), "no certificate of an authority"),
            (format!("[pool.tls]\nca = \"{text}\"\n"), "no certificate of an authority"),
            (client, "does not belong to the certificate"),
        ] {
            let place = folder::temporary();
            let builder = world("check", ([127, 0, 0, 1], 9).into(), "https", &tls);
            builder.write(place.path(), 18443, 18080, 18128);
            let checked = std::process::Command::new(harness::binaries::path("bulkhead"))
                .arg("check")
                .arg(place.path().join("bulkhead.toml"))
                .output()
                .unwrap();
            let said =
                String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout);
            assert!(!checked.status.success() && said.contains("pool 'app'") && said.contains(words), "{said}");
        }
    });
}

#[test]
fn a_client_certificate_is_shown_to_backends_that_ask() {
    within(60, || {
        let backend = Backend::mutual_tls_application(&by_address());
        let own = certificates::sign(&["http-filter.test"]);
        let directory = folder::temporary();
        let (certificate, key) = (directory.path().join("own.pem"), directory.path().join("own.key"));
        std::fs::write(&certificate, &own.pem).unwrap();
        folder::write_private(&key, &own.key_pem);
        let shown =
            format!("{OWN_CA}client_certificate = \"{}\"\nclient_key = \"{}\"\n", certificate.display(), key.display());
        let with = world("mutual", backend.address(), "https", &shown).start();
        assert_eq!(get(&with, "/").status, 200);
        let without = world("not-mutual", backend.address(), "https", OWN_CA).start();
        assert_eq!(get(&without, "/").status, 502);
    });
}

#[test]
fn a_backend_that_never_finishes_its_handshake_is_given_up() {
    within(60, || {
        let backend = Backend::silent();
        let keys = format!("connect_deadline = \"500ms\"\n{OWN_CA}");
        let world = world("silent-tls", backend.address(), "https", &keys).start();
        let answer = get(&world, "/");
        assert_eq!(answer.status, 502, "{}", answer.text());
        world.wait_for_line("http-filter", &["handshake in time"]);
    });
}

#[test]
fn http2_backends_share_one_connection_and_see_a_proper_request() {
    within(60, || {
        for (name, backend, protocol, scheme, tls) in [
            ("h2c", H2Backend::clear(), "h2c", "http", ""),
            ("h2-tls", H2Backend::tls(&by_address()), "https-h2", "https", OWN_CA),
        ] {
            let world = world(name, backend.address(), protocol, tls).start();
            let answer = get(&world, "/x?y=1");
            let text = answer.text();
            assert_eq!(answer.status, 200, "{text}");
            assert!(text.starts_with(&format!("GET {scheme}://www.test/x?y=1\n")), "{text}");
            assert!(text.contains("x-forwarded-for: 127.0.0.1\n"), "{text}");
            assert!(!text.contains("\nhost:") && !text.contains("\nconnection:"), "{text}");
            let mut client = raw::connect(world.http());
            for _ in 0..5 {
                assert_eq!(http::get(&mut client, "www.test", "/bytes/300000").unwrap().body.len(), 300_000);
            }
            let mut head = raw::connect(world.http());
            std::io::Write::write_all(&mut head, b"HEAD / HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
            assert!(http::read_head(&mut head).unwrap().starts_with("HTTP/1.1 200"));
            drop((client, head));
            assert_eq!(backend.connections(), 1, "{name}");
        }
    });
}
