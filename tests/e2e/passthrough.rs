//! Passthrough: TLS of a backend, moved as ciphertext. The proxy takes nothing out, adds nothing, and keeps half-closes.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use harness::backends::nginx::{FILE, Nginx};
use harness::backends::{Backend, application};
use harness::clients::curl::curl;
use harness::clients::{http, raw, tls};
use harness::{World, certificates, need, ports, within};

#[test]
fn the_backend_shows_its_own_certificate_and_sees_the_client_s_own_bytes() {
    within(60, || {
        let identity = certificates::sign(&["shop.test"]);
        let backend = Backend::tls_application(&identity);
        let world = World::new("passthrough").pool("shop", &[backend.address()]).passes("shop.test", "shop").start();
        for address in [Some(world.https()), ports::ipv6().then(|| world.https_v6())].into_iter().flatten() {
            let mut stream = tls::client("shop.test").connect(address).unwrap();
            assert_eq!(tls::certificate(&stream), identity.der.as_ref());
            let answer = http::get(&mut stream, "shop.test", "/a?b").unwrap();
            assert_eq!(answer.text(), "GET /a?b HTTP/1.1\r\nHost: shop.test\r\n\r\n", "nothing added, nothing removed");
        }
        let mut stream = tls::client("shop.test").tls12().connect(world.https()).unwrap();
        assert_eq!(http::get(&mut stream, "shop.test", "/").unwrap().status, 200);
    });
}

#[test]
fn nginx_behind_it_serves_curl_over_http_1_and_2() {
    let name = "nginx_behind_it_serves_curl_over_http_1_and_2";
    if !need(name, "nginx") || !need(name, "curl") {
        return;
    }
    within(60, || {
        let nginx = Nginx::start(&certificates::sign(&["secure.test"]));
        let world = World::new("nginx-pass").pool("nginx", &[nginx.https]).passes("secure.test", "nginx").start();
        for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
            let came = curl(&world, "https", "secure.test", "/").with(&[flag]).run();
            assert_eq!((came.status, came.version.as_str()), (200, version), "{came:?}");
            assert!(came.text().contains("for= scheme="), "a proxy that cannot read cannot write: {}", came.text());
        }
        let came = curl(&world, "https", "secure.test", "/file").with(&["--http2"]).run();
        assert_eq!(came.body, application::pattern_of(FILE));
        assert_eq!(nginx.access_log_of(3).len(), 3);
    });
}

#[test]
fn bulk_goes_both_ways_unchanged() {
    const SIZE: usize = 24 << 20;
    within(120, || {
        let backend = Backend::echo();
        let world = World::new("bulk").pool("echo", &[backend.address()]).passes("echo.test", "echo").start();
        let (hello, _) = tls::client("echo.test").hello();
        let mut stream = raw::connect(world.https());
        stream.write_all(&hello).unwrap();
        let mut returned = vec![0; hello.len()];
        stream.read_exact(&mut returned).unwrap();
        assert_eq!(returned, hello);
        let mut writing = stream.try_clone().unwrap();
        let writer = thread::spawn(move || {
            for block in application::pattern_of(SIZE).chunks(1 << 20) {
                writing.write_all(block).unwrap();
            }
            writing.shutdown(Shutdown::Write).unwrap();
        });
        let came = raw::read_to_end(&mut stream);
        writer.join().unwrap();
        assert_eq!(came.len(), SIZE);
        assert!(came == application::pattern_of(SIZE), "24 MiB came back changed");
        backend.forget();
    });
}

#[test]
fn each_direction_ends_by_itself() {
    within(60, || {
        // Speaks only after the client has ended its direction, as `ssh host cmd < file` and many others do.
        let backend = Backend::talking(|mut talk| {
            talk.drain();
            thread::sleep(Duration::from_millis(300));
            talk.say(b"said after your end")?;
            talk.end()
        });
        let world = World::new("half-close").pool("late", &[backend.address()]).passes("late.test", "late").start();
        let (hello, _) = tls::client("late.test").hello();
        let mut stream = raw::connect(world.https());
        stream.write_all(&hello).unwrap();
        stream.write_all(b"and more").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(raw::how_it_ends(&mut stream), (b"said after your end".to_vec(), raw::End::Closed));
        assert_eq!(backend.bytes(), [hello.as_slice(), b"and more"].concat());
    });
}

