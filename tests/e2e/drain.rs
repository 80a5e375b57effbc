//! `bulkhead drain POOL SERVER`: the server gets nothing new, whatever is under way ends as it will, and a reload keeps it so.

use std::io::{Read, Write};

use harness::backends::{Backend, application};
use harness::clients::{http, raw, tls};
use harness::{World, within};
use serde_json::Value;

fn order(world: &World, verb: &str, pool: &str, server: &str) -> Result<String, String> {
    let output = world.bulkhead(&[verb, pool, server, &world.config().to_string_lossy()]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// How a server is, by `bulkhead status --json`.
fn state(world: &World, pool: &str, server: &str) -> String {
    let output = world.bulkhead(&["status", "--json", &world.config().to_string_lossy()]);
    let whole: Value = serde_json::from_slice(&output.stdout).unwrap();
    let pools = whole["pools"].as_array().unwrap();
    let own = pools.iter().find(|one| one["pool"] == pool).unwrap_or_else(|| panic!("{whole:#}"));
    let servers = own["servers"].as_array().unwrap();
    let own = servers.iter().find(|one| one["server"] == server).unwrap_or_else(|| panic!("{whole:#}"));
    own["state"].as_str().unwrap().to_owned()
}

#[test]
fn a_drained_server_gets_nothing_new_until_it_is_taken_back() {
    within(90, || {
        let (one, two) = (Backend::application(), Backend::application());
        let world = World::new("drain")
            .terminates(&["www.test"])
            .pool("app", &[one.address(), two.address()])
            .serves("app")
            .start();
        let first = one.address().to_string();
        let get = || http::get(&mut raw::connect(world.http()), "www.test", "/bytes/10").unwrap().body;
        // Which backend has got how many requests.
        let requests = |backend: &Backend| String::from_utf8_lossy(&backend.bytes()).matches("GET /").count();
        let mut slow = raw::connect(world.http());
        for _ in 0..8 {
            assert_eq!(get(), application::pattern_of(10));
        }
        assert!(requests(&one) > 0 && requests(&two) > 0);
        slow.write_all(b"GET /sleep/1500 HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
        let said = order(&world, "drain", "app", &first).unwrap();
        assert!(said.contains("http-filter@1"), "{said}");
        assert_eq!(state(&world, "app", &first), "draining");
        let before = requests(&one);
        for round in 0..2 {
            for _ in 0..10 {
                get();
            }
            assert_eq!(requests(&one), before, "round {round}");
            let text = std::fs::read_to_string(world.config()).unwrap();
            std::fs::write(world.config(), format!("{text}\n# {round}\n")).unwrap();
            assert!(world.bulkhead(&["reload", &world.config().to_string_lossy()]).status.success());
            assert_eq!(state(&world, "app", &first), "draining", "a reload does not forget it");
        }
        assert_eq!(http::read_answer(&mut slow).unwrap().status, 200, "what is under way ends as it will");
        order(&world, "undrain", "app", &first).unwrap();
        assert_eq!(state(&world, "app", &first), "in use");
        for _ in 0..10 {
            get();
        }
        assert!(requests(&one) > before);
    });
}

#[test]
fn pools_that_pass_through_are_drained_by_the_relay_and_unknown_names_are_told() {
    within(60, || {
        let (one, two) = (Backend::echo(), Backend::echo());
        let world =
            World::new("drain-relay").pool("echo", &[one.address(), two.address()]).passes("echo.test", "echo").start();
        let pass = || {
            let hello = tls::client("echo.test").hello().0;
            let mut stream = raw::connect(world.https());
            stream.write_all(&hello).unwrap();
            let mut back = vec![0; hello.len()];
            stream.read_exact(&mut back).unwrap();
        };
        let first = one.address().to_string();
        assert!(order(&world, "drain", "echo", &first).unwrap().contains("passthrough-relay@1"));
        for _ in 0..6 {
            pass();
        }
        assert_eq!((one.connections().len(), two.connections().len()), (0, 6));
        order(&world, "undrain", "echo", &first).unwrap();
        for _ in 0..6 {
            pass();
        }
        assert!(!one.connections().is_empty());
        let unknown = order(&world, "drain", "ehco", &first).unwrap_err();
        assert!(unknown.contains("no pool `ehco`") && unknown.contains("echo"), "{unknown}");
        let unknown = order(&world, "drain", "echo", "127.0.0.1:1").unwrap_err();
        assert!(unknown.contains("no server `127.0.0.1:1`") && unknown.contains(&first), "{unknown}");
    });
}
