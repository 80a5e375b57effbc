//! More and fewer instances, and one generation after another, under load: by `bulkhead scale` and `bulkhead upgrade`, and by nothing
//! but `systemctl`. (The same under `bulkhead up`: `tests/e2e/generations.rs`.)

use std::collections::BTreeMap;

use common::process::Process;
use harness::load::{Came, Load, Manner};
use harness::needs::note;
use harness::{eventually, within};

use crate::world::{World, doors, instance, unit};

impl World {
    fn load(&self) -> Load {
        let load = Load::start(&doors(self.web.address()), &Manner::ALL);
        load.go_on(50);
        load
    }

    /// Main processes of the instances that are active.
    fn pids(&self) -> BTreeMap<String, u32> {
        let listed = ["list-units", "--plain", "--no-legend", "--state=active", "bulkhead-*@*.service"];
        let units = self.machine.systemctl(&listed);
        let names = units.lines().filter_map(|line| line.split_whitespace().next());
        names.map(|name| (name.to_owned(), self.machine.main_pid(name))).collect()
    }

    /// What is enabled.
    fn enabled(&self) -> String {
        self.machine.systemctl(&["list-unit-files", "--plain", "--no-legend", "--state=enabled", "bulkhead-*"])
    }
}

fn nothing_lost(what: &str, came: &Came) {
    note(what, &format!("{} answered, lost: {}", came.answered, came.told()));
    assert!(came.lost.is_empty(), "{what}: {} answered, lost: {:#?}", came.answered, came.lost);
}

#[test]
fn every_process_grows_to_four_and_shrinks_to_one() {
    within(240, || {
        let Some(world) = World::start("every_process_grows") else { return };
        let (load, before) = (world.load(), world.pids());
        for process in Process::ALL {
            let told = world.bulkhead(&["scale", process.name(), "4"]);
            assert!(told.contains(&format!("{process}: 4 instances serve (1, 2, 3, 4)")), "{told}");
            let keep = format!("`systemctl enable bulkhead-{process}@{{2,3,4}}.service`");
            assert!(told.contains(&keep), "{told}");
            load.go_on(150);
            if process == Process::HttpFilter {
                let status = world.bulkhead(&["status", "--json"]);
                let figures: serde_json::Value = serde_json::from_str(&status).expect("JSON");
                for number in 1..=4 {
                    assert!(took_requests(&figures, number), "http-filter@{number} got nothing to do: {status}");
                }
            }
            let told = world.bulkhead(&["scale", process.name(), "1"]);
            assert!(told.contains("1 instance serves (1)") && told.contains("a start brings as many"), "{told}");
            world.forget();
        }
        nothing_lost("scaling every unit from 1 to 4 to 1", &load.end());
        assert_eq!(world.pids(), before, "the first instances are who they were, and nobody came back");
        let folder = world.machine.path("/run/bulkhead/sni-router-to-http-filter");
        assert_eq!(std::fs::read_dir(folder).expect("tmpfiles.d made it").count(), 1, "the sockets are gone");
        world.everything_serves();
    });
}

#[test]
fn an_upgrade_replaces_everybody_and_leaves_the_same_units() {
    within(300, || {
        let Some(world) = World::start("an_upgrade") else { return };
        let load = world.load();
        let enabled = world.enabled();
        for _ in 0..2 {
            let before = world.pids();
            let told = world.bulkhead(&["upgrade"]);
            for process in Process::ALL {
                assert!(told.contains(&format!("{process}: 0.1.0, instance 1, after")), "{told}");
            }
            let after = world.pids();
            assert!(before.keys().eq(after.keys()), "{before:?} {after:?}");
            assert!(before.iter().all(|(unit, pid)| after[unit] != *pid), "everybody is new: {before:?} {after:?}");
            world.forget();
        }
        assert_eq!(world.enabled(), enabled, "what starts with the machine is the administrator's choice");
        nothing_lost("upgrading every unit twice", &load.end());
        world.everything_serves();
    });
}

#[test]
fn a_generation_that_does_not_serve_is_taken_back() {
    within(180, || {
        let Some(world) = World::start("a_generation_that_does_not_serve") else { return };
        let (load, before) = (world.load(), world.pids());
        let program = "/usr/lib/bulkhead/http-filter";
        for (wrong, why) in [("/usr/lib/bulkhead/sni-router", "no socket named"), ("/bin/false", "failed")] {
            world.machine.run("mount", &["--bind", wrong, program]);
            let words = ["upgrade", "http-filter", "--runtime-dir", "/run/bulkhead"];
            let came = world.machine.try_run("/usr/lib/bulkhead/bulkhead", &words);
            assert!(!came.good && came.text.contains("rolled back: http-filter goes on as it was"), "{}", came.text);
            assert!(came.text.contains("http-filter@2 does not serve") && came.text.contains(why), "{}", came.text);
            load.go_on(30);
            world.machine.run("umount", &[program]);
        }
        assert_eq!(world.pids(), before, "everybody is who he was");
        assert_eq!(world.machine.property(&instance(Process::HttpFilter, 2), "ActiveState"), "inactive");
        let came = load.end();
        assert!(came.lost.is_empty(), "{came:#?}");
        world.bulkhead(&["upgrade", "http-filter"]);
        assert_ne!(world.pids(), before);
        world.everything_serves();
    });
}

#[test]
fn one_generation_follows_another_by_systemctl_alone() {
    within(300, || {
        let Some(world) = World::start("one_generation_follows_another") else { return };
        let load = world.load();
        for process in [Process::HttpFilter, Process::TlsTerminator, Process::SniRouter] {
            load.go_on(30);
            let next = instance(process, 2);
            world.machine.systemctl(&["start", &next]);
            world.machine.systemctl(&["stop", &unit(process)]);
            load.go_on(50);
            assert_eq!(world.machine.main_pid(&unit(process)), 0, "{process}@1 was started again by somebody");
            assert_ne!(world.machine.main_pid(&next), 0);
        }
        nothing_lost("one generation after another", &load.end());
        eventually(10, "the sockets of the stopped instances are gone", || {
            let folder = world.machine.path("/run/bulkhead/sni-router-to-http-filter");
            (std::fs::read_dir(folder).expect("tmpfiles.d made it").count() == 1).then_some(())
        });
        world.everything_serves();
    });
}

/// Whether that instance of http-filter has counted requests.
fn took_requests(status: &serde_json::Value, number: u64) -> bool {
    let all = status["processes"].as_array().expect("a list of processes");
    let own = all.iter().find(|one| one["process"] == "http-filter" && one["instance"] == number);
    own.is_some_and(|one| one["figures"]["requests"].as_u64().is_some_and(|requests| requests > 0))
}
