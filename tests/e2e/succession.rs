//! http-filter is restarted and no client learns of it: connections go on in the next incarnation, or in a sibling. Nor do they learn of a
//! tls-terminator that is restarted: it does not hold them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use harness::backends::{Backend, application, websocket};
use harness::clients::websocket::WebSocket;
use harness::clients::{http, raw, tls};
use harness::{World, within};

const RESTARTS: usize = 10;

fn world(name: &str, app: &Backend, instances: &str) -> World {
    World::new(name)
        .terminates(&["www.test"])
        .site_keys("handoff = \"secrets\"\n")
        .pool("app", &[app.address()])
        .serves("app")
        .set("http-filter", "instances", instances)
        .start()
}

/// What a client does on its one connection.
trait Talk: Read + Write + Send {}
impl<T: Read + Write + Send> Talk for T {}

fn every_kind(world: &World) -> Vec<(&'static str, Box<dyn Talk>)> {
    vec![
        ("plain", Box::new(raw::connect(world.http()))),
        ("TLS 1.3", Box::new(tls::client("www.test").alpn(&["http/1.1"]).connect(world.https()).unwrap())),
        ("TLS 1.2", Box::new(tls::client("www.test").tls12().connect(world.https()).unwrap())),
    ]
}

#[test]
fn kept_alive_connections_go_on_in_the_next_incarnation() {
    within(120, || {
        let app = Backend::application();
        let world = world("succession", &app, "1");
        let mut clients = every_kind(&world);
        let mut untouched = every_kind(&world); // not a byte was sent on these
        for (kind, client) in &mut clients {
            assert_eq!(http::get(client, "www.test", "/first").unwrap().status, 200, "{kind}");
        }
        for round in 0..RESTARTS {
            let old = world.terminate("http-filter");
            world.wait_for_restart(&old);
            for (kind, client) in &mut clients {
                let answer = http::get(client, "www.test", &format!("/bytes/{}", 1000 * (round + 1)));
                let answer = answer.unwrap_or_else(|error| panic!("{kind}, restart {round}: {error}"));
                assert_eq!((answer.status, answer.body.len()), (200, 1000 * (round + 1)), "{kind}");
            }
        }
        for (kind, client) in &mut untouched {
            assert_eq!(http::get(client, "www.test", "/late").unwrap().status, 200, "{kind}");
        }
        assert_eq!(world.figure("http-filter", "taken_over"), 6, "all of them, by the last one");
        assert_eq!(world.figure("http-filter", "connections"), 6);
    });
}

#[test]
fn the_beginning_of_a_request_goes_along() {
    within(60, || {
        let app = Backend::application();
        let world = world("succession-ahead", &app, "1");
        for (kind, mut client) in every_kind(&world) {
            client.write_all(b"GET /bytes/300 HTTP/1.1\r\nHost: www.te").unwrap();
            client.flush().unwrap();
            thread::sleep(Duration::from_millis(50));
            let old = world.terminate("http-filter");
            world.wait_for_restart(&old);
            client.write_all(b"st\r\n\r\n").unwrap();
            client.flush().unwrap();
            let answer = http::read_answer(&mut client).unwrap();
            assert_eq!((answer.status, answer.body.len()), (200, 300), "{kind}");
        }
    });
}

/// Requests as fast as they are answered, on one connection; how many, or why there are no more.
fn hurry(address: SocketAddr, client: Option<tls::Client>, over: &Arc<AtomicBool>) -> JoinHandle<Result<u32, String>> {
    let over = Arc::clone(over);
    thread::spawn(move || {
        let stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        let mut stream: Box<dyn Talk> = match client {
            Some(client) => Box::new(client.over(stream).map_err(|error| error.to_string())?),
            None => Box::new(stream),
        };
        let mut good = 0;
        while !over.load(Ordering::SeqCst) {
            match http::get(&mut stream, "www.test", "/bytes/2000") {
                Ok(answer) if answer.status == 200 && answer.body.len() == 2000 => good += 1,
                Ok(answer) => return Err(format!("answer {} after {good}", answer.status)),
                Err(error) => return Err(format!("{error} after {good}")),
            }
        }
        Ok(good)
    })
}

fn restarts_under_load(name: &str, instances: &str, processes: &[&str]) {
    let app = Backend::application();
    let world = world(name, &app, instances);
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..12)
        .map(|number| match number % 3 {
            0 => hurry(world.https(), Some(tls::client("www.test")), &over),
            1 => hurry(world.https(), Some(tls::client("www.test").tls12()), &over),
            _ => hurry(world.http(), None, &over),
        })
        .collect();
    for process in processes.iter().cycle().take(RESTARTS) {
        thread::sleep(Duration::from_millis(200));
        let old = world.terminate(process);
        world.wait_for_restart(&old);
    }
    over.store(true, Ordering::SeqCst);
    let results: Vec<Result<u32, String>> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert!(results.iter().flatten().sum::<u32>() > 1000, "{results:?}");
}

#[test]
fn not_a_request_is_lost_when_the_only_filter_is_restarted_under_load() {
    within(120, || restarts_under_load("succession-load", "1", &["http-filter"]));
}

#[test]
fn nor_when_one_of_three_is() {
    within(120, || restarts_under_load("succession-siblings", "3", &["http-filter"]));
}

#[test]
fn nor_when_it_is_tls_terminator_or_both_in_turn() {
    within(120, || restarts_under_load("succession-terminator", "1", &["tls-terminator"]));
    within(120, || restarts_under_load("succession-both", "1", &["tls-terminator", "http-filter"]));
}

#[test]
fn websockets_go_on_with_every_byte_in_its_place() {
    within(120, || {
        let backend = Backend::talking(websocket::talk);
        let world = world("succession-websocket", &backend, "1");
        let over = Arc::new(AtomicBool::new(false));
        let busy: Vec<JoinHandle<u32>> = every_kind(&world)
            .into_iter()
            .map(|(kind, stream)| {
                let mut socket = WebSocket::open(stream, "www.test", "/chat").map_err(|answer| answer.text()).unwrap();
                let over = Arc::clone(&over);
                thread::spawn(move || {
                    let mut rounds = 0;
                    while !over.load(Ordering::SeqCst) {
                        let message = application::pattern_of(usize::try_from(rounds * 1777 % 60_000).unwrap());
                        socket.send(&message).unwrap_or_else(|error| panic!("{kind}, round {rounds}: {error}"));
                        let echo = socket.receive();
                        let echo = echo.unwrap_or_else(|error| panic!("{kind}, round {rounds}: {error}"));
                        assert_eq!(echo, message, "{kind}, round {rounds}");
                        rounds += 1;
                    }
                    socket.close().unwrap_or_else(|error| panic!("{kind}, the last word: {error}"));
                    rounds
                })
            })
            .collect();
        for _ in 0..RESTARTS {
            thread::sleep(Duration::from_millis(150));
            let old = world.terminate("http-filter");
            world.wait_for_restart(&old);
        }
        thread::sleep(Duration::from_millis(300));
        over.store(true, Ordering::SeqCst);
        let rounds: Vec<u32> = busy.into_iter().map(|busy| busy.join().unwrap()).collect();
        assert!(rounds.iter().all(|rounds| *rounds > 20), "{rounds:?}");
    });
}
