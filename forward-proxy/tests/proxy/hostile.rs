//! Bytes that are meant to be read twice, destinations that are meant to lead inside, clients that take their time.

use std::time::Duration;

use crate::world::{Setting, World};

/// What follows every smuggling attempt: it must never reach the backend.
fn evil(backend: &str) -> String {
    format!("GET http://{backend}/evil HTTP/1.1\r\nHost: {backend}\r\n\r\n")
}

#[test]
fn nothing_ambiguous_is_forwarded() {
    World::run(Setting::default(), async |world| {
        let backend = world.backend_name();
        let post = format!("POST http://{backend}/ HTTP/1.1\r\nHost: {backend}\r\n");
        let attempts = [
            (format!("{post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "length-and-encoding"),
            (format!("{post}Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"), "length-and-encoding"),
            (format!("{post}Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde"), "several-lengths"),
            (format!("{post}Content-Length: 5, 5\r\n\r\nabcde"), "several-lengths"),
            (format!("{post}Content-Length: +5\r\n\r\nabcde"), "bad-length"),
            (format!("{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), "bad-transfer-encoding"),
            (format!("{post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), "bad-transfer-encoding"),
            (format!("{post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), "space-before-colon"),
            (format!("{post}X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "bare-lf"),
            (format!("{post}X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "obs-fold"),
            (format!("{post}Host: other.test\r\n\r\n"), "several-hosts"),
            (format!("GET http://{backend}/ HTTP/1.1\r\n\r\n"), "missing-host"),
            (format!("GET  http://{backend}/ HTTP/1.1\r\nHost: {backend}\r\n\r\n"), "bad-request-line"),
            (
                format!("CONNECT {backend} HTTP/1.1\r\nHost: {backend}\r\nContent-Length: 5\r\n\r\nabcde"),
                "connect-with-body",
            ),
            (format!("CONNECT {backend} HTTP/1.1\r\nHost: other.test:1\r\n\r\n"), "host-mismatch"),
        ];
        // As the first request of a connection (read by hand) and as a later one (read by hyper behind the guard).
        for (bytes, label) in &attempts {
            for later in [false, true] {
                let mut client = world.connect().await;
                if later {
                    client.send(format!("GET http://{backend}/fine HTTP/1.1\r\nHost: {backend}\r\n\r\n")).await;
                    assert_eq!(client.answer().await.status, 200);
                }
                client.send(format!("{bytes}{}", evil(&backend))).await;
                let answer = client.answer().await;
                assert!(answer.status == 400 && answer.body.contains(&format!("rule: {label}")), "{bytes} {answer:?}");
                assert_eq!(client.rest().await, "", "{bytes}");
            }
        }
        let requests = world.backend.requests.borrow();
        assert!(requests.iter().all(|request| request.starts_with("GET /fine ")), "{requests:?}");
    });
}

#[test]
fn a_body_that_breaks_its_framing_ends_the_connection() {
    World::run(Setting::default(), async |world| {
        let backend = world.backend_name();
        let head = format!("POST http://{backend}/ HTTP/1.1\r\nHost: {backend}\r\nTransfer-Encoding: chunked\r\n\r\n");
        let bad = [
            "3\r\nabcd\r\n0\r\n\r\n",
            "0x3\r\nabc\r\n0\r\n\r\n",
            "3\nabc\r\n0\r\n\r\n",
            "0\r\nContent-Length: 5\r\n\r\n",
        ];
        for body in bad {
            let mut client = world.connect().await;
            client.send(format!("{head}{body}{}", evil(&backend))).await;
            let rest = client.rest().await;
            assert!(!rest.contains(" 200 "), "{body} {rest}");
        }
        assert!(world.backend.requests.borrow().is_empty());
    });
}

/// Inward addresses in every spelling some resolver, URL library or kernel has accepted.
const INWARD: &[&str] = &[
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0x7f.0.0.1",
    "0X7F.0X0.0X0.0X1",
    "017700000001",
    "0177.0.0.1",
    "0177.1",
    "127.0.0.01",
    "127.0.0.1%00",
    "0",
    "0.0.0.0",
    "00000000000",
    "0x0",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "foo@127.0.0.1",
    "backend.test@127.0.0.1",
    "backend.test#@127.0.0.1",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::10.0.0.1]",
    "[2002:7f00:1::]",
    "[2001:0:0:0:0:0:80ff:fffe]",
    "[fe80::1]",
    "[fe80::1%lo]",
    "[fe80::1%25lo]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[::1%1]",
    "[127.0.0.1]",
    "10.0.0.1",
    "10.1",
    "0xa.1",
    "012.0.0.1",
    "167772161",
    "172.16.0.1",
    "192.168.0.1",
    "192.168.1",
    "3232235521",
    "100.64.0.1",
    "169.254.169.254",
    "169.254.43518",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "224.0.0.1",
    "255.255.255.255",
    "\u{2460}\u{2461}\u{2466}.0.0.1",
    "127\u{3002}0\u{3002}0\u{3002}1",
    "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
    "127.0.0.1\t",
    "127.0.0.1\\@backend.test",
    "%31%32%37.0.0.1",
    "",
];

#[test]
fn every_inward_destination_is_refused() {
    World::run(Setting::default(), async |world| {
        for host in INWARD {
            let connect = format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n");
            let absolute = format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let innocent_host = format!("GET http://{host}/ HTTP/1.1\r\nHost: a.test\r\n\r\n");
            for request in [connect, absolute, innocent_host] {
                let answer = world.ask(&request).await;
                assert!(matches!(answer.status, 400 | 403), "{host} {answer:?}");
            }
        }
        // What came as far as the relay was written plainly, so its guard reads what our rules have read.
        for dialled in world.relay.dialled.borrow().iter() {
            let host = dialled.split(' ').next().unwrap();
            assert!(host.parse::<std::net::IpAddr>().is_ok() || host == "localhost", "{dialled}");
        }
        assert_eq!(world.backend.connections.get(), 0);
        assert!(world.relay.spliced.borrow().is_empty());
    });
}

#[test]
fn a_head_that_drips_is_cut_off_and_slows_nobody_down() {
    let adjust = |config: &mut common::config::ForwardProxy| config.header_deadline = Duration::from_millis(700);
    World::run(Setting { adjust, ..Setting::default() }, async |world| {
        let backend = world.backend_name();
        let mut slow = Vec::new();
        for _ in 0..50 {
            slow.push(world.connect().await);
        }
        let mut silent = world.connect().await;
        for byte in b"CON" {
            for client in &mut slow {
                client.send([*byte]).await;
            }
            let began = std::time::Instant::now();
            let answer = world.ask(&format!("GET http://{backend}/ HTTP/1.1\r\nHost: {backend}\r\n\r\n")).await;
            assert_eq!(answer.status, 200);
            assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for mut client in slow {
            let answer = client.answer().await;
            assert!(answer.status == 408 && answer.body.contains("rule: head-timeout"), "{answer:?}");
        }
        let _ = silent.rest().await;
        assert_eq!(world.metrics.head_timeouts.get(), 51);
        // A later head of a kept-alive connection has the same deadline.
        let mut client = world.connect().await;
        client.send(format!("GET http://{backend}/ HTTP/1.1\r\nHost: {backend}\r\n\r\n")).await;
        assert_eq!(client.answer().await.status, 200);
        client.send("GET http").await;
        assert_eq!(client.answer().await.status, 408);
    });
}

#[test]
fn heads_have_a_largest_size() {
    World::run(Setting { config: "max_header_bytes = \"16KiB\"\n".into(), ..Setting::default() }, async |world| {
        let backend = world.backend_name();
        let lines = |count: usize| format!("X-Filler: {}\r\n", "x".repeat(1000)).repeat(count);
        let get = |count| format!("GET http://{backend}/ HTTP/1.1\r\nHost: {backend}\r\n{}\r\n", lines(count));
        assert_eq!(world.ask(&get(14)).await.status, 200);
        assert_eq!(world.ask(&get(17)).await.status, 431);
        let many = format!("GET http://{backend}/ HTTP/1.1\r\nHost: {backend}\r\n{}\r\n", "A: b\r\n".repeat(101));
        assert_eq!(world.ask(&many).await.status, 431);
        let connect = format!("CONNECT {backend} HTTP/1.1\r\nHost: {backend}\r\n{}\r\n", lines(14));
        assert_eq!(world.ask(&connect).await.status, 200);
    });
}
