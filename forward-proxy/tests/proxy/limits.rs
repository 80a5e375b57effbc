//! How many connections there may be, and of whom.

use std::net::Ipv4Addr;

use crate::world::{Setting, World, until};

#[test]
fn one_client_cannot_take_all_places() {
    let adjust = |config: &mut common::config::ForwardProxy| {
        (config.max_connections, config.max_connections_per_address) = (5, 3);
    };
    World::run(Setting { adjust, ..Setting::default() }, async |world| {
        let backend = world.backend_name();
        let get = format!("GET http://{backend}/ HTTP/1.1\r\nHost: {backend}\r\n\r\n");
        let mut held = Vec::new();
        for _ in 0..3 {
            let mut client = world.connect().await;
            client.send(&get).await;
            assert_eq!(client.answer().await.status, 200);
            held.push(client);
        }
        let answer = world.connect().await.answer().await;
        assert!(answer.status == 503 && answer.body.contains("rule: max_connections_per_address"), "{answer:?}");
        let other = Ipv4Addr::new(127, 0, 0, 9);
        for _ in 0..2 {
            let mut client = world.connect_from(other).await;
            client.send(&get).await;
            assert_eq!(client.answer().await.status, 200);
            held.push(client);
        }
        let answer = world.connect_from(other).await.answer().await;
        assert!(answer.status == 503 && answer.body.contains("rule: max_connections\n"), "{answer:?}");
        assert_eq!((world.metrics.refused_full.get(), world.metrics.connections.get()), (2, 5));
        held.clear();
        until("places are free again", || world.proxy.places.taken() == 0).await;
        assert_eq!(world.ask(&get).await.status, 200);
    });
}

#[test]
fn tunnels_take_no_place_here() {
    let adjust = |config: &mut common::config::ForwardProxy| {
        (config.max_connections, config.max_connections_per_address) = (2, 2);
    };
    World::run(Setting { adjust, ..Setting::default() }, async |world| {
        let backend = world.backend_name();
        let mut tunnels = Vec::new();
        for _ in 0..20 {
            let mut client = world.connect().await;
            client.send(format!("CONNECT {backend} HTTP/1.1\r\nHost: {backend}\r\n\r\n")).await;
            assert!(client.head().await.starts_with("HTTP/1.1 200 "));
            tunnels.push(client);
        }
        for client in &mut tunnels {
            client.echo("x").await;
        }
    });
}
