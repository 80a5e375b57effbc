//! Deadlines and limits: handshakes that never finish, too many of anything, silence, the end of the process.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::client::{Client, TLS13, config};
use crate::world::{Plan, World, await_descriptors};

fn plan(change: impl FnOnce(&mut Plan)) -> Plan {
    let mut plan = Plan::default();
    change(&mut plan);
    plan
}

/// A ClientHello as bytes.
fn hello(world: &World) -> Vec<u8> {
    let mut client = Client::new(world, config(world, TLS13, &[]), "shop.example");
    let mut bytes = Vec::new();
    client.tls.write_tls(&mut bytes).unwrap();
    bytes
}

/// Milliseconds until the other side closes.
fn until_closed(tcp: &mut TcpStream) -> u128 {
    let began = Instant::now();
    tcp.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
    let mut buffer = [0; 4096];
    while let Ok(1..) = tcp.read(&mut buffer) {}
    began.elapsed().as_millis()
}

#[test]
fn a_handshake_that_is_not_finished_is_ended() {
    let world = World::start(plan(|plan| {
        plan.terminator.handshake_deadline = Duration::from_millis(400);
        plan.blind = Some("shop.example");
    }));
    let before = world.warm();
    let hello = hello(&world);
    world.await_figure("connections", 0);
    for start in [&hello[..], &hello[..100], &[]] {
        let mut tcp = TcpStream::connect(world.address).unwrap();
        tcp.write_all(start).unwrap();
        let took = until_closed(&mut tcp);
        assert!((300..2000).contains(&took), "{took}");
    }
    world.await_figure("handshakes_late", 3);
    await_descriptors(before);
}

#[test]
fn a_hello_that_drips_in_time_is_served_and_one_that_does_not_is_not() {
    let world = World::start(plan(|plan| {
        plan.terminator.handshake_deadline = Duration::from_millis(1500);
        plan.blind = Some("shop.example");
    }));
    for (pause, served) in [(200, true), (20_000, false)] {
        let mut client = Client::good(&world);
        let mut bytes = Vec::new();
        client.tls.write_tls(&mut bytes).unwrap();
        let sent = bytes.iter().try_for_each(|byte| {
            std::thread::sleep(Duration::from_micros(pause));
            client.tcp.write_all(&[*byte])
        });
        assert_eq!(sent.is_ok() && client.shake().is_ok(), served, "{pause}");
    }
    world.await_figure("handshakes_late", 1);
}

#[test]
fn a_full_process_lets_clients_wait_and_serves_them_later() {
    let world = World::start(plan(|plan| plan.terminator.max_connections = 2));
    let mut clients: Vec<Client> = (0..2).map(|_| Client::good(&world)).collect();
    clients.iter_mut().for_each(|client| client.echo(b"in"));
    let mut third = Client::good(&world);
    third.tcp.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(third.shake().is_err(), "no room yet");
    assert!(world.figure("returned") > 0);
    drop(clients);
    third.tcp.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    third.shake().unwrap();
    third.echo(b"now");
}

#[test]
fn an_address_with_too_many_connections_is_closed_and_not_passed_around() {
    let world = World::start(plan(|plan| plan.terminator.max_connections_per_address = 3));
    let mut clients: Vec<Client> = (0..3).map(|_| Client::good(&world)).collect();
    clients.iter_mut().for_each(|client| client.echo(b"in"));
    let mut fourth = Client::good(&world);
    let began = Instant::now();
    assert!(fourth.shake().is_err());
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!((world.figure("refused_address"), world.figure("returned")), (1, 0));
    clients.pop();
    world.await_figure("connections", 2);
    Client::good(&world).echo(b"in again");
}

#[test]
fn silence_is_ended_with_a_goodbye_and_only_silence() {
    let world = World::start(plan(|plan| plan.terminator.idle_deadline = Duration::from_secs(2)));
    let (mut silent, mut busy) = (Client::good(&world), Client::good(&world));
    silent.echo(b"x");
    let began = Instant::now();
    while world.figure("ended_idle") == 0 {
        busy.echo(b"tick");
        assert!(began.elapsed() < Duration::from_secs(6));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(began.elapsed() > Duration::from_millis(1500), "{:?}", began.elapsed());
    assert_eq!(silent.rest().unwrap(), b"");
    busy.echo(b"still here");
}

#[test]
fn without_a_filter_the_client_is_told_properly() {
    let world = World::start(plan(|plan| plan.filter = false));
    let mut client = Client::good(&world);
    client.shake().unwrap();
    let began = Instant::now();
    let told = String::from_utf8(client.rest().unwrap()).unwrap();
    assert!(told.starts_with("HTTP/1.1 503 ") && told.contains("\r\nConnection: close\r\n"), "{told}");
    assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
    assert_eq!(world.figure("undelivered"), 1);
}

#[test]
fn stopping_waits_for_connections_but_not_for_ever() {
    let mut world = World::start(Plan::default());
    let mut client = Client::good(&world);
    client.echo(b"x");
    let leaver = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        client.echo(b"served to the end");
        client.goodbye();
        client.rest().unwrap();
    });
    let took = world.stop();
    leaver.join().unwrap();
    assert!((300..2000).contains(&took.as_millis()), "{took:?}");
    drop(world);

    let mut world = World::start(Plan::default());
    let mut stayer = Client::good(&world);
    stayer.echo(b"x");
    let took = world.stop();
    assert!((4500..6500).contains(&took.as_millis()), "{took:?}");
    assert_eq!(stayer.rest().unwrap(), b"", "it was told properly");
}
