//! `max_requests_per_connection`: the last request is answered, the client is told in its protocol's words, and the connection ends in order.

use std::io::Write;
use std::time::Duration;

use harness::backends::Backend;
use harness::clients::frames::{Event, Frames, block, flag, kind};
use harness::clients::{http, raw};
use harness::{World, within};

fn world(name: &str, backend: &Backend) -> World {
    World::new(name)
        .set("http-filter", "max_requests_per_connection", "3")
        .terminates(&["www.test"])
        .pool("app", &[backend.address()])
        .serves("app")
        .start()
}

#[test]
fn http_1_is_told_with_connection_close() {
    within(60, || {
        let backend = Backend::application();
        let world = world("last-h1", &backend);
        let mut stream = raw::connect(world.http());
        for last in [false, false, true] {
            let answer = http::get(&mut stream, "www.test", "/bytes/100").unwrap();
            assert_eq!((answer.status, answer.body.len()), (200, 100));
            assert_eq!(answer.header("connection") == Some("close"), last, "{}", answer.head);
        }
        assert!(raw::read_to_end(&mut stream).is_empty(), "nothing behind the last answer");
        // What is pipelined behind the last one is not served.
        let mut stream = raw::connect(world.http());
        stream.write_all("GET /bytes/1 HTTP/1.1\r\nHost: www.test\r\n\r\n".repeat(5).as_bytes()).unwrap();
        let came = raw::read_to_end(&mut stream);
        assert_eq!(String::from_utf8_lossy(&came).matches("HTTP/1.1 200").count(), 3);
    });
}

#[test]
fn http_2_is_told_with_goaway_and_what_was_asked_is_answered() {
    within(60, || {
        let backend = Backend::application();
        let world = world("last-h2", &backend);
        let mut frames = Frames::connect(world.https(), "www.test").unwrap();
        frames.start(&[]).unwrap();
        let ask = |path: &str| {
            block(&[(":method", "GET"), (":scheme", "https"), (":authority", "www.test"), (":path", path)])
        };
        // The first is slow, so that the last one is announced while another is under way.
        for (stream, path) in [(1, "/sleep/500"), (3, "/bytes/10"), (5, "/bytes/20")] {
            frames.send(kind::HEADERS, flag::END_STREAM | flag::END_HEADERS, stream, &ask(path)).unwrap();
        }
        let (mut answered, mut goaways) = (Vec::new(), Vec::new());
        loop {
            match frames.next(Duration::from_secs(10)) {
                Event::Frame(frame) if frame.kind == kind::GOAWAY => goaways.push(frame.error()),
                Event::Frame(frame) if frame.kind == kind::PING && !frame.has(flag::ACK) => {
                    frames.send(kind::PING, flag::ACK, 0, &frame.payload).unwrap();
                }
                Event::Frame(frame) => {
                    assert_ne!(frame.kind, kind::RST_STREAM, "{frame:?}");
                    if frame.stream != 0 && frame.has(flag::END_STREAM) {
                        answered.push(frame.stream);
                    }
                }
                Event::Closed => break,
                Event::Silence => panic!("the connection does not end; answered {answered:?}, GOAWAY {goaways:?}"),
            }
        }
        answered.sort_unstable();
        assert_eq!(answered, [1, 3, 5]);
        assert!(!goaways.is_empty() && goaways.iter().all(|code| *code == Some(0)), "{goaways:?}");
    });
}
