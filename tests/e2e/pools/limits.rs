//! Who waits, how long, and how long a whole request may take.

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use harness::clients::{http, raw};
use harness::{World, eventually, within};

use super::*;

/// Starts a request and does not wait for its answer.
fn begin(world: &World) -> std::net::TcpStream {
    let mut stream = raw::connect(world.http());
    stream.write_all(b"GET / HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
    stream
}

#[test]
fn what_is_too_much_waits_its_turn_and_is_served() {
    within(60, || {
        let servers = three();
        servers[0].is(Mood::Slow);
        let world = world("queue", &servers[..1], "max_connections_per_server = 1\nqueue_deadline = \"30s\"");
        let mut streams = Vec::new();
        for waiting in 0..4 {
            streams.push(begin(&world));
            eventually(5, "it waits", || {
                (world.figure("http-filter", "queued") == waiting || servers[0].seen() > 2).then_some(())
            });
        }
        for stream in &mut streams {
            assert_eq!(http::read_answer(stream).unwrap().status, 200);
        }
        assert_eq!((servers[0].seen(), servers[0].backend.connections().len()), (4, 1), "never two at a time");
        assert_eq!(world.figure("http-filter", "queued"), 0);
    });
}

#[test]
fn a_full_queue_and_a_long_wait_are_a_503_with_retry_after() {
    within(60, || {
        let servers = three();
        servers[0].is(Mood::Hangs);
        let keys = "max_connections = 1\nqueue = 1\nqueue_deadline = \"2s\"";
        let world = world("queue-full", &servers[..1], keys);
        let held = begin(&world);
        eventually(5, "the first is served", || (servers[0].seen() == 1).then_some(()));
        let mut waits = begin(&world);
        eventually(5, "the second waits", || (world.figure("http-filter", "queued") == 1).then_some(()));
        let third = ask(&world, "").unwrap();
        assert_eq!((third.status, third.header("retry-after")), (503, Some("2")), "{}", third.text());
        assert!(third.text().contains("busy"), "{}", third.text());
        let second = http::read_answer(&mut waits).unwrap();
        assert_eq!((second.status, second.header("retry-after")), (503, Some("2")));
        let figure = |name| world.figure("http-filter", name);
        assert_eq!((figure("queue_full"), figure("queue_timeouts"), figure("queued")), (1, 1, 0));

        // Whoever gives up leaves the queue, and the place of whoever goes away is free again.
        let gone = begin(&world);
        eventually(5, "another waits", || (figure("queued") == 1).then_some(()));
        drop(gone);
        eventually(5, "and gives up", || (figure("queued") == 0).then_some(()));
        servers[0].is(Mood::Well);
        drop(held);
        eventually(5, "there is a place again", || ask(&world, "").ok().filter(|answer| answer.status == 200));
    });
}

/// Answers at once, then a byte every 100 ms without end.
fn drips(kind: &'static str) -> Backend {
    Backend::talking(move |mut talk| {
        talk.read_until(b"\r\n\r\n")?;
        talk.say(format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n").as_bytes())?;
        loop {
            talk.say(b"1\r\n.\r\n")?;
            thread::sleep(Duration::from_millis(100));
        }
    })
}

#[test]
fn a_whole_request_has_a_deadline_and_a_stream_of_events_has_none() {
    within(60, || {
        let (drip, events, silent) = (drips("text/plain"), drips("text/event-stream"), Backend::silent());
        let keys = "total_deadline = \"1s\"";
        let world = World::new("total")
            .terminates(&["www.test"])
            .pool_with("drip", &[drip.address()], keys)
            .pool_with("events", &[events.address()], keys)
            .pool_with("silent", &[silent.address()], keys)
            .http_route("name = \"drip\"\nhosts = [\"drip.test\"]\npool = \"drip\"")
            .http_route("name = \"events\"\nhosts = [\"events.test\"]\npool = \"events\"")
            .serves("silent")
            .start();
        let answer = ask(&world, "").unwrap();
        assert_eq!(answer.status, 504, "{}", answer.text());
        world.wait_for_line("http-filter", &["overdue", "504"]);

        let mut stream = raw::connect(world.http());
        stream.write_all(b"GET / HTTP/1.1\r\nHost: drip.test\r\n\r\n").unwrap();
        let bytes = raw::read_to_end(&mut stream);
        assert!(bytes.starts_with(b"HTTP/1.1 200") && !bytes.ends_with(b"0\r\n\r\n"), "begun and broken off");

        let mut stream = raw::connect(world.http());
        stream.write_all(b"GET / HTTP/1.1\r\nHost: events.test\r\n\r\n").unwrap();
        http::read_head(&mut stream).unwrap();
        // Each event is 6 bytes; 25 of them take two and a half times the deadline.
        stream.read_exact(&mut [0; 150]).unwrap();
    });
}
