//! More and fewer instances, and one generation after another, by nothing but starting and stopping units, under load.
//!
//! Growing loses nothing. An instance that is stopped answers what it has begun and closes what is idle: connections are not handed
//! to a successor yet, so a request that is on its way in that moment is lost. The tests say how many, and allow no more than one
//! for each client and stop.

use common::process::Process;
use harness::needs::note;
use harness::{eventually, within};

use crate::load::{Load, Manner};
use crate::world::{World, instance, unit};

/// Every way through the proxy that a restart of the process must not cut.
const ALL: [Manner; 5] = [Manner::NewPlain, Manner::KeptPlain, Manner::NewTls, Manner::KeptTls, Manner::NewPassthrough];

#[test]
fn http_filter_grows_to_four_and_shrinks_to_one() {
    within(240, || {
        let Some(world) = World::start("http_filter_grows") else { return };
        let load = Load::start(world.web.address(), &ALL);
        load.go_on(50);
        let others: Vec<String> = (2..=4).map(|number| instance(Process::HttpFilter, number)).collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        world.machine.systemctl(&[&["start"], &others[..]].concat());
        load.go_on(200);
        let status = world.bulkhead(&["status", "--json"]);
        let figures: serde_json::Value = serde_json::from_str(&status).expect("JSON");
        for number in 1..=4 {
            assert!(took_requests(&figures, number), "http-filter@{number} got nothing to do: {status}");
        }
        let (answered, lost) = load.end();
        assert!(lost.is_empty(), "growing: {} of {answered} lost: {lost:#?}", lost.len());

        let load = Load::start(world.web.address(), &ALL);
        load.go_on(50);
        world.machine.systemctl(&[&["stop"], &others[..]].concat());
        load.go_on(100);
        eventually(10, "the sockets of the stopped instances are gone", || {
            let folder = world.machine.path("/run/bulkhead/sni-router-to-http-filter");
            (std::fs::read_dir(folder).expect("tmpfiles.d made it").count() == 1).then_some(())
        });
        for other in &others {
            assert_eq!(
                world.machine.property(other, "ActiveState"),
                "inactive",
                "{other} was started again by somebody"
            );
        }
        bounded("shrinking", load, others.len());
        world.everything_serves();
    });
}

#[test]
fn one_generation_follows_another() {
    within(300, || {
        let Some(world) = World::start("one_generation_follows_another") else { return };
        let load = Load::start(world.web.address(), &ALL);
        // passthrough-relay and forward-proxy hold connections that cannot be handed on yet.
        for process in [Process::HttpFilter, Process::TlsTerminator, Process::SniRouter] {
            load.go_on(30);
            let next = instance(process, 2);
            world.machine.systemctl(&["start", &next]);
            world.machine.systemctl(&["stop", &unit(process)]);
            load.go_on(50);
            assert_eq!(world.machine.main_pid(&unit(process)), 0, "{process}@1 was started again by somebody");
            assert_ne!(world.machine.main_pid(&next), 0);
        }
        bounded("one generation after another", load, 3);
        world.everything_serves();
    });
}

/// What was lost is what stopping instances held at that instant, and it is said.
fn bounded(what: &str, load: Load, stops: usize) {
    let (answered, lost) = load.end();
    note(what, &format!("{} of {answered} requests lost in {stops} stops: {lost:?}", lost.len()));
    assert!(lost.len() <= ALL.len() * stops, "{what}: {} of {answered} lost: {lost:#?}", lost.len());
}

/// Whether that instance of http-filter has counted requests.
fn took_requests(status: &serde_json::Value, number: u64) -> bool {
    let all = status["processes"].as_array().expect("a list of processes");
    let own = all.iter().find(|one| one["process"] == "http-filter" && one["instance"] == number);
    own.is_some_and(|one| one["figures"]["requests"].as_u64().is_some_and(|requests| requests > 0))
}
