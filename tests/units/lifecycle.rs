//! Reload, kill, hang: what an operator and what bad luck do to running units.

use std::fs;
use std::thread;

use common::process::Process;
use harness::clients::{http, raw, tls};
use harness::{certificates, eventually, within};

use crate::world::{HTTP, HTTPS, WWW, World, unit};

const DENY: &str = "\n[[http-filter.access]]\nname = \"no-secret\"\naction = \"deny\"\npaths = [\"/secret*\"]\n";

#[test]
fn a_reload_brings_configuration_and_certificates_or_changes_nothing() {
    within(120, || {
        let Some(world) = World::start("a_reload") else { return };
        let machine = &world.machine;
        let before: Vec<u32> = Process::ALL.map(|process| machine.main_pid(&unit(process))).to_vec();
        assert_eq!(world.status_of("/secret"), 200);

        world.configure(DENY);
        let renewed = certificates::sign(&[WWW]);
        world.write_certificate(&renewed);
        machine.systemctl(&["reload", "bulkhead.service"]);
        assert_eq!(world.status_of("/secret"), 403, "the new rule is at work");
        let stream = tls::client(WWW).connect(HTTPS).expect("a handshake");
        assert_eq!(tls::certificate(&stream), renewed.der.as_ref(), "the new certificate is shown");
        tls::goodbye(stream);

        world.configure("nonsense = true\n");
        assert!(!machine.try_run("systemctl", &["reload", "bulkhead.service"]).good, "a bad file was taken");
        assert_eq!(machine.property("bulkhead.service", "ActiveState"), "active", "and nothing else has changed");
        assert_eq!(world.status_of("/secret"), 403);
        world.everything_serves();
        let after: Vec<u32> = Process::ALL.map(|process| machine.main_pid(&unit(process))).to_vec();
        assert_eq!(before, after, "a reload restarts nobody");
    });
}

#[test]
fn a_renewed_certificate_is_noticed() {
    within(120, || {
        let Some(world) = World::start("a_renewed_certificate") else { return };
        world.machine.systemctl(&["start", "bulkhead-renew.path"]);
        let renewed = certificates::sign(&[WWW]);
        world.write_certificate(&renewed);
        eventually(30, "the new certificate is shown", || {
            let stream = tls::client(WWW).connect(HTTPS).expect("a handshake");
            let shown = tls::certificate(&stream);
            tls::goodbye(stream);
            (shown == renewed.der.as_ref()).then_some(())
        });
    });
}

#[test]
fn whoever_is_killed_is_back_and_serves() {
    within(180, || {
        let Some(world) = World::start("whoever_is_killed") else { return };
        for process in Process::ALL {
            let unit = unit(process);
            let before = world.machine.main_pid(&unit);
            world.machine.systemctl(&["kill", "--signal=KILL", &unit]);
            is_back(&world, &unit, before);
            world.everything_serves();
            for socket in ["bulkhead-https.socket", "bulkhead-http.socket", "bulkhead-proxy.socket"] {
                let since = world.machine.property(socket, "ActiveEnterTimestampMonotonic");
                assert_ne!(since, "0", "{socket} is open");
            }
        }
    });
}

#[test]
fn whoever_hangs_is_killed_by_the_watchdog_and_comes_back() {
    within(180, || {
        let Some(world) = World::install("whoever_hangs") else { return };
        for process in Process::ALL {
            world.machine.drop_in(&format!("bulkhead-{process}@.service"), Some("[Service]\nWatchdogSec=1\n"));
        }
        for process in Process::ALL {
            world.machine.systemctl(&["start", &unit(process)]);
        }
        for process in Process::ALL {
            let unit = unit(process);
            let before = world.machine.main_pid(&unit);
            world.machine.systemctl(&["kill", "--signal=STOP", &unit]);
            is_back(&world, &unit, before);
            world.everything_serves();
        }
        // Who lives is fed for: nobody was killed but those that hung.
        for process in Process::ALL {
            assert_eq!(world.machine.property(&unit(process), "NRestarts"), "1", "{process}");
        }
    });
}

