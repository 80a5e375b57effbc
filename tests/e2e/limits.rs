//! Every limit of the configuration that a client can feel, felt.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use harness::backends::Backend;
use harness::backends::websocket;
use harness::clients::{h2, http, raw, tls, tunnel};
use harness::{World, eventually, within};

fn web(name: &str, section: &str, keys: &[(&str, &str)]) -> (World, Backend) {
    let backend = Backend::application();
    let mut builder = World::new(name).terminates(&["www.test"]).pool("app", &[backend.address()]).serves("app");
    for (key, value) in keys {
        builder = builder.set(section, key, value);
    }
    (builder.start(), backend)
}

fn is_served(address: SocketAddr) -> Option<(TcpStream, u16)> {
    let mut stream = raw::connect(address);
    stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: www.test\r\n\r\n").ok()?;
    let answer = http::read_answer(&mut stream).ok()?;
    Some((stream, answer.status))
}

#[test]
fn connections_per_address_in_http_filter() {
    within(60, || {
        let (world, _backend) = web("cap-http", "http-filter", &[("max_connections_per_address", "3")]);
        let held: Vec<_> = (0..3).map(|_| is_served(world.http()).expect("within the limit")).collect();
        assert!(held.iter().all(|(_, status)| *status == 200));
        let one_more = is_served(world.http());
        assert!(one_more.as_ref().is_none_or(|(_, status)| *status == 503 || *status == 429), "{one_more:?}");
        drop((held, one_more));
        eventually(5, "the places are free again", || is_served(world.http()).filter(|(_, status)| *status == 200));
    });
}

/// The example of RFC 6455 §1.3.
const HANDSHAKE: &str = "GET /chat HTTP/1.1\r\nHost: www.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

#[test]
fn a_websocket_keeps_its_place_among_the_connections() {
    within(60, || {
        let backend = Backend::talking(websocket::talk);
        let world = World::new("cap-websocket")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .serves("app")
            .set("http-filter", "max_connections_per_address", "2")
            .start();
        let open = || {
            let mut stream = raw::connect(world.http());
            stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
            stream.write_all(HANDSHAKE.as_bytes()).ok()?;
            let answer = http::read_answer(&mut stream).ok()?;
            (answer.status == 101).then_some(stream)
        };
        let held: Vec<_> = (0..2).map(|_| open().expect("within the limit")).collect();
        std::thread::sleep(Duration::from_millis(300)); // the HTTP part of both connections is over by now
        assert!(open().is_none(), "both places are taken by WebSockets");
        drop(held);
        drop(eventually(5, "the places are free again", open));
    });
}

#[test]
fn connections_per_address_in_the_terminator() {
    within(60, || {
        // With `secrets` it holds connections only for as long as they shake hands.
        let relayed = ("handoff", "\"relay\"");
        let (world, _backend) = web("cap-tls", "tls-terminator", &[("max_connections_per_address", "3"), relayed]);
        let connect = || {
            let mut stream = tls::client("www.test").connect(world.https()).ok()?;
            http::get(&mut stream, "www.test", "/").ok().map(|_| stream)
        };
        let held: Vec<_> = (0..3).map(|_| connect().expect("within the limit")).collect();
        assert!(connect().is_none());
        drop(held);
        eventually(5, "the places are free again", connect);
    });
}

#[test]
fn connections_per_address_in_the_relay() {
    within(60, || {
        let backend = Backend::echo();
        let world = World::new("cap-relay")
            .set("passthrough-relay", "max_connections_per_address", "3")
            .pool("echo", &[backend.address()])
            .passes("echo.test", "echo")
            .start();
        let hello = tls::client("echo.test").hello().0;
        let open = || {
            let mut stream = raw::connect(world.https());
            stream.write_all(&hello).ok()?;
            let mut back = vec![0; hello.len()];
            stream.read_exact(&mut back).ok().map(|()| stream)
        };
        let held: Vec<_> = (0..3).map(|_| open().expect("within the limit")).collect();
        assert!(open().is_none());
        drop(held);
        eventually(5, "the places are free again", open);
    });
}

