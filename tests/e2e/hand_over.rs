//! Hand-overs between processes: several instances share the work, a stuck or full one costs nobody his connection, and a
//! socket that was handed over is really gone from the sender.

use std::io::Write;
use std::thread;
use std::time::Duration;

use harness::backends::Backend;
use harness::clients::{http, raw, tls};
use harness::{World, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

#[test]
fn instances_share_the_work() {
    within(90, || {
        let backend = Backend::application();
        let world = World::new("instances")
            .set("sni-router", "instances", "2")
            .set("tls-terminator", "instances", "2")
            .set("http-filter", "instances", "3")
            .set("passthrough-relay", "instances", "2")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .serves("app")
            .start();
        for (process, count) in [("sni-router", 2), ("tls-terminator", 2), ("http-filter", 3), ("passthrough-relay", 2)]
        {
            assert_eq!(world.pids(process).len(), count, "{process}");
        }
        let mut held = Vec::new();
        for _ in 0..24 {
            let mut stream = tls::client("www.test").connect(world.https()).unwrap();
            assert_eq!(http::get(&mut stream, "www.test", "/").unwrap().status, 200);
            held.push(stream);
        }
        for (process, instances) in [("tls-terminator", 2), ("http-filter", 3)] {
            let counts: Vec<usize> = world
                .pids(process)
                .iter()
                .map(|pid| {
                    harness::processes::descriptors(*pid).map_or(0, |kinds| kinds.get("socket").copied().unwrap_or(0))
                })
                .collect();
            let most = counts.iter().max().copied().unwrap_or(0);
            let least = counts.iter().min().copied().unwrap_or(0);
            assert!(most - least <= 2 * 24 / instances, "{process} instances hold {counts:?} sockets");
        }
        held.into_iter().for_each(tls::goodbye);
    });
}

#[test]
fn a_stuck_instance_costs_nobody_his_connection() {
    within(90, || {
        let backend = Backend::application();
        let world = World::new("stuck")
            .set("tls-terminator", "instances", "2")
            .set("sni-router", "hand_over_deadline", "\"20s\"")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .serves("app")
            .start();
        let stuck = world.pids("tls-terminator")[0];
        signal(stuck, Signal::SIGSTOP);
        let address = world.https();
        let clients: Vec<_> = (0..16)
            .map(|_| {
                thread::sleep(Duration::from_millis(20));
                thread::spawn(move || {
                    let mut stream = tls::client("www.test").connect(address).map_err(|error| error.to_string())?;
                    http::get(&mut stream, "www.test", "/")
                        .map(|answer| answer.status)
                        .map_err(|error| error.to_string())
                })
            })
            .collect();
        thread::sleep(Duration::from_secs(2));
        let served = clients.iter().filter(|client| client.is_finished()).count();
        signal(stuck, Signal::SIGCONT);
        let ends: Vec<Result<u16, String>> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        assert!(ends.iter().all(|end| *end == Ok(200)), "{ends:?}");
        assert!(served >= 12, "only {served} of 16 were served beside the stuck instance");
    });
}

#[test]
fn nobody_there_to_take_it_is_said_in_time() {
    within(60, || {
        let backend = Backend::application();
        let world = World::new("nobody")
            .set("sni-router", "hand_over_deadline", "\"1s\"")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .serves("app")
            .start();
        let (terminator, filter) = (world.pid("tls-terminator"), world.pid("http-filter"));
        signal(terminator, Signal::SIGSTOP);
        signal(filter, Signal::SIGSTOP);
        let mut stream = raw::connect(world.https());
        stream.write_all(&tls::client("www.test").hello().0).unwrap();
        let (alert, end) = raw::how_it_ends(&mut stream);
        let mut plain = raw::connect(world.http());
        plain.write_all(b"GET / HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
        let answer = raw::how_it_ends(&mut plain);
        signal(terminator, Signal::SIGCONT);
        signal(filter, Signal::SIGCONT);
        assert_eq!((alert, end), (vec![21, 3, 1, 0, 2, 2, 80], raw::End::Closed), "internal_error");
        let text = String::from_utf8_lossy(&answer.0).into_owned();
        assert!(text.starts_with("HTTP/1.1 503") && answer.1 == raw::End::Closed, "{text} {:?}", answer.1);
        // And afterwards all is well.
        let mut stream = tls::client("www.test").connect(world.https()).unwrap();
        assert_eq!(http::get(&mut stream, "www.test", "/").unwrap().status, 200);
        tls::goodbye(stream);
    });
}

#[test]
fn the_end_of_a_connection_reaches_the_client_at_once() {
    within(60, || {
        // While any process kept a copy of the client's socket, a close elsewhere would not send a FIN.
        let backend = Backend::talking(|mut talk| {
            talk.read_exactly(5)?;
            talk.say(b"bye")
        });
        let world = World::new("no-copies").pool("bye", &[backend.address()]).passes("bye.test", "bye").start();
        for _ in 0..10 {
            let mut stream = raw::connect(world.https());
            stream.write_all(&tls::client("bye.test").hello().0).unwrap();
            let (bytes, end) = raw::how_it_ends(&mut stream);
            assert_eq!((bytes.as_slice(), end != raw::End::Open), (b"bye".as_slice(), true));
        }
    });
}
