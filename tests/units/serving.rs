//! The units as shipped: they verify, boot and serve, and every wall of every process stands.

use std::fs;

use common::process::Process;
use harness::clients::{http, raw};
use harness::{certificates, within};

use crate::machine::Machine;
use crate::unit_file;
use crate::world::{HTTP, SECURE, World, instance, unit};

#[test]
fn every_unit_serves_and_every_wall_stands() {
    within(120, || {
        let Some(world) = World::start("every_unit_serves") else { return };
        world.everything_serves();
        let status = world.bulkhead(&["status"]);
        for process in Process::ALL {
            let line = status.lines().find(|line| line.starts_with(process.name()) && line.contains("holds"));
            assert!(line.is_some_and(|line| line.contains("serving")), "{process}:\n{status}");
            let text = world.machine.property(&unit(process), "StatusText");
            assert!(text.starts_with("sandbox: 9 of 9 layers hold"), "{process}: systemctl status shows {text:?}");
        }
        let sandbox = world.bulkhead(&["sandbox"]); // an error if any wall has a gap
        assert_eq!(sandbox.matches("every wall stands").count(), Process::ALL.len(), "{sandbox}");
        for process in Process::ALL {
            let exposure = if process == Process::PassthroughRelay { "1.0" } else { "0.2" };
            assert!(sandbox.contains(&format!("  {process}@1  {exposure}\n")), "{process}: {sandbox}");
        }
        let journal = world.machine.journal("bulkhead*");
        let complaints: Vec<&str> =
            journal.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ")).collect();
        assert!(complaints.is_empty(), "{complaints:#?}");
    });
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    within(60, || {
        let Some(world) = World::install("systemd_finds_nothing_wrong") else { return };
        // `verify` exits with 0 on keys and system calls it does not know: what it prints is what counts.
        for name in unit_file::names() {
            let name = name.replace('@', "@1");
            let came = world.machine.try_run("systemd-analyze", &["verify", &name]);
            assert!(came.good && came.text.trim().is_empty(), "{name}: {}", came.text);
        }
        // The examples, each where its first lines say it belongs.
        for entry in fs::read_dir(unit_file::folder().join("examples")).expect("examples are there").flatten() {
            let text = fs::read_to_string(entry.path()).expect("a text");
            let place = text.split_whitespace().find(|word| word.starts_with("/etc/systemd/system/"));
            let place = place.unwrap_or_else(|| panic!("{:?} does not say where it belongs", entry.path()));
            world.machine.write(place, &text);
            world.machine.systemctl(&["daemon-reload"]);
            let unit = place.trim_start_matches("/etc/systemd/system/").split(".d/").next().expect("a name");
            let came = world.machine.try_run("systemd-analyze", &["verify", &unit.replace("@.", "@1.")]);
            assert!(came.good && came.text.trim().is_empty(), "{place}: {}", came.text);
        }
    });
}

#[test]
fn a_bad_configuration_starts_nothing_and_says_why() {
    within(60, || {
        let Some(world) = World::install("a_bad_configuration") else { return };
        world.configure("[[http-filter.access]]\nname = \"x\"\nactoin = \"deny\"\n");
        let machine: &Machine = &world.machine;
        machine.systemctl(&["start", "--no-block", "bulkhead.target"]);
        harness::eventually(30, "the check fails", || {
            (machine.property("bulkhead.service", "ActiveState") == "failed").then_some(())
        });
        assert!(machine.journal("bulkhead.service").contains("actoin"), "{}", machine.journal("bulkhead.service"));
        for process in Process::ALL {
            assert_eq!(machine.main_pid(&unit(process)), 0, "{process} was started with a bad configuration");
        }
    });
}

#[test]
fn a_listener_that_is_not_enabled_stays_closed_and_the_process_says_what_to_do() {
    within(60, || {
        let Some(world) = World::install("a_listener_that_is_not_enabled") else { return };
        world.machine.systemctl(&["--quiet", "disable", "bulkhead-http.socket"]);
        let came = world.machine.try_run("systemctl", &["start", &unit(Process::SniRouter)]);
        assert!(!came.good, "sni-router serves without a socket of its configuration");
        let journal = world.machine.journal(&unit(Process::SniRouter));
        assert!(journal.contains("'listen-http'") && journal.contains("enable the .socket unit"), "{journal}");
        assert_eq!(world.machine.property("bulkhead-http.socket", "ActiveState"), "inactive");
        assert_eq!(world.machine.property("bulkhead-https.socket", "ActiveState"), "active", "the other is open");
    });
}

