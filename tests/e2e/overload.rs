//! What gives way when there is too much, and what does not: whoever is in stays in and is served, whoever is too many is told so or waits,
//! and `bulkhead check` has said beforehand what it comes to. The caps per address are in `limits.rs`, those of pools in `pools/limits.rs`.

use std::io::{Read, Write};
use std::net::TcpStream;

use harness::backends::Backend;
use harness::clients::{http, raw, tls};
use harness::{World, eventually, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn web(name: &str, keys: &[(&str, &str, &str)]) -> (World, Backend) {
    let backend = Backend::application();
    let mut builder = World::new(name).terminates(&["www.test"]).pool("app", &[backend.address()]).serves("app");
    for (section, key, value) in keys {
        builder = builder.set(section, key, value);
    }
    (builder.start(), backend)
}

fn begin(stream: &mut TcpStream, path: &str) {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: www.test\r\n\r\n").as_bytes()).unwrap();
}

fn status(stream: &mut TcpStream) -> u16 {
    http::read_answer(stream).unwrap().status
}

fn ask(stream: &mut TcpStream) -> u16 {
    begin(stream, "/");
    status(stream)
}

#[test]
fn http_filter_full_of_connections_serves_them_and_says_503_to_one_more() {
    within(60, || {
        let keys = [("http-filter", "max_connections", "2"), ("sni-router", "hand_over_deadline", "\"2s\"")];
        let (world, _backend) = web("full-http", &keys);
        let mut held = [raw::connect(world.http()), raw::connect(world.http())];
        assert_eq!(held.each_mut().map(ask), [200, 200]);
        let mut one_more = raw::connect(world.http());
        begin(&mut one_more, "/");
        eventually(5, "it was offered", || (world.figure("http-filter", "full") > 0).then_some(()));
        assert_eq!(held.each_mut().map(ask), [200, 200], "those who are in are served on");
        let (answer, end) = raw::how_it_ends(&mut one_more);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 503") && end == raw::End::Closed, "{answer} {end:?}");
        assert_eq!(held.each_mut().map(ask), [200, 200]);
        // Whoever waits while a place becomes free gets it.
        let mut patient = raw::connect(world.http());
        begin(&mut patient, "/");
        let [leaves, _stays] = held;
        drop(leaves);
        assert_eq!(status(&mut patient), 200);
    });
}

#[test]
fn requests_beyond_max_requests_are_a_503_at_once_and_those_under_way_go_on() {
    within(60, || {
        let (world, _backend) = web("full-requests", &[("http-filter", "max_requests", "2")]);
        let mut busy = [raw::connect(world.http()), raw::connect(world.http())];
        busy.iter_mut().for_each(|stream| begin(stream, "/sleep/3000"));
        let figure = |name| world.figure("http-filter", name);
        eventually(5, "both are under way", || (figure("sent_on") == 2).then_some(()));
        let mut one_more = raw::connect(world.http());
        begin(&mut one_more, "/");
        let answer = http::read_answer(&mut one_more).unwrap();
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2")), "{}", answer.text());
        assert!(answer.text().contains("max_requests"), "{}", answer.text());
        assert_eq!((figure("sent_on"), figure("shed")), (2, 1), "it was said while they went on");
        assert_eq!(busy.each_mut().map(status), [200, 200]);
        eventually(5, "the places are free", || (figure("sent_on") == 0).then_some(()));
        assert_eq!(ask(&mut one_more), 200, "the same connection, which was kept");
    });
}

#[test]
fn a_terminator_full_of_handshakes_relays_on_and_one_more_gets_an_alert() {
    within(60, || {
        let keys = [
            ("tls-terminator", "max_handshakes", "1"),
            ("tls-terminator", "handoff", "\"relay\""),
            ("sni-router", "hand_over_deadline", "\"1s\""),
        ];
        let (world, _backend) = web("full-handshakes", &keys);
        let mut inside = tls::client("www.test").connect(world.https()).unwrap();
        assert_eq!(http::get(&mut inside, "www.test", "/").unwrap().status, 200);
        let hello = tls::client("www.test").hello().0;
        let mut slow = raw::connect(world.https());
        slow.write_all(&hello).unwrap();
        eventually(5, "it shakes hands", || (world.figure("tls-terminator", "handshakes") == 1).then_some(()));
        let mut one_more = raw::connect(world.https());
        one_more.write_all(&hello).unwrap();
        let (alert, end) = raw::how_it_ends(&mut one_more);
        assert_eq!((alert, end), (vec![21, 3, 1, 0, 2, 2, 80], raw::End::Closed), "internal_error");
        assert!(world.figure("tls-terminator", "returned") > 0);
        assert_eq!(http::get(&mut inside, "www.test", "/").unwrap().status, 200);
        drop(slow);
        let mut next = eventually(5, "there is a place", || tls::client("www.test").connect(world.https()).ok());
        assert_eq!(http::get(&mut next, "www.test", "/").unwrap().status, 200);
        tls::goodbye(inside);
        tls::goodbye(next);
    });
}

#[test]
fn a_relay_full_of_tunnels_moves_them_on_and_one_more_gets_an_alert() {
    within(60, || {
        let backend = Backend::echo();
        let world = World::new("full-relay")
            .set("passthrough-relay", "max_connections", "1")
            .set("sni-router", "hand_over_deadline", "\"1s\"")
            .pool("echo", &[backend.address()])
            .passes("echo.test", "echo")
            .start();
        let hello = tls::client("echo.test").hello().0;
        let mut inside = raw::connect(world.https());
        let echo = |stream: &mut TcpStream| {
            stream.write_all(&hello).unwrap();
            let mut back = vec![0; hello.len()];
            stream.read_exact(&mut back).unwrap();
            assert!(back == hello);
        };
        echo(&mut inside);
        let mut one_more = raw::connect(world.https());
        one_more.write_all(&hello).unwrap();
        eventually(5, "it was offered", || (world.figure("passthrough-relay", "full") > 0).then_some(()));
        echo(&mut inside);
        let (alert, end) = raw::how_it_ends(&mut one_more);
        assert_eq!((alert, end), (vec![21, 3, 1, 0, 2, 2, 80], raw::End::Closed), "internal_error");
        echo(&mut inside);
    });
}

#[test]
fn a_forward_proxy_full_of_connections_says_so_at_once_and_serves_them_on() {
    within(60, || {
        let backend = Backend::application();
        let target = backend.address();
        let world =
            World::new("full-forward").forwards_to(&[target]).set("forward-proxy", "max_connections", "1").start();
        let ask = |stream: &mut TcpStream| {
            stream.write_all(format!("GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes()).unwrap();
            http::read_answer(stream).unwrap()
        };
        let mut inside = raw::connect(world.proxy());
        assert_eq!(ask(&mut inside).status, 200);
        let refused = ask(&mut raw::connect(world.proxy()));
        assert_eq!(refused.status, 503);
        assert!(refused.text().contains("max_connections"), "{}", refused.text());
        assert_eq!(world.figure("forward-proxy", "refused_full"), 1);
        assert_eq!(ask(&mut inside).status, 200);
    });
}

#[test]
fn a_router_whose_queue_fills_up_accepts_no_more_and_loses_nobody() {
    within(60, || {
        // Far fewer than the 64 that one turn may accept.
        let keys = [("sni-router", "max_waiting", "5"), ("sni-router", "max_unacknowledged", "1")];
        let (world, _backend) = web("full-queue", &keys);
        let filter = Pid::from_raw(world.pid("http-filter").cast_signed());
        let before = world.figure("sni-router", "accepted");
        kill(filter, Signal::SIGSTOP).unwrap();
        let mut clients: Vec<TcpStream> = (0..120).map(|_| raw::connect(world.http())).collect();
        clients.iter_mut().for_each(|client| begin(client, "/"));
        // One is sent, and three are the first more than half of five.
        eventually(5, "it accepts", || (world.figure("sni-router", "accepted") == before + 4).then_some(()));
        kill(filter, Signal::SIGCONT).unwrap();
        assert!(clients.iter_mut().map(status).all(|status| status == 200), "the others waited in the kernel");
        assert_eq!(world.figure("sni-router", "accepted"), before + 120);
        assert_eq!(world.figure("sni-router", "undelivered"), 0);
    });
}

#[test]
fn hellos_that_become_whole_at_once_wait_for_room_in_the_queue() {
    within(60, || {
        let keys = [("sni-router", "max_waiting", "5"), ("sni-router", "max_unacknowledged", "1")];
        let (world, _backend) = web("full-queue-hellos", &keys);
        let terminator = Pid::from_raw(world.pid("tls-terminator").cast_signed());
        let hello = tls::client("www.test").hello().0;
        let (first, rest) = hello.split_at(hello.len() / 2);
        let mut clients: Vec<TcpStream> = (0..60).map(|_| raw::connect(world.https())).collect();
        clients.iter_mut().for_each(|client| client.write_all(first).unwrap());
        let waiting = || world.figure("sni-router", "hellos_waiting");
        eventually(5, "all are waited for", || (waiting() == 60).then_some(()));
        kill(terminator, Signal::SIGSTOP).unwrap();
        clients.iter_mut().for_each(|client| client.write_all(rest).unwrap());
        eventually(5, "the queue is more than half full", || (waiting() == 60 - 4).then_some(()));
        kill(terminator, Signal::SIGCONT).unwrap();
        let answered = clients.iter_mut().map(|client| {
            let mut record = [0; 3];
            client.read_exact(&mut record).map(|()| record)
        });
        assert!(
            answered.into_iter().all(|record| record.is_ok_and(|[kind, ..]| kind == 22)),
            "a handshake and no alert"
        );
        assert_eq!(world.figure("sni-router", "undelivered"), 0);
        world.stop_without_counting(); // sixty handshakes are under way
    });
}

#[test]
fn check_says_what_each_process_may_need_and_warns_where_the_unit_grants_less() {
    within(60, || {
        let (world, _backend) = web("budget", &[]);
        let config = world.config().display().to_string();
        let output = world.bulkhead(&["check", &config]);
        let (said, warned) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let lines: Vec<&str> = said.lines().collect();
        assert!(lines[0].starts_with("ok: ") && lines[1].contains("may need, at most"), "{said}");
        for process in ["passthrough-relay", "http-filter", "tls-terminator", "sni-router"] {
            assert!(lines.iter().any(|line| line.trim().starts_with(&format!("{process} ×"))), "{process}: {said}");
        }
        assert!(!warned.contains("descriptors"), "the defaults fit: {warned}");

        let folder = tempfile::tempdir().unwrap();
        let greedy = folder.path().join("greedy.toml");
        let text = "[[sni-router.listen]]\nname = \"web\"\naddress = [\"127.0.0.1:80\"]\nprotocol = \"http\"\n\
             [http-filter]\nmax_requests = 90_000\n[[http-filter.route]]\nname = \"none\"\nstatus = 404\n";
        std::fs::write(&greedy, text).unwrap();
        let output = world.bulkhead(&["check", &greedy.display().to_string()]);
        let warned = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{warned}");
        for words in
            ["http-filter may need", "grants 65,536", "`http-filter.max_requests`", "greedy.toml:6", "LimitNOFILE="]
        {
            assert!(warned.contains(words), "{words}: {warned}");
        }
    });
}
