//! Bytes arrive whole and in order, whoever is slow, and nothing is left behind.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use crate::client::{Client, TLS12, TLS13, config};
use crate::world::{Plan, World, await_descriptors};

const MIB: usize = 1 << 20;

fn pattern(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()
    };
    (0..length / 4).flat_map(|_| next()).collect()
}

#[test]
fn twenty_mebibytes_both_ways_at_once() {
    let world = World::start(Plan::default());
    let bytes = pattern(20 * MIB);
    for versions in [TLS13, TLS12] {
        let mut client = Client::new(&world, config(&world, versions, &[]), "shop.example");
        assert!(client.duplex(&bytes, false).1);
    }
    world.await_figure("bytes_to_clients", 40 << 20);
}

#[test]
fn a_client_that_does_not_read_is_not_read_from_either() {
    let world = World::start(Plan::default());
    let mut client = Client::good(&world);
    client.shake().unwrap();
    let bytes = pattern(40 * MIB);
    let innocent = std::thread::scope(|scope| {
        let stuck = scope.spawn(|| client.duplex(&bytes, true));
        std::thread::sleep(Duration::from_millis(300));
        Client::good(&world).echo(b"served beside it");
        stuck.join().unwrap()
    });
    let (sent_before, same) = innocent;
    assert!(sent_before < bytes.len(), "nobody stopped the sender");
    assert!(same);
}

#[test]
fn every_size_around_a_record_survives() {
    let world = World::start(Plan::default());
    let mut client = Client::good(&world);
    for size in [1, 2, 16_383, 16_384, 16_385, 32_768, 65_536 - 1, 65_537, 300_000] {
        client.echo(&pattern(size / 4 * 4 + 4)[..size]);
    }
}

#[test]
fn a_record_cut_into_single_bytes_is_put_together() {
    let world = World::start(Plan::default());
    for versions in [TLS13, TLS12] {
        let mut client = Client::new(&world, config(&world, versions, &[]), "shop.example");
        client.echo(b"warm");
        client.tls.writer().write_all(&[7; 300]).unwrap();
        let mut records = Vec::new();
        client.tls.write_tls(&mut records).unwrap();
        for byte in records {
            client.tcp.write_all(&[byte]).unwrap();
            std::thread::sleep(Duration::from_micros(100));
        }
        assert_eq!(client.receive(300).unwrap(), [7; 300]);
    }
}

#[test]
fn a_request_in_the_same_segment_as_the_end_of_the_handshake_is_not_lost() {
    let world = World::start(Plan::default());
    let mut client = Client::good(&world);
    client.tls.writer().write_all(b"early bird").unwrap(); // sent right behind Finished
    assert_eq!(client.receive(10).unwrap(), b"early bird");
    client.echo(b"and on");
}

#[test]
fn keys_are_renewed_on_request_of_the_client() {
    let world = World::start(Plan::default());
    let mut client = Client::good(&world);
    client.echo(b"one");
    for _ in 0..5 {
        client.tls.refresh_traffic_keys().unwrap();
        client.echo(b"another");
        client.echo(&pattern(100_000));
    }
}

#[test]
fn two_hundred_clients_at_once_and_every_descriptor_comes_back() {
    let world = World::start(Plan::default());
    let before = world.warm();
    let config = Arc::new(config(&world, TLS13, &["h2"]));
    let mut clients: Vec<Client> = (0..200).map(|_| Client::shared(&world, &config, "shop.example")).collect();
    for round in 0..3 {
        for client in &mut clients {
            client.send(format!("round {round}").as_bytes()).unwrap();
        }
        for client in &mut clients {
            assert_eq!(client.receive(7).unwrap(), format!("round {round}").as_bytes());
        }
    }
    assert_eq!(world.figure("connections"), 200);
    for (index, client) in clients.iter_mut().enumerate() {
        if index % 2 == 0 {
            client.goodbye(); // the others just vanish
        }
    }
    drop(clients);
    world.await_figure("connections", 0);
    await_descriptors(before);
    assert_eq!(world.figure("ended_by_client"), 101);
    assert_eq!(world.figure("ended_truncated"), 100);
}
