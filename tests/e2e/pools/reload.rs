//! What is known of servers outlives a reload that changes their pool.

use harness::within;

use super::*;

/// Changes the pool in one place and has everybody read it.
fn reload(world: &World, from: &str, to: &str) {
    let text = std::fs::read_to_string(world.config()).unwrap();
    assert!(text.contains(from), "{from:?} is not in:\n{text}");
    std::fs::write(world.config(), text.replacen(from, to, 1)).unwrap();
    let output = world.bulkhead(&["reload", "--config", &world.config().to_string_lossy()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_ejected_server_stays_ejected_and_a_sticky_client_stays_with_its_server() {
    within(60, || {
        let servers = three();
        let keys = "eject_after = 1\neject_for = \"1m\"\nmax_idle = 10\n[pool.sticky]\ncookie = \"srv\"";
        let world = world("reload-state", &servers, keys);
        servers[1].is(Mood::Closes);
        assert_eq!(tally(&world, 6).get("b"), None);
        servers[1].is(Mood::Well);
        let first = ask(&world, "").unwrap();
        let cookie = first.header("set-cookie").and_then(|set| set.split(';').next()).unwrap().to_owned();
        let before = servers[1].seen();

        reload(&world, "max_idle = 10", "max_idle = 11");
        assert_eq!(tally(&world, 8), BTreeMap::from([("a".to_owned(), 4), ("c".to_owned(), 4)]));
        assert_eq!(servers[1].seen(), before, "still left out");
        for _ in 0..4 {
            assert_eq!(who(&world, &format!("Cookie: {cookie}\r\n")), first.text(), "the random key is still the same");
        }

        // The server goes from the list: its clients move.
        let at = ["a", "b", "c"].iter().position(|name| **name == *first.text()).unwrap();
        let all = addresses(&servers).iter().map(|address| format!("\"{address}\"")).collect::<Vec<_>>();
        let rest: Vec<String> =
            all.iter().enumerate().filter(|(index, _)| *index != at).map(|(_, one)| one.clone()).collect();
        reload(&world, &all.join(", "), &rest.join(", "));
        let moved = ask(&world, &format!("Cookie: {cookie}\r\n")).unwrap();
        assert_ne!(moved.text(), first.text());
        assert!(moved.header("set-cookie").is_some());
    });
}

#[test]
fn requests_under_way_count_in_the_pool_that_comes_after() {
    within(60, || {
        let servers = three();
        servers[0].is(Mood::Hangs);
        let keys = "max_connections_per_server = 1\nqueue = 0\nmax_idle = 10";
        let world = world("reload-busy", &servers[..1], keys);
        let mut held = raw::connect(world.http());
        held.write_all(b"GET / HTTP/1.1\r\nHost: www.test\r\n\r\n").unwrap();
        harness::eventually(5, "it is under way", || (servers[0].seen() == 1).then_some(()));
        reload(&world, "max_idle = 10", "max_idle = 11");
        servers[0].is(Mood::Well);
        assert_eq!(ask(&world, "").unwrap().status, 503, "its place is taken");
        drop(held);
        harness::eventually(5, "the place is free", || (ask(&world, "").ok()?.status == 200).then_some(()));
    });
}
