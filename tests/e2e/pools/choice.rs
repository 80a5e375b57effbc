//! The policies, and that they keep to weights, keys and order.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use harness::clients::{raw, tls};
use harness::{World, eventually, within};

use super::*;

fn weighted(servers: &[Server], weights: &[u32]) -> String {
    let list = servers.iter().zip(weights).map(|(server, weight)| {
        let address = server.address();
        format!("{{ address = \"{address}\", weight = {weight} }}")
    });
    format!("servers = [{}]\n", list.collect::<Vec<_>>().join(", "))
}

#[test]
fn round_robin_follows_the_weights_to_the_request() {
    within(60, || {
        let servers = three();
        let pool = format!("[[pool]]\nname = \"app\"\nidle_deadline = \"1s\"\n{}", weighted(&servers, &[3, 2, 1]));
        let world = World::new("weights").terminates(&["www.test"]).with(&pool).serves("app").start();
        let expected = BTreeMap::from([("a".to_owned(), 12), ("b".to_owned(), 8), ("c".to_owned(), 4)]);
        assert_eq!(tally(&world, 24), expected);
    });
}

#[test]
fn busy_servers_get_less() {
    within(60, || {
        for policy in ["least-connections", "two-choices"] {
            let servers = three();
            servers[0].is(Mood::Hangs);
            let world = world(policy, &servers[..2], &format!("balance = \"{policy}\"\nmax_retries = 0"));
            // Held by the one that hangs, whoever is asked first.
            let mut held = Vec::new();
            while servers[0].seen() == 0 {
                let mut stream = raw::connect(world.http());
                stream.write_all(b"GET / HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
                thread::sleep(Duration::from_millis(50));
                held.push(stream);
            }
            assert_eq!(tally(&world, 20), BTreeMap::from([("b".to_owned(), 20)]), "{policy}");
            assert_eq!(servers[0].seen(), 1, "{policy}");
        }
    });
}

#[test]
fn a_key_keeps_its_server_and_only_keys_of_a_lost_one_move() {
    within(90, || {
        let servers = three();
        for (on, header) in [("header:X-Tenant", "x-tenant: t"), ("cookie:tenant", "Cookie: a=b; tenant=")] {
            let keys = format!("balance = \"hash\"\nhash_on = \"{on}\"\neject_after = 1\neject_for = \"1m\"");
            let world = world("hash", &servers, &keys);
            let of = |key: usize| who(&world, &format!("{header}{key}\r\n"));
            let found: Vec<String> = (0..30).map(of).collect();
            let mut all = found.clone();
            all.sort();
            all.dedup();
            assert_eq!(all, ["a", "b", "c"], "30 keys on three servers");
            assert_eq!((0..30).map(of).collect::<Vec<_>>(), found, "{on}");
            servers[1].is(Mood::Closes);
            for (key, was) in found.iter().enumerate() {
                let now = of(key);
                assert!(if was == "b" { now != "b" } else { now == *was }, "{on}: key {key} from {was} to {now}");
            }
            servers[1].is(Mood::Well);
            let spread = tally(&world, 6);
            assert!(spread.len() > 1, "requests without a key take turns: {spread:?}");
        }
    });
}

#[test]
fn a_popular_key_does_not_overload_its_server() {
    within(60, || {
        let servers = three();
        let keys = "balance = \"hash\"\nhash_on = \"header:x-key\"\nhash_balance_factor = 100\nmax_retries = 0";
        let world = world("hash-bounded", &servers, keys);
        let own = who(&world, "X-Key: hot\r\n");
        assert_eq!(who(&world, "X-Key: hot\r\n"), own, "nobody is busy");
        servers.iter().for_each(|server| server.is(Mood::Hangs));
        let before: Vec<usize> = servers.iter().map(Server::seen).collect();
        let held: Vec<_> = (0..3)
            .map(|_| {
                let mut stream = raw::connect(world.http());
                stream.write_all(b"GET / HTTP/1.1\r\nHost: www.test\r\nX-Key: hot\r\n\r\n").unwrap();
                stream
            })
            .collect();
        eventually(5, "each has one of three", || {
            servers.iter().zip(&before).all(|(server, before)| server.seen() == before + 1).then_some(())
        });
        drop(held);
    });
}

#[test]
fn a_client_keeps_its_server_over_http_and_in_passthrough() {
    within(60, || {
        let servers = three();
        let echoes = ["x", "y", "z"].map(|_| Backend::echo());
        let world = World::new("hash-client")
            .terminates(&["www.test"])
            .pool_with("app", &addresses(&servers), "balance = \"hash\"")
            .pool_with("echo", &echoes.each_ref().map(Backend::address), "balance = \"hash\"")
            .serves("app")
            .passes("echo.test", "echo")
            .start();
        assert_eq!(tally(&world, 10).len(), 1);
        for _ in 0..6 {
            let (hello, _) = tls::client("echo.test").hello();
            let mut stream = raw::connect(world.https());
            stream.write_all(&hello).unwrap();
            stream.read_exact(&mut vec![0; hello.len()]).unwrap();
        }
        let mut counts = echoes.each_ref().map(|echo| echo.connections().len());
        counts.sort_unstable();
        assert_eq!(counts, [0, 0, 6]);
    });
}

#[test]
fn passthrough_pools_are_checked_by_connecting() {
    within(60, || {
        let (echo, dead) = (Backend::echo(), dead());
        let checks = "[pool.health]\ninterval = \"100ms\"\ntimeout = \"500ms\"\nfall = 2\n";
        let world = World::new("pass-health")
            .pool_with("echo", &[dead, echo.address()], checks)
            .passes("echo.test", "echo")
            .start();
        world.wait_for_line("passthrough-relay", &["down: ", "pool=echo", &dead.to_string()]);
        let failed = world.figure("passthrough-relay", "connects_failed");
        for _ in 0..6 {
            let hello = tls::client("echo.test").hello().0;
            let mut stream = raw::connect(world.https());
            stream.write_all(&hello).unwrap();
            stream.read_exact(&mut vec![0; hello.len()]).unwrap();
        }
        assert_eq!(world.figure("passthrough-relay", "connects_failed"), failed, "the dead one is not even tried");
        world.stop_without_counting();
    });
}

#[test]
fn passthrough_keeps_to_the_limit_of_a_pool() {
    within(60, || {
        let echo = Backend::echo();
        let world = World::new("pass-limit")
            .pool_with("echo", &[echo.address()], "max_connections_per_server = 2")
            .passes("echo.test", "echo")
            .start();
        let hello = tls::client("echo.test").hello().0;
        let open = || {
            let mut stream = raw::connect(world.https());
            stream.write_all(&hello).unwrap();
            let mut back = vec![0; hello.len()];
            stream.read_exact(&mut back).map(|()| stream)
        };
        let held = [open().unwrap(), open().unwrap()];
        assert!(open().is_err(), "the third");
        assert_eq!(world.figure("passthrough-relay", "pool_full"), 1);
        drop(held);
        eventually(5, "there is room again", || open().ok());
    });
}

#[test]
fn connections_grow_old_so_that_names_are_looked_up_again() {
    within(60, || {
        let servers = three();
        let world = world("age", &servers[..1], "max_age = \"1s\"\nidle_deadline = \"1m\"");
        assert_eq!(tally(&world, 5)["a"], 5);
        assert_eq!(servers[0].backend.connections().len(), 1, "kept");
        eventually(10, "a new connection", || {
            thread::sleep(Duration::from_millis(200));
            who(&world, "");
            (servers[0].backend.connections().len() > 1).then_some(())
        });
        thread::sleep(Duration::from_millis(1500)); // the last one is let go before descriptors are compared
    });
}
