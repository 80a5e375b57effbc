//! CONNECT: tunnels, refusals, what becomes of bytes that come too early.

use std::time::Duration;

use crate::world::{Setting, World, until};

fn connect(target: &str) -> String {
    format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")
}

#[test]
fn a_tunnel_is_opened_and_given_to_the_relay() {
    World::run(Setting::default(), async |world| {
        let mut client = world.connect().await;
        client.send(connect(&world.backend_name())).await;
        assert_eq!(client.head().await, "HTTP/1.1 200 Connection established\r\n\r\n");
        client.echo("hello through the tunnel").await;
        {
            let spliced = world.relay.spliced.borrow();
            assert_eq!((spliced.len(), spliced[0].label.as_str()), (1, world.backend_name().as_str()));
            assert_eq!((spliced[0].client, spliced[0].user.as_deref()), (client.0.local_addr().unwrap(), None));
        }
        assert_eq!(world.proxy.places.taken(), 0, "this process is out of the path");
        assert_eq!((world.metrics.tunnels.get(), world.metrics.connections.get()), (1, 0));
        client.echo("still here").await;
    });
}

#[test]
fn bytes_behind_the_head_reach_the_server_first_and_in_order() {
    World::run(Setting::default(), async |world| {
        let mut client = world.connect().await;
        let early = "x".repeat(3000);
        client.send(format!("{}{early}", connect(&world.backend_name()))).await;
        client.send("and more").await;
        assert!(client.head().await.starts_with("HTTP/1.1 200 "));
        client.expect(&format!("{early}and more")).await;
    });
}

#[test]
fn a_head_may_come_in_any_pieces() {
    World::run(Setting::default(), async |world| {
        let request = format!("\r\n{}", connect(&world.backend_name()));
        for size in [1, 7, 40] {
            let mut client = world.connect().await;
            client.0.set_nodelay(true).unwrap();
            for piece in request.as_bytes().chunks(size) {
                client.send(piece).await;
                tokio::task::yield_now().await;
            }
            assert!(client.head().await.starts_with("HTTP/1.1 200 "), "{size}");
            client.echo("x").await;
        }
    });
}

#[test]
fn every_refusal_has_its_status_its_rule_and_its_reason() {
    let rule = "[[forward-proxy.access]]\nname = \"no-bank\"\naction = \"deny\"\ndestinations = [\"*.bank.test\"]\n";
    World::run(Setting { config: rule.into(), ..Setting::default() }, async |world| {
        for (target, status, words) in [
            ("a.test:22", 403, ["rule: forward-proxy.ports", "Port 22 is not open"]),
            ("www.bank.test:443", 403, ["rule: no-bank", "\"no-bank\""]),
            ("WWW.Bank.Test.:443", 403, ["rule: no-bank", "\"no-bank\""]),
            ("127.0.0.1:443", 403, ["rule: address-guard", "loopback"]),
            ("[::1]:443", 403, ["rule: address-guard", "loopback"]),
            ("localhost:443", 403, ["rule: address-guard", "loopback"]),
            ("10.0.0.1:443", 403, ["rule: address-guard", "private"]),
            ("[::ffff:10.0.0.1]:443", 403, ["rule: address-guard", "private"]),
            ("169.254.169.254:80", 403, ["rule: address-guard", "link-local"]),
            ("odd.test:443", 403, ["rule: address-guard", "not for you"]),
            ("nosuch.test:443", 502, ["rule: dns", "NXDOMAIN"]),
            ("closed.test:443", 502, ["rule: connect\n", "connection refused"]),
            ("slow.test:443", 504, ["rule: connect-deadline", "in time"]),
            ("full.test:443", 503, ["rule: relay", "too many connects"]),
        ] {
            let answer = world.ask(&connect(target)).await;
            assert_eq!(answer.status, status, "{target} {answer:?}");
            assert!(words.iter().all(|word| answer.body.contains(word)), "{target} {answer:?}");
            assert!(
                answer.has("content-type: text/plain; charset=utf-8") && answer.has("connection: close"),
                "{answer:?}"
            );
        }
        assert!(world.relay.spliced.borrow().is_empty());
        assert_eq!((world.metrics.guarded.get(), world.metrics.denied.get()), (7, 3));
    });
}