#[test]
fn systemd_keeps_what_a_dead_http_filter_was_answering() {
    within(120, || {
        let Some(world) = World::start("systemd_keeps") else { return };
        let unit = unit(Process::HttpFilter);
        for _ in 0..2 {
            assert_eq!(world.machine.property(&unit, "NFileDescriptorStore"), "1", "its journal");
            let (asked, before) = (world.web.bytes().len(), world.machine.main_pid(&unit));
            let slow = thread::spawn(|| http::get(&mut raw::connect(HTTP), WWW, "/sleep/3000").is_err());
            eventually(10, "the backend has the request", || (world.web.bytes().len() > asked + 20).then_some(()));
            world.machine.systemctl(&["kill", "--signal=KILL", &unit]);
            assert!(slow.join().expect("no panic"), "it died with the process");
            is_back(&world, &unit, before);
        }
        assert_eq!(world.status_of("/sleep/3000"), 500, "a query of death");
        assert_eq!(world.status_of("/sleep/3"), 200);
        world.machine.systemctl(&["restart", &unit]);
        assert_eq!(world.status_of("/sleep/3000"), 500, "the journal outlives a restart");
        let told = world.machine.journal("bulkhead-http-filter@*");
        assert!(told.contains("query of death") && told.contains("/sleep/3000"), "{told}");
        world.everything_serves();
    });
}

#[test]
fn a_crash_loop_closes_no_listener_and_ends_when_its_cause_does() {
    within(180, || {
        let Some(world) = World::start("a_crash_loop") else { return };
        let unit = unit(Process::SniRouter);
        let broken = "[Service]\nExecStart=\nExecStart=/usr/lib/bulkhead/sni-router --config /nowhere\n";
        world.machine.drop_in("bulkhead-sni-router@.service", Some(broken));
        world.machine.systemctl(&["kill", "--signal=KILL", &unit]);
        eventually(30, "it has been tried more often than systemd's start limit", || {
            world.machine.property(&unit, "NRestarts").parse::<u32>().is_ok_and(|tries| tries > 8).then_some(())
        });
        assert_eq!(world.machine.property("bulkhead-https.socket", "ActiveState"), "active");
        world.machine.drop_in("bulkhead-sni-router@.service", None);
        world.everything_serves(); // clients that come now wait in the kernel's queue
    });
}

#[test]
fn stopping_takes_everything_down_and_leaves_no_socket() {
    within(120, || {
        let Some(world) = World::start("stopping") else { return };
        world.everything_serves();
        // A request under way is answered before the processes that it needs go.
        let before = world.web.bytes().len();
        let slow = thread::spawn(|| {
            let mut stream = tls::client(WWW).connect(HTTPS).expect("a handshake");
            http::get(&mut stream, WWW, "/sleep/1500").expect("an answer").status
        });
        eventually(10, "the backend has the request", || (world.web.bytes().len() > before + 20).then_some(()));
        world.machine.systemctl(&["stop", "bulkhead.target"]);
        assert_eq!(slow.join().expect("no panic"), 200);
        // The job of the target is done at once; the others go in order, the way out last.
        eventually(30, "everything has stopped", || {
            let active = ["list-units", "--plain", "--no-legend", "--state=active,deactivating", "bulkhead*"];
            let left = world.machine.run("systemctl", &active);
            left.lines().all(|line| line.starts_with("bulkhead.slice")).then_some(())
        });
        for folder in fs::read_dir(world.machine.path("/run/bulkhead")).expect("tmpfiles.d made it").flatten() {
            assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0, "{:?}", folder.path());
        }
        assert_eq!(world.machine.journal("bulkhead*").matches("SIGKILL").count(), 0, "everybody finished in time");
        world.machine.systemctl(&["start", "bulkhead.target"]);
        for process in Process::ALL {
            world.machine.systemctl(&["start", &unit(process)]);
        }
        world.everything_serves();
    });
}

fn is_back(world: &World, unit: &str, before: u32) {
    eventually(30, &format!("{unit} is back"), || {
        let now = world.machine.main_pid(unit);
        let active = world.machine.property(unit, "ActiveState") == "active";
        (now != 0 && now != before && active).then_some(())
    });
}