#[test]
fn a_dead_server_is_passed_over_and_a_pool_without_any_says_so() {
    within(60, || {
        let living = Backend::echo();
        let dead = ports::hold().port; // nobody listens there on 127.0.0.2
        let dead = std::net::SocketAddr::from((harness::backends::ADDRESS, dead));
        let world = World::new("next-server")
            .pool("mixed", &[dead, living.address()])
            .pool("none", &[dead])
            .passes("mixed.test", "mixed")
            .passes("none.test", "none")
            .start();
        for _ in 0..6 {
            let (hello, _) = tls::client("mixed.test").hello();
            let mut stream = raw::connect(world.https());
            stream.write_all(&hello).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            assert_eq!(raw::read_to_end(&mut stream), hello);
        }
        let (hello, _) = tls::client("none.test").hello();
        let mut stream = raw::connect(world.https());
        stream.write_all(&hello).unwrap();
        let (bytes, end) = raw::how_it_ends(&mut stream);
        assert_ne!(end, raw::End::Open, "{bytes:?}");
        world.wait_for_line("passthrough-relay", &["no server could be reached", "pool=none"]);
    });
}

#[test]
fn round_robin_and_least_connections_spread_clients() {
    within(60, || {
        let (one, two) = (Backend::echo(), Backend::echo());
        let servers = [one.address(), two.address()];
        let world = World::new("balance")
            .pool("turns", &servers)
            .pool_with("least", &servers, "balance = \"least-connections\"")
            .passes("turns.test", "turns")
            .passes("least.test", "least")
            .start();
        for name in ["turns.test", "least.test"] {
            one.forget();
            two.forget();
            let held: Vec<_> = (0..8)
                .map(|_| {
                    let (hello, _) = tls::client(name).hello();
                    let mut stream = raw::connect(world.https());
                    stream.write_all(&hello).unwrap();
                    let mut returned = vec![0; hello.len()];
                    stream.read_exact(&mut returned).unwrap();
                    stream
                })
                .collect();
            assert_eq!((one.connections().len(), two.connections().len()), (4, 4), "{name}");
            drop(held);
        }
    });
}

#[test]
fn a_proxy_header_goes_out_when_asked_for() {
    within(60, || {
        let (first, second) = (Backend::silent(), Backend::silent());
        let world = World::new("proxy-out")
            .pool_with("v1", &[first.address()], "proxy_protocol = \"v1\"")
            .pool_with("v2", &[second.address()], "proxy_protocol = \"v2\"")
            .passes("one.test", "v1")
            .passes("two.test", "v2")
            .start();
        let (hello, _) = tls::client("one.test").hello();
        let mut stream = raw::connect(world.https());
        let own = stream.local_addr().unwrap();
        stream.write_all(&hello).unwrap();
        let line = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n", own.port(), world.https().port());
        assert_eq!(first.wait_for_bytes(line.len() + hello.len()), [line.as_bytes(), &hello].concat());

        let (hello, _) = tls::client("two.test").alpn(&["h2"]).hello();
        let mut stream = raw::connect(world.https());
        let own = stream.local_addr().unwrap();
        stream.write_all(&hello).unwrap();
        let seen = second.wait_for_bytes(16 + hello.len() + 12);
        assert_eq!(&seen[..12], b"\r\n\r\n\0\r\nQUIT\n");
        assert_eq!(&seen[12..14], [0x21, 0x11], "version 2, PROXY, TCP over IPv4");
        let length = usize::from(u16::from_be_bytes([seen[14], seen[15]]));
        let seen = second.wait_for_bytes(16 + length + hello.len());
        assert_eq!(&seen[16..24], [127, 0, 0, 1, 127, 0, 0, 1]);
        assert_eq!(&seen[24..26], own.port().to_be_bytes());
        let extra = &seen[28..16 + length];
        let has = |kind: u8, value: &[u8]| {
            let mut tlv = vec![kind, 0, value.len() as u8];
            tlv.extend(value);
            extra.windows(tlv.len()).any(|window| window == tlv)
        };
        assert!(has(2, b"two.test"), "PP2_TYPE_AUTHORITY: {extra:?}");
        assert!(has(1, b"h2"), "PP2_TYPE_ALPN: {extra:?}");
        assert_eq!(&seen[16 + length..], hello);
    });
}
