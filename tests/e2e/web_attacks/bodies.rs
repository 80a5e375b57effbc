//! Bodies that are read before they are sent on: whatever their framing, the backend gets the same bytes, and who is slow or leaves is treated
//! as ever.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::backends::Backend;
use harness::backends::application::{pattern_of, talk};
use harness::clients::{h2, http as h1, multiplexed, raw, tls};
use harness::{eventually, within};

use super::{FORM, JSON, blocking, line, post, post_with, send, world};

/// A harmless form of this size.
fn form(size: usize) -> Vec<u8> {
    let mut body = b"text=".to_vec();
    body.extend(pattern_of(size.saturating_sub(5)).iter().map(|byte| b'a' + byte % 26));
    body
}

/// In chunks of this size.
fn chunked(body: &[u8], size: usize, trailers: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in body.chunks(size) {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
    out
}

#[test]
fn bodies_arrive_byte_for_byte_whatever_their_framing() {
    within(60, || {
        let backend = Backend::application();
        let world = blocking("waf-bodies", &backend, "inline_body = \"4KiB\"\n");
        // Below and above what is looked at on the serving thread.
        for size in [0, 1, 100, 4096, 4097, 100_000, 1 << 20] {
            let body = if size < 5 { vec![b'a'; size] } else { form(size) };
            let answer = post(&world, "/echo", FORM, &body);
            assert_eq!((answer.status, answer.body == body), (200, true), "{size}");
            let head = format!(
                "POST /echo HTTP/1.1\r\nHost: www.test\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            let answer = send(&world, &[head.as_bytes(), &chunked(&body, 3000, "")].concat());
            assert_eq!((answer.status, answer.body == body), (200, true), "{size} in chunks");
        }
        // An attack is found in each of these as well, and behind what fits into one piece.
        let mut body = form(200_000);
        body.extend_from_slice(b"&b=evil");
        assert_eq!(post(&world, "/echo", FORM, &body).status, 403);
        let head = format!(
            "POST /echo HTTP/1.1\r\nHost: www.test\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        assert_eq!(send(&world, &[head.as_bytes(), &chunked(&body, 70_000, "")].concat()).status, 403);
        assert_eq!(line(&world, "request", "\"status\":403")["bytes_in"], body.len());
        let inspected = world.figure("http-filter", "web_attack_bodies_inspected");
        assert_eq!(inspected, 14, "12 forms that are not empty, 2 attacks");
    });
}

#[test]
fn http2_bodies_and_trailers_arrive_too() {
    within(60, || {
        let backend = Backend::application();
        let world = blocking("waf-h2-bodies", &backend, "");
        for announced in [false, true] {
            for size in [3, 5000, 300_000] {
                let body = form(size);
                let answer = multiplexed::run(world.https(), "www.test", async |client| {
                    let mut request = client.request("POST", "/echo");
                    let headers = request.headers_mut();
                    headers.insert("content-type", FORM.parse().unwrap());
                    if announced {
                        headers.insert("content-length", body.len().into());
                    }
                    let trailers = http::HeaderMap::from_iter([("x-sum".parse().unwrap(), "18".parse().unwrap())]);
                    client.post(request, &body, (!announced).then_some(trailers)).await.unwrap()
                });
                assert_eq!((answer.head.status().as_u16(), answer.body == body), (200, true), "{size}, {announced}");
            }
        }
        // What was announced and does not come is still malformed.
        let mut connection =
            h2::Connection::over(tls::client("www.test").alpn(&["h2"]).connect(world.https()).unwrap());
        let fields: [(&[u8], &[u8]); 6] = [
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", b"www.test"),
            (b":path", b"/never"),
            (b"content-type", FORM.as_bytes()),
            (b"content-length", b"20"),
        ];
        let stream = connection.send(&fields, Some(b"a=short")).unwrap();
        assert!(matches!(connection.outcome(stream), h2::Outcome::Reset(_)), "a body shorter than announced");
        // Trailers of HTTP/1.1 stay behind the body.
        let head = format!(
            "POST /echo HTTP/1.1\r\nHost: www.test\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        );
        let answer = send(&world, &[head.as_bytes(), &chunked(b"a=1&b=2", 4, "X-Sum: 17\r\n")].concat());
        assert_eq!((answer.status, &*answer.body), (200, &b"a=1&b=2"[..]));
        let refused = send(&world, &[head.as_bytes(), &chunked(b"a=1&b=2", 4, "X-Evil: evil\r\n")].concat());
        assert_eq!(refused.status, 403, "trailers are judged");
        // Who would like to speak another protocol is judged as everybody else.
        let upgrade = format!("Content-Type: {FORM}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n");
        assert_eq!(post_with(&world, "/", &upgrade, b"a=evil").status, 403);
        let seen = backend.connections();
        let with_trailer = |connection: &harness::backends::Connection| {
            String::from_utf8_lossy(&connection.bytes()).to_lowercase().contains("0\r\nx-sum: 17\r\n\r\n")
        };
        assert!(seen.iter().any(with_trailer), "the trailer arrives");
        assert!(seen.iter().any(|seen| String::from_utf8_lossy(&seen.bytes()).contains("0\r\nx-sum: 18\r\n\r\n")));
        assert!(!seen.iter().any(|connection| String::from_utf8_lossy(&connection.bytes()).contains("/never")));
    });
}

#[test]
fn a_client_that_expects_100_is_told_to_go_on_only_if_its_body_is_wanted() {
    within(60, || {
        let backend = Backend::application();
        let world = blocking("waf-expect", &backend, "max_body = \"1KiB\"\n");
        let head = |length: usize, early: &str| {
            format!(
                "POST /echo HTTP/1.1\r\nHost: www.test\r\nContent-Type: {FORM}\r\nExpect: 100-continue\r\n{early}Content-Length: {length}\r\n\r\n"
            )
        };
        let mut stream = raw::connect(world.http());
        stream.write_all(head(7, "").as_bytes()).unwrap();
        assert!(h1::read_head(&mut stream).unwrap().starts_with("HTTP/1.1 100"));
        stream.write_all(b"a=1&b=2").unwrap();
        assert_eq!(h1::read_answer(&mut stream).unwrap().text(), "a=1&b=2");
        for (head, status) in [(head(2000, ""), 413), (head(7, "X-Early: evil\r\n"), 403)] {
            let mut stream = raw::connect(world.http());
            stream.write_all(head.as_bytes()).unwrap();
            let first = h1::read_head(&mut stream).unwrap();
            assert!(first.starts_with(&format!("HTTP/1.1 {status}")), "{first}");
        }
    });
}

#[test]
fn a_slow_body_keeps_its_deadline_and_a_client_that_leaves_frees_what_it_held() {
    within(60, || {
        let backend = Backend::application();
        let world = world("waf-slow", &backend, "mode = \"block\"\nmax_held = \"64KiB\"\nmax_body = \"64KiB\"\n")
            .set("http-filter", "body_idle_deadline", "\"3s\"")
            .start();
        let head = |length: usize| {
            format!("POST /echo HTTP/1.1\r\nHost: www.test\r\nContent-Type: {FORM}\r\nContent-Length: {length}\r\n\r\n")
        };
        // Sends the larger part of a body, which is held from then on, unless what came before it still was.
        let hold = || {
            eventually(10, "what it sent is held, and there is no room for another", || {
                let mut stream = raw::connect(world.http());
                stream.write_all(head(60_000).as_bytes()).unwrap();
                stream.write_all(&form(40_000)).unwrap();
                std::thread::sleep(Duration::from_millis(200));
                let busy = post(&world, "/echo", FORM, &form(30_000));
                (busy.status == 503 && busy.header("retry-after").is_some()).then_some(stream)
            })
        };
        let free = || {
            eventually(10, "its place is free", || {
                (post(&world, "/echo", FORM, &form(30_000)).status == 200).then_some(())
            })
        };
        let mut slow = hold();
        assert_eq!(h1::read_answer(&mut slow).unwrap().status, 408);
        free();
        let leaves = hold();
        drop(leaves);
        free();
        assert!(world.figure("http-filter", "web_attack_busy") >= 2);
    });
}

#[test]
fn types_that_rules_do_not_read_stream_through() {
    within(60, || {
        let backend = Backend::application();
        let world = blocking("waf-streams", &backend, "unread_types = [\"application/octet-stream\", \"text/x-*\"]\n");
        // Larger than everything that may be held, and passed on before its end.
        for kind in ["application/octet-stream", "text/x-log; charset=utf-8", "text/plain"] {
            let mut stream = raw::connect(world.http());
            let head = format!(
                "POST /stream-{} HTTP/1.1\r\nHost: www.test\r\nContent-Type: {kind}\r\nContent-Length: 40000000\r\n\r\n",
                kind.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&form(100_000)).unwrap();
            eventually(5, "the beginning arrives at once", || {
                let seen = backend.connections();
                seen.iter().any(|connection| connection.bytes().len() > 90_000).then_some(())
            });
            drop(stream);
        }
        assert_eq!(world.figure("http-filter", "web_attack_bodies_inspected"), 0);
        assert_eq!(send(&world, b"POST /?a=evil HTTP/1.1\r\nHost: www.test\r\nContent-Type: application/octet-stream\r\nContent-Length: 2\r\n\r\nab").status, 403, "the query is judged all the same");
        for kind in ["text/x-a+json", "text/x-b+xml"] {
            let kind = format!("Content-Type: {kind}\r\n");
            let body: &[u8] = if kind.contains("json") { b"{\"a\":\"evil\"}" } else { b"<a>evil</a>" };
            assert_eq!(post_with(&world, "/", &kind, body).status, 403, "{kind}");
        }
        // Who names two types is not believed.
        let two = "Content-Type: application/octet-stream\r\nContent-Type: application/x-www-form-urlencoded\r\n";
        assert_eq!(post_with(&world, "/", two, b"a=fine").status, 400);
    });
}

#[test]
fn a_body_that_was_read_goes_to_another_server_when_the_first_cannot_be_reached() {
    within(60, || {
        let served = Arc::new(AtomicUsize::new(0));
        let backend = Backend::talking({
            let served = Arc::clone(&served);
            move |connection| {
                served.fetch_add(1, Ordering::Relaxed);
                talk(connection)
            }
        });
        let gone = std::net::TcpListener::bind((harness::backends::ADDRESS, 0)).unwrap().local_addr().unwrap();
        let world = harness::World::new("waf-retry")
            .pool_with("app", &[gone, backend.address()], "balance = \"round-robin\"\n")
            .serves("app")
            .file("rules/test.conf", super::RULES)
            .with("[http-filter.web-attacks]\nmode = \"block\"\nrules = [\"rules/test.conf\"]\n")
            .start();
        for size in [100, 50_000] {
            for _ in 0..3 {
                let answer = post(&world, "/echo", FORM, &form(size));
                assert_eq!((answer.status, answer.body == form(size)), (200, true));
            }
        }
        assert!(world.figure("http-filter", "retries") >= 1);
        assert!(served.load(Ordering::Relaxed) >= 1);
    });
}

#[test]
fn other_requests_are_served_while_a_body_waits_for_its_client() {
    within(60, || {
        let backend = Backend::application();
        let world = blocking("waf-waits", &backend, "");
        let mut stream = raw::connect(world.http());
        let head = format!(
            "POST /echo HTTP/1.1\r\nHost: www.test\r\nContent-Type: {JSON}\r\nContent-Length: 16\r\n\r\n{{\"a\":"
        );
        stream.write_all(head.as_bytes()).unwrap();
        for _ in 0..5 {
            assert_eq!(super::get(&world, "/?a=fine"), 200);
        }
        std::thread::sleep(Duration::from_millis(300));
        stream.write_all(b" \"harmles").unwrap();
        stream.write_all(b"s\"}").unwrap_or_default();
        let mut rest = [0; 1];
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let early = stream.read(&mut rest);
        assert!(early.is_ok_and(|read| read == 1), "the answer comes as soon as the body is whole");
    });
}