#[test]
fn connections_per_address_in_the_forward_proxy() {
    within(60, || {
        let backend = Backend::application();
        let world = World::new("cap-forward")
            .forwards_to(&[backend.address()])
            .set("forward-proxy", "max_connections_per_address", "3")
            .start();
        let target = backend.address();
        let ask = || {
            let mut stream = raw::connect(world.proxy());
            stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
            stream.write_all(format!("GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes()).ok()?;
            let answer = http::read_answer(&mut stream).ok()?;
            (answer.status == 200).then_some(stream)
        };
        let held: Vec<_> = (0..3).map(|_| ask().expect("within the limit")).collect();
        assert!(ask().is_none());
        drop(held);
        eventually(5, "the places are free again", ask);
    });
}

#[test]
fn the_rate_of_new_connections() {
    within(60, || {
        let (world, _backend) = web("rate", "sni-router", &[("connection_rate", "5"), ("connection_burst", "10")]);
        let began = Instant::now();
        let served = (0..40).filter(|_| is_served(world.http()).is_some()).count();
        let allowed = 10 + 5 * (began.elapsed().as_secs() as usize + 1);
        assert!((8..=allowed).contains(&served), "{served} of 40 at once; {allowed} would be right");
        std::thread::sleep(Duration::from_secs(1));
        assert!(is_served(world.http()).is_some(), "and later again");
    });
}

#[test]
fn client_hellos_in_progress_per_address() {
    within(60, || {
        let (world, _backend) = web("hellos", "sni-router", &[("max_hellos_per_address", "5")]);
        let held: Vec<TcpStream> = (0..5)
            .map(|_| {
                let mut stream = raw::connect(world.https());
                stream.write_all(&[22, 3]).unwrap();
                stream
            })
            .collect();
        std::thread::sleep(Duration::from_millis(200));
        let mut one_more = raw::connect(world.https());
        let _ = one_more.write_all(&[22, 3]);
        assert_ne!(raw::how_it_ends(&mut one_more).1, raw::End::Open);
        drop(held);
        eventually(5, "the places are free again", || tls::client("www.test").connect(world.https()).ok());
    });
}

#[test]
fn heads_that_are_too_large() {
    within(60, || {
        let (world, backend) = web(
            "large",
            "http-filter",
            &[("max_header_bytes", "\"8KiB\""), ("max_headers", "20"), ("max_request_line", "\"1KiB\"")],
        );
        let many: String = (0..30).map(|number| format!("X-{number}: y\r\n")).collect();
        for (what, head, expected) in [
            ("many headers", format!("GET / HTTP/1.1\r\nHost: www.test\r\n{many}\r\n"), &[431][..]),
            (
                "one long header",
                format!("GET / HTTP/1.1\r\nHost: www.test\r\nX: {}\r\n\r\n", "a".repeat(20_000)),
                &[431],
            ),
            ("a long target", format!("GET /{} HTTP/1.1\r\nHost: www.test\r\n\r\n", "a".repeat(3000)), &[414]),
            ("no end", format!("GET / HTTP/1.1\r\nHost: www.test\r\nX: {}", "a".repeat(100_000)), &[431]),
        ] {
            for secure in [false, true] {
                let answer = if secure {
                    let mut stream = tls::client("www.test").connect(world.https()).unwrap();
                    let _ = stream.write_all(head.as_bytes());
                    let _ = stream.flush();
                    raw::read_to_end(&mut stream)
                } else {
                    let mut stream = raw::connect(world.http());
                    let _ = stream.write_all(head.as_bytes());
                    raw::read_to_end(&mut stream)
                };
                let text = String::from_utf8_lossy(&answer).into_owned();
                let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
                assert!(expected.contains(&status), "{what} (tls: {secure}): {text}");
            }
        }
        let value = "a".repeat(20_000);
        let fields: [(&[u8], &[u8]); 5] = [
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", b"www.test"),
            (b":path", b"/"),
            (b"x", value.as_bytes()),
        ];
        let mut connection =
            h2::Connection::over(tls::client("www.test").alpn(&["h2"]).connect(world.https()).unwrap());
        let stream = connection.send_in_frames(&fields).unwrap();
        let outcome = connection.outcome(stream);
        assert!(!matches!(outcome, h2::Outcome::Answer(200, _)), "{outcome:?}");
        assert!(backend.bytes().is_empty());
    });
}

#[test]
fn a_body_that_is_too_large() {
    within(60, || {
        let (world, _backend) = web("large-body", "http-filter", &[("max_body", "\"64KiB\"")]);
        let answer = raw::ask(world.http(), b"POST /echo HTTP/1.1\r\nHost: www.test\r\nContent-Length: 70000\r\n\r\n");
        assert!(answer.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&answer));
        // Without a length it shows only on the way.
        let mut stream = raw::connect(world.http());
        stream.write_all(b"POST /echo HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        let chunk = format!("4000\r\n{}\r\n", "a".repeat(0x4000));
        for _ in 0..8 {
            let _ = stream.write_all(chunk.as_bytes());
        }
        let _ = stream.write_all(b"0\r\n\r\n");
        let answer = raw::read_to_end(&mut stream);
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..answer.len().min(200)]));
    });
}

