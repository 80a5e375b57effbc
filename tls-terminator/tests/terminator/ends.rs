//! How ends travel: half-close both ways, truncation, death of either side, broken records.

use std::io::Write;
use std::time::{Duration, Instant};

use rustls::{AlertDescription, Error};

use crate::client::{Client, TLS12, TLS13, config, reason};
use crate::world::{Plan, World, await_descriptors};

#[test]
fn the_clients_goodbye_reaches_the_filter_and_the_answer_still_comes() {
    let world = World::start(Plan::default());
    for versions in [TLS13, TLS12] {
        let mut client = Client::new(&world, config(&world, versions, &[]), "shop.example");
        let request = vec![5; 1 << 20];
        client.shake().unwrap();
        let mut reader = Client { tls: client.tls, tcp: client.tcp.try_clone().unwrap() };
        // The echo of a whole MiB comes after the goodbye.
        reader.tls.set_buffer_limit(None);
        reader.tls.writer().write_all(&request).unwrap();
        reader.tls.send_close_notify();
        let mut records = Vec::new();
        while reader.tls.wants_write() {
            reader.tls.write_tls(&mut records).unwrap();
        }
        let mut tcp = client.tcp;
        let sending = std::thread::spawn(move || tcp.write_all(&records));
        assert!(reader.rest().unwrap() == request, "not what was sent");
        sending.join().unwrap().unwrap();
        assert_eq!(world.end(), 1 << 20);
    }
    world.await_figure("ended_by_client", 2);
    world.await_figure("connections", 0);
}

#[test]
fn the_filters_end_reaches_the_client_and_its_upload_still_goes_on() {
    let world = World::start(Plan::default());
    let mut client = Client::good(&world);
    client.echo(b"hello");
    client.send(b"!half").unwrap();
    assert_eq!(client.rest().unwrap(), b"", "close_notify came");
    for _ in 0..20 {
        client.send(&[9; 50_000]).unwrap();
    }
    std::thread::sleep(Duration::from_millis(1200)); // over a tick of the clock: a half-close may last
    client.send(b"last").unwrap();
    client.goodbye();
    assert_eq!(world.end(), 5 + 5 + 20 * 50_000 + 4);
    world.await_figure("ended_by_filter", 1);
}

#[test]
fn when_the_filter_closes_the_client_is_told_and_given_a_moment() {
    let world = World::start(Plan::default());
    let before = world.warm();
    let mut client = Client::good(&world);
    client.send(b"bye!close").unwrap();
    assert_eq!(client.rest().unwrap(), b"");
    // This client does not leave by itself.
    let began = Instant::now();
    world.await_figure("connections", 0);
    assert!(began.elapsed() < Duration::from_secs(4));
    drop(client);
    world.await_figure("ended_by_filter", 1);
    await_descriptors(before);
}

#[test]
fn an_answer_before_the_end_of_the_request_arrives() {
    let world = World::start(Plan::default());
    let mut client = Client::good(&world);
    client.send(b"!refuse").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    // The client does not know yet and goes on sending: nothing of that may turn into a reset.
    for _ in 0..10 {
        client.send(&[1; 10_000]).unwrap();
    }
    assert_eq!(client.rest().unwrap(), b"no");
    drop(client);
    world.await_figure("ended_by_filter", 1);
}

#[test]
fn a_filter_that_dies_takes_only_its_connections_and_at_once() {
    let world = World::start(Plan::default());
    let mut bystander = Client::good(&world);
    bystander.echo(b"x");
    let mut client = Client::good(&world);
    client.echo(b"x");
    let began = Instant::now();
    client.send(b"!die").unwrap();
    let _ = client.rest();
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    bystander.echo(b"y");
}

#[test]
fn a_client_that_vanishes_is_noticed_and_its_stream_ends() {
    let world = World::start(Plan::default());
    let before = world.warm();
    let mut client = Client::good(&world);
    client.echo(b"12345");
    drop(client); // FIN without close_notify
    assert_eq!(world.end(), 5);
    world.await_figure("ended_truncated", 1);

    let mut client = Client::good(&world);
    client.echo(b"12345");
    rustix::net::sockopt::set_socket_linger(&client.tcp, Some(Duration::ZERO)).unwrap();
    drop(client); // RST
    assert_eq!(world.end(), 5);
    world.await_figure("ended_reset", 1);
    world.await_figure("connections", 0);
    await_descriptors(before);
}

#[test]
fn a_record_that_was_tampered_with_ends_with_an_alert() {
    let world = World::start(Plan::default());
    for versions in [TLS13, TLS12] {
        let mut client = Client::new(&world, config(&world, versions, &[]), "shop.example");
        client.echo(b"x");
        client.tls.writer().write_all(b"some bytes").unwrap();
        let mut record = Vec::new();
        client.tls.write_tls(&mut record).unwrap();
        *record.last_mut().unwrap() ^= 1;
        client.tcp.write_all(&record).unwrap();
        let error = client.rest().unwrap_err();
        assert_eq!(reason(&error), Some(&Error::AlertReceived(AlertDescription::BadRecordMac)), "{error}");
    }
    world.await_figure("ended_faulty", 2);
    world.await_figure("connections", 0);
}

#[test]
fn rubbish_instead_of_records_ends_the_connection() {
    let world = World::start(Plan::default());
    for rubbish in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[23, 3, 3, 255, 255], &[0; 100], &[22, 3, 3, 0, 4, 1, 255, 255, 255]]
    {
        let mut client = Client::good(&world);
        client.echo(b"x");
        client.tcp.write_all(rubbish).unwrap();
        assert!(client.rest().is_err());
    }
    world.await_figure("ended_faulty", 4);
    Client::good(&world).echo(b"others are served");
}
