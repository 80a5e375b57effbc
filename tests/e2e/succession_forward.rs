//! forward-proxy ends while clients hold connections to it: they go on in the next incarnation, or in a sibling. Nobody is asked to connect
//! again, whether the connection is fresh, rests between two requests, has begun one, or waits for an answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use harness::backends::{Backend, application};
use harness::clients::{http, raw};
use harness::{World, within};
use nix::sys::signal::Signal;

const PROXY: &str = "forward-proxy";

fn world(name: &str, instances: u32, servers: &[SocketAddr]) -> harness::Builder {
    World::new(name).forwards_to(servers).set(PROXY, "instances", &instances.to_string())
}

fn get(client: &mut TcpStream, server: SocketAddr, path: &str) -> std::io::Result<http::Answer> {
    http::get(client, &server.to_string(), &format!("http://{server}{path}"))
}

fn end(world: &World, instance: u32) {
    let ended = world.signal_instance(PROXY, instance, Signal::SIGTERM);
    world.wait_for_restart(&ended);
}

#[test]
fn clients_rest_in_one_incarnation_and_go_on_in_the_next() {
    within(90, || {
        let (app, echo) = (Backend::application(), Backend::echo());
        let world = world("succession-out", 1, &[app.address(), echo.address()])
            .set(PROXY, "idle_deadline", "\"60s\"")
            .listener("proxy", "defer_accept", "\"0s\"") // who says nothing is a connection, too
            .start();
        let server = app.address();
        let mut clients: Vec<TcpStream> = (0..4).map(|_| raw::connect(world.proxy())).collect();
        let (resting, fresh) = clients.split_at_mut(2);
        for client in resting.iter_mut() {
            assert_eq!(get(client, server, "/bytes/10").unwrap().body, application::pattern_of(10));
        }
        let [half, tunnel] = fresh else { unreachable!() };
        half.write_all(format!("GET http://{server}/bytes/77 HTTP/1.1\r\nHo").as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(100));
        for round in 1..=3 {
            end(&world, 1);
            assert_eq!(world.figure(PROXY, "taken_over"), 4, "all of them, round {round}");
            for client in resting.iter_mut() {
                assert_eq!(get(client, server, "/bytes/500").unwrap().body, application::pattern_of(500));
            }
        }
        half.write_all(format!("st: {server}\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(http::read_answer(half).unwrap().body, application::pattern_of(77));
        // A first CONNECT, and one after other requests.
        for client in [tunnel, &mut resting[0]] {
            let echo = echo.address();
            client.write_all(format!("CONNECT {echo} HTTP/1.1\r\nHost: {echo}\r\n\r\n").as_bytes()).unwrap();
            assert!(http::read_head(client).unwrap().starts_with("HTTP/1.1 200"));
            client.write_all(b"to and fro").unwrap();
            let mut back = [0; 10];
            client.read_exact(&mut back).unwrap();
            assert_eq!(&back, b"to and fro");
        }
        world.stop_without_counting(); // connections to servers are kept for as long
    });
}

#[test]
fn an_answer_under_way_comes_first_then_the_connection_goes_on() {
    within(90, || {
        let app = Backend::application();
        let world = world("succession-out-busy", 1, &[app.address()]).start();
        let server = app.address();
        let mut busy = raw::connect(world.proxy());
        busy.write_all(format!("GET http://{server}/sleep/1500 HTTP/1.1\r\nHost: {server}\r\n\r\n").as_bytes())
            .unwrap();
        app.wait_for_bytes(10);
        let ended = world.signal_instance(PROXY, 1, Signal::SIGTERM);
        let answer = http::read_answer(&mut busy).unwrap();
        assert_eq!((answer.status, answer.header("connection")), (200, None), "nobody says that it ends: it does not");
        world.wait_for_restart(&ended);
        assert_eq!(get(&mut busy, server, "/bytes/10").unwrap().status, 200);
        assert_eq!(world.figure(PROXY, "taken_over"), 1);
    });
}

/// Requests as fast as they are answered, on one connection; how many, or why there are no more.
fn hurry(world: &World, server: SocketAddr, over: &Arc<AtomicBool>) -> JoinHandle<Result<u32, String>> {
    let (mut client, over) = (raw::connect(world.proxy()), Arc::clone(over));
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    thread::spawn(move || {
        let mut good = 0;
        while !over.load(Ordering::SeqCst) {
            match get(&mut client, server, "/bytes/2000") {
                Ok(answer) if answer.status == 200 && answer.body.len() == 2000 => good += 1,
                Ok(answer) => return Err(format!("answer {} after {good}: {}", answer.status, answer.text())),
                Err(error) => return Err(format!("{error} after {good}")),
            }
        }
        Ok(good)
    })
}

fn restarts_under_load(name: &str, instances: u32, restarts: u32) {
    let app = Backend::application();
    let world = world(name, instances, &[app.address()]).start();
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..12).map(|_| hurry(&world, app.address(), &over)).collect();
    for round in 0..restarts {
        thread::sleep(Duration::from_millis(200));
        end(&world, 1 + round % instances);
    }
    over.store(true, Ordering::SeqCst);
    let results: Vec<Result<u32, String>> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert!(results.iter().flatten().sum::<u32>() > 500, "{results:?}");
}

#[test]
fn not_a_request_is_lost_when_the_only_one_is_restarted_under_load() {
    within(120, || restarts_under_load("succession-out-load", 1, 5));
}

#[test]
fn nor_when_two_are_in_turn() {
    within(120, || restarts_under_load("succession-out-siblings", 2, 10));
}
