//! `bulkhead scale` and `bulkhead upgrade` under the launcher, with the stand-in: numbers, sockets, refusals, what is left behind.

use std::time::Duration;

use crate::world::{self, World, client, eventually};

/// Standard output and error of a verb, and its exit code.
fn run(world: &World, words: &[&str]) -> (String, String, Option<i32>) {
    let output = world.bulkhead(&[words, &[world.config()]].concat());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

/// Numbers of a process that serve, in order.
fn numbers(world: &World, process: &str) -> Vec<u64> {
    let status = world.status();
    let own = status.iter().filter(|one| one["process"] == process && one["state"] == "serving");
    own.map(|one| one["instance"].as_u64().unwrap()).collect()
}

fn figure(world: &World, process: &str, name: &str) -> u64 {
    let status = world.status();
    status.iter().find(|one| one["process"] == process).unwrap()["figures"][name].as_u64().unwrap()
}

#[test]
fn one_becomes_four_and_one_again_and_nothing_is_left() {
    let world = World::new();
    let mut launcher = world.up();
    launcher.ready();
    let (out, err, code) = run(&world, &["scale", "passthrough-relay", "4"]);
    assert_eq!(code, Some(0), "{err}\n{}", launcher.log());
    assert!(out.contains("passthrough-relay: 4 instances serve (1, 2, 3, 4)"), "{out}");
    assert!(out.contains("`instances = 4` in [passthrough-relay]"), "{out}");
    assert_eq!(numbers(&world, "passthrough-relay"), [1, 2, 3, 4]);
    world.permissions_are_tight();
    // Edges are found by whoever starts now, and by nobody who is not their sender.
    let (_, err, code) = run(&world, &["upgrade", "http-filter"]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(figure(&world, "http-filter", "edges_reached"), 4 + 16, "four relays, and its letter box counts as 16");
    let (table, ..) = run(&world, &["status"]);
    assert!(table.contains("note: passthrough-relay: 4 run now, a start brings 1"), "{table}");

    let (out, err, code) = run(&world, &["scale", "passthrough-relay", "1"]);
    assert_eq!(code, Some(0), "{err}\n{}", launcher.log());
    assert!(out.contains("1 instance serves (1)") && out.contains("a start brings as many"), "{out}");
    assert_eq!(numbers(&world, "passthrough-relay"), [1]);
    for left in ["http-filter-to-passthrough-relay/2.sock", "control/passthrough-relay-4.sock", "control/new.sock"] {
        assert!(!world.runtime_dir.join(left).exists(), "{left}");
    }
    for number in 2..=4 {
        launcher.expect_line(&format!("passthrough-relay@{number} finished: exit code 0"));
    }
    run(&world, &["scale", "sni-router", "3"]);
    launcher.terminate();
    assert_eq!(launcher.wait(Duration::from_secs(10)).code(), Some(0), "{}", launcher.log());
    assert!(!world.runtime_dir.exists(), "those that came later are stopped and cleared as well");
}

#[test]
fn who_does_not_serve_is_taken_back_with_its_own_words() {
    let world = World::new();
    let mut launcher = world.up();
    launcher.ready();
    let before = world.pids();
    world.behaves("sni-router", "exit 3");
    for words in [&["scale", "sni-router", "3"][..], &["upgrade", "sni-router"]] {
        let (_, err, code) = run(&world, words);
        assert_eq!(code, Some(1), "{err}");
        let ended = "sni-router@2 ended 3 times before it served, the last time with exit code 3";
        assert!(err.contains(ended) && err.contains("sni-router: exiting as told"), "its own words: {err}");
        assert!(err.contains("sni-router: 1 instance serves (1)") || err.contains("goes on as it was"), "{err}");
    }
    assert_eq!(world.pids(), before, "nobody was touched");
    assert!(client(world.web).starts_with(&before["sni-router"].to_string()));
    let left = std::fs::read_dir(world.runtime_dir.join("control")).unwrap().count();
    assert_eq!(left, 4 + 1, "four processes and the launcher");
    world.behaves("sni-router", "");
    launcher.terminate();
    assert_eq!(launcher.wait(Duration::from_secs(10)).code(), Some(0));
}

#[test]
fn an_upgrade_of_all_takes_receivers_first_and_numbers_stay_small() {
    let world = World::new();
    let mut launcher = world.up();
    launcher.ready();
    let mut before = world.pids();
    for round in 1..=3 {
        let (out, err, code) = run(&world, &["upgrade"]);
        assert_eq!(code, Some(0), "{err}\n{}", launcher.log());
        let place = |name: &str| out.find(&format!("{name}: ")).expect(&out);
        assert!(
            place("passthrough-relay") < place("http-filter") && place("http-filter") < place("sni-router"),
            "{out}"
        );
        let (from, to) = if round % 2 == 1 { (1, 2) } else { (2, 1) };
        assert_eq!(out.matches(&format!("instance {from} → {to}")).count(), 4, "{out}");
        let now = world.pids();
        assert!(now.iter().all(|(name, pid)| before[name] != *pid), "{before:?} {now:?}");
        assert!(client(world.web).starts_with(&now["sni-router"].to_string()), "the listener is the same");
        let (_, err, code) = run(&world, &["status"]);
        assert_eq!(code, Some(0), "nobody is missing: {err}");
        before = now;
    }
    let (_, err, code) = run(&world, &["reload"]);
    assert_eq!(code, Some(0), "{err}");
    launcher.terminate();
    assert_eq!(launcher.wait(Duration::from_secs(10)).code(), Some(0));
}

#[test]
fn a_reload_leaves_those_that_finish_alone_and_two_changes_do_not_meet() {
    let world = World::new();
    world.behaves("http-filter", "linger 2500");
    let mut launcher = world.up();
    launcher.ready();
    std::thread::scope(|scope| {
        let upgrade = scope.spawn(|| run(&world, &["upgrade", "http-filter"]));
        eventually("the old one to finish", || {
            world.status().iter().any(|one| one["process"] == "http-filter" && one["state"] == "draining")
        });
        let (_, err, code) = run(&world, &["scale", "sni-router", "2"]);
        assert_eq!(code, Some(1));
        assert!(err.contains("another `bulkhead scale` or `upgrade` is at it"), "{err}");
        let (out, err, code) = run(&world, &["reload"]);
        assert_eq!(code, Some(0), "{err}");
        assert!(out.contains("4 processes work with it"), "the new one and three others: {out}");
        let (_, err, code) = upgrade.join().unwrap();
        assert_eq!(code, Some(0), "{err}");
    });
    assert_eq!(numbers(&world, "http-filter"), [2]);
    world::end(&mut launcher);
}

#[test]
fn orders_that_make_no_sense_change_nothing() {
    let world = World::new();
    let (_, err, code) = run(&world, &["scale", "http-filter", "2"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("no bulkhead runs in"), "{err}");
    let mut launcher = world.up();
    launcher.ready();
    let (_, err, code) = run(&world, &["scale", "tls-terminator", "2"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("no tls-terminator runs here"), "{err}");
    let (out, _, code) = run(&world, &["scale", "http-filter", "1"]);
    assert!(code == Some(0) && out.contains("1 instance serves (1)"), "{out}");
    std::fs::write(world.config(), "[sni-router]\nintsances = 1\n").unwrap();
    let directory = world.runtime_dir.to_str().unwrap();
    let output = world.bulkhead(&["upgrade", "http-filter", "--runtime-dir", directory]);
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(err.contains("intsances") && err.contains("rolled back"), "the new generation cannot read the file: {err}");
    assert_eq!(world.bulkhead(&["status", "--runtime-dir", directory]).status.code(), Some(0));
    world::end(&mut launcher);
}