#[test]
fn bytes_meant_for_a_refused_tunnel_are_never_requests_to_us() {
    World::run(Setting::default(), async |world| {
        let backend = world.backend_name();
        let mut client = world.connect().await;
        let smuggled = format!("GET http://{backend}/evil HTTP/1.1\r\nHost: {backend}\r\n\r\n");
        client.send(format!("{}{smuggled}", connect("10.0.0.1:443"))).await;
        assert_eq!(client.answer().await.status, 403);
        assert_eq!(client.rest().await, "");
        assert!(world.backend.requests.borrow().is_empty());
    });
}

#[test]
fn connect_works_also_after_other_requests_of_a_kept_alive_connection() {
    World::run(Setting::default(), async |world| {
        let backend = world.backend_name();
        let mut client = world.connect().await;
        client.send(format!("GET http://{backend}/first HTTP/1.1\r\nHost: {backend}\r\n\r\n")).await;
        assert_eq!(client.answer().await.status, 200);
        client.send(format!("{}early bytes", connect(&backend))).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 200 ") && !head.contains("ontent-length"), "{head}");
        client.expect("early bytes").await;
        client.echo("and later ones").await;
        let proxy = std::rc::Rc::clone(&world.proxy);
        until("this process is out of the path", || proxy.places.taken() == 0).await;
        assert!(world.relay.spliced.borrow()[0].to_client.is_empty(), "hyper has written the 200");
        client.echo("still here").await;
    });
}

#[test]
fn a_refused_connect_ends_a_kept_alive_connection_too() {
    World::run(Setting::default(), async |world| {
        let backend = world.backend_name();
        let mut client = world.connect().await;
        client.send(format!("GET http://{backend}/first HTTP/1.1\r\nHost: {backend}\r\n\r\n")).await;
        assert_eq!(client.answer().await.status, 200);
        let smuggled = format!("GET http://{backend}/evil HTTP/1.1\r\nHost: {backend}\r\n\r\n");
        client.send(format!("{}{smuggled}", connect("10.0.0.1:443"))).await;
        let answer = client.answer().await;
        assert!(answer.status == 403 && answer.body.contains("private"), "{answer:?}");
        assert_eq!(client.rest().await, "");
        assert_eq!(world.backend.requests.borrow().len(), 1);
    });
}

#[test]
fn without_a_relay_clients_are_told_so_in_time() {
    let adjust = |config: &mut common::config::ForwardProxy| config.connect_deadline = Duration::from_millis(300);
    World::run(Setting { relay: false, adjust, ..Setting::default() }, async |world| {
        let backend = world.backend_name();
        let get = format!("GET http://{backend}/ HTTP/1.1\r\nHost: {backend}\r\n\r\n");
        for request in [connect(&backend), get] {
            let answer = world.ask(&request).await;
            assert!(answer.status == 503 && answer.body.contains("rule: relay"), "{answer:?}");
            assert!(answer.has("retry-after: 1"), "{answer:?}");
        }
    });
}

#[test]
fn a_relay_that_never_answers_is_given_up() {
    let adjust = |config: &mut common::config::ForwardProxy| config.connect_deadline = Duration::from_millis(100);
    World::run(Setting { adjust, ..Setting::default() }, async |world| {
        assert_eq!(world.ask(&connect("silent.test:443")).await.status, 504);
        world.relay.silent.borrow_mut().clear();
    });
}

#[test]
fn a_tunnel_that_no_relay_takes_is_refused() {
    let adjust = |config: &mut common::config::ForwardProxy| config.connect_deadline = Duration::from_millis(300);
    World::run(Setting { adjust, ..Setting::default() }, async |world| {
        world.relay.full.set(true);
        let answer = world.ask(&connect(&world.backend_name())).await;
        assert!(answer.status == 503 && answer.body.contains("rule: relay"), "{answer:?}");
        assert_eq!(world.metrics.undelivered.get(), 1);
    });
}