#[test]
fn an_instance_may_have_a_user_and_a_cgroup_of_its_own() {
    within(120, || {
        let Some(world) = World::start("an_instance_may_have_a_user") else { return };
        let example = fs::read_to_string(unit_file::folder().join("examples/own-user.conf")).expect("an example");
        world.machine.write("/etc/systemd/system/bulkhead-http-filter@2.service.d/own-user.conf", &example);
        world.machine.write("/etc/sysusers.d/bulkhead-tenant-a.conf", "u bulkhead-tenant-a -\n");
        world.machine.run("systemd-sysusers", &[]);
        world.machine.systemctl(&["daemon-reload"]);
        let own = instance(Process::HttpFilter, 2);
        world.machine.systemctl(&["start", &own]);
        world.machine.systemctl(&["stop", &unit(Process::HttpFilter)]);
        world.everything_serves();
        let status = fs::read_to_string(world.machine.proc(&own, "status")).expect("it lives");
        let user = world.machine.run("id", &["-u", "bulkhead-tenant-a"]);
        let line = status.lines().find(|line| line.starts_with("Uid:")).expect("every process has a user");
        assert_eq!(line.split_whitespace().nth(1), Some(user.trim()));
        let group = world.machine.property(&own, "ControlGroup");
        assert!(group.contains("bulkhead.slice/bulkhead-tenanta.slice/"), "{group}");
    });
}

#[test]
fn two_routers_share_the_listeners() {
    within(120, || {
        let Some(world) = World::start("two_routers") else { return };
        let second = instance(Process::SniRouter, 2);
        world.machine.systemctl(&["start", &second]);
        world.machine.systemctl(&["stop", &unit(Process::SniRouter)]);
        assert_eq!(world.machine.property("bulkhead-https.socket", "ActiveState"), "active");
        world.everything_serves();
        assert_ne!(world.machine.main_pid(&second), 0);
        assert_eq!(world.machine.main_pid(&unit(Process::SniRouter)), 0, "nobody started the first one again");
    });
}

/// Rule files are read by the process itself, before its sandbox closes: its unit has to show where distributions and operators put
/// them, and a reload brings them although the process sees nothing any more.
#[test]
fn rule_files_are_known_to_http_filter() {
    within(120, || {
        let Some(world) = World::install("rule_files_are_known") else { return };
        let rule = |id: u32| format!("SecRule ARGS \"@pmFromFile words.data\" \"id:{id},phase:2,pass,nolog\"\n");
        for (path, text) in [
            (
                "/usr/share/modsecurity-crs/bulkhead-test/a.load",
                "Include /etc/modsecurity/bulkhead-test/*.conf\n".to_owned(),
            ),
            ("/etc/modsecurity/bulkhead-test/b.conf", rule(1)),
            ("/etc/modsecurity/bulkhead-test/words.data", "word\n".to_owned()),
            ("/etc/bulkhead/crs/rules/c.conf", rule(2)),
            ("/etc/bulkhead/crs/rules/words.data", "word\n".to_owned()),
        ] {
            world.machine.write(path, &text);
        }
        world.configure(
            "\n[http-filter.web-attacks]\nmode = \"detect\"\nrules = [\"/usr/share/modsecurity-crs/bulkhead-test/a.load\", \
             \"crs/rules/*.conf\"]\n",
        );
        world.machine.systemctl(&["start", "bulkhead.target"]);
        world.everything_serves();
        world.machine.write("/etc/bulkhead/crs/rules/d.conf", &rule(3));
        world.machine.systemctl(&["reload", "bulkhead"]);
        world.everything_serves();
        world.machine.write("/etc/bulkhead/crs/rules/e.conf", "Include missing.conf\n");
        let refused = world.machine.try_run("systemctl", &["reload", "bulkhead"]);
        let why = world.machine.journal("bulkhead.service");
        assert!(!refused.good && why.contains("e.conf:1 names /etc/bulkhead/crs/rules/missing.conf"), "{why}");
        world.everything_serves();
    });
}

/// A pool over TLS that names no authority asks those of the system, whose file the unit has to show.
#[test]
fn the_authorities_of_the_system_are_known_to_http_filter() {
    within(120, || {
        let Some(world) = World::install("the_authorities_of_the_system") else { return };
        world.machine.write("/etc/ssl/certs/ca-certificates.crt", &certificates::authority_pem());
        let server = world.secure.address().to_string();
        world.configure(&format!(
            "\n[[pool]]\nname = \"tls\"\nservers = \"{server}\"\nprotocol = \"https\"\ntls = {{ server_name = \"{SECURE}\" }}\n\
             [[http-filter.route]]\nname = \"tls\"\nhosts = \"tls.test\"\npool = \"tls\"\n"
        ));
        world.machine.systemctl(&["start", "bulkhead.target"]);
        let answer = http::get(&mut raw::connect(HTTP), "tls.test", "/").expect("an answer");
        assert_eq!(answer.status, 200, "{}\n{}", answer.head, world.machine.journal("bulkhead-http-filter*"));
    });
}