#[test]
fn a_route_has_a_largest_body_of_its_own() {
    within(60, || {
        let backend = Backend::application();
        let route = |name: &str, more: &str| format!("name = \"{name}\"\npool = \"app\"\n{more}");
        let world = World::new("route-body")
            .set("http-filter", "max_body", "\"64KiB\"")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .http_route(&route("small", "headers = { name = 'x-small' }\nmax_body = 1000"))
            .http_route(&route("large", "headers = { name = 'x-large' }\nmax_body = \"256KiB\""))
            .http_route(&route("endless", "headers = { name = 'x-endless' }\nmax_body = 0"))
            .serves("app")
            .start();
        let post = |marks: &str, length: usize, declared: bool| {
            let mut stream = raw::connect(world.http());
            let framing =
                if declared { format!("Content-Length: {length}") } else { "Transfer-Encoding: chunked".into() };
            let head = format!("POST /echo HTTP/1.1\r\nHost: www.test\r\n{marks}: 1\r\n{framing}\r\n\r\n");
            let body = "a".repeat(length);
            let body = if declared { body } else { format!("{length:x}\r\n{body}\r\n0\r\n\r\n") };
            stream.write_all(head.as_bytes()).unwrap();
            let _ = stream.write_all(body.as_bytes());
            http::read_answer(&mut stream).unwrap()
        };
        for (mark, length, rule) in [
            ("x-small", 1000, None),
            ("x-small", 1001, Some("small.max_body")),
            ("x-other", 64 * 1024, None),
            ("x-other", 64 * 1024 + 1, Some("max_body")),
            ("x-large", 256 * 1024, None),
            ("x-large", 256 * 1024 + 1, Some("large.max_body")),
            ("x-endless", 1 << 20, None),
        ] {
            for declared in [true, false] {
                let answer = post(mark, length, declared);
                match rule {
                    None => assert_eq!((answer.status, answer.body.len()), (200, length), "{mark} {length} {declared}"),
                    Some(rule) => {
                        assert_eq!(answer.status, 413, "{mark} {length} {declared}: {}", answer.head);
                        assert!(answer.text().contains(&format!("rule: {rule}")), "{}", answer.text());
                        world.wait_for_line("http-filter", &["request", "too-large", rule, "413"]);
                    }
                }
            }
        }
        assert_eq!(world.figure("http-filter", "too_large"), 6);
    });
}

#[test]
fn everything_that_is_too_slow_is_let_go() {
    within(90, || {
        let backend = Backend::application();
        let target = backend.address();
        let one = "\"1s\"";
        let world = World::new("slow")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .serves("app")
            .forwards_to(&[backend.address()])
            .set("http-filter", "first_byte_deadline", one)
            .set("http-filter", "header_deadline", one)
            .set("http-filter", "idle_deadline", one)
            .set("http-filter", "body_idle_deadline", one)
            .set("tls-terminator", "handshake_deadline", one)
            .set("forward-proxy", "header_deadline", one)
            .set("forward-proxy", "idle_deadline", one)
            .set("passthrough-relay", "idle_deadline", one)
            .start();
        let (https, http_port, proxy) = (world.https(), world.http(), world.proxy());
        let hello = tls::client("www.test").hello().0;
        let absolute = format!("GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n");
        let cases: [(&str, SocketAddr, Vec<u8>); 8] = [
            ("nothing on the HTTP port", http_port, Vec::new()),
            ("half a head", http_port, b"GET / HTTP/1.1\r\nHost: w".to_vec()),
            ("an idle kept-alive connection", http_port, b"GET / HTTP/1.1\r\nHost: www.test\r\n\r\n".to_vec()),
            (
                "a stalled body",
                http_port,
                b"POST /echo HTTP/1.1\r\nHost: www.test\r\nContent-Length: 9\r\n\r\nabc".to_vec(),
            ),
            ("a handshake that stops after the hello", https, hello),
            ("nothing to the forward proxy", proxy, Vec::new()),
            ("half a head to the forward proxy", proxy, b"CONNECT exa".to_vec()),
            ("an idle connection to the forward proxy", proxy, absolute.into_bytes()),
        ];
        let waiting: Vec<_> = cases
            .into_iter()
            .map(|(what, address, bytes)| {
                std::thread::spawn(move || {
                    let mut stream = raw::connect(address);
                    stream.write_all(&bytes).unwrap();
                    (what, raw::how_it_ends(&mut stream).1)
                })
            })
            .collect();
        let mut tunnel = tunnel::open(world.proxy(), &target.to_string(), "").unwrap();
        for client in waiting {
            let (what, end) = client.join().unwrap();
            assert_ne!(end, raw::End::Open, "{what}");
        }
        assert_ne!(raw::how_it_ends(&mut tunnel).1, raw::End::Open, "an idle tunnel");
    });
}
