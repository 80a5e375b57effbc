//! The launcher with real processes, sockets and signals. `component.rs` stands in for the five: it starts, jails itself and
//! answers control as they do, and fails on command. Works as root (every process gets a user of its own) and as an ordinary
//! user.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod scaling;
mod world;

use std::time::{Duration, Instant};

use world::{World, client, dead, eventually};

const PROCESSES: [&str; 4] = ["forward-proxy", "http-filter", "passthrough-relay", "sni-router"];

#[test]
fn a_whole_life() {
    let world = World::new();
    let mut launcher = world.up();
    let ready = launcher.ready();
    assert!(ready.contains("4 processes serve") && ready.contains(&format!("127.0.0.1:{}", world.web)), "{ready}");

    let status = world.status();
    let names: Vec<&str> = status.iter().map(|one| one["process"].as_str().unwrap()).collect();
    assert_eq!(names, ["sni-router", "passthrough-relay", "http-filter", "forward-proxy"]);
    for one in &status {
        let edges = |figure: &str| one["figures"][figure].as_u64().unwrap();
        // A letter box counts as 16 receivers.
        let (reached, received) = match one["process"].as_str().unwrap() {
            "sni-router" => (1, 0),
            "passthrough-relay" => (16, 2 + 1),
            name => (1 + 16, u64::from(name == "http-filter") + 1),
        };
        assert_eq!((edges("edges_reached"), edges("sockets_received")), (reached, received), "{one}");
    }
    world.permissions_are_tight();
    let table = world.bulkhead(&["status", world.config()]);
    assert!(table.status.success(), "{table:?}");
    assert_eq!(String::from_utf8_lossy(&table.stdout).lines().count(), if world.walls_hold() { 5 } else { 6 });

    let pids = world.pids();
    let greeting = client(world.web);
    assert_eq!(greeting, format!("{} true", pids["sni-router"]), "its pid, and TCP_NODELAY from the listener");
    assert!(client(world.out).starts_with(&pids["forward-proxy"].to_string()));

    launcher.terminate();
    let end = launcher.wait(Duration::from_secs(10));
    assert_eq!(end.code(), Some(0), "{}", launcher.log());
    assert!(pids.values().all(|pid| dead(*pid)), "{}", launcher.log());
    assert!(!world.runtime_dir.exists(), "nothing is left");
    let log = launcher.log();
    let place = |name: &str| log.find(&format!("{name}@1 finished: exit code 0")).expect(&log);
    assert!(place("sni-router") < place("http-filter") && place("forward-proxy") < place("http-filter"), "{log}");
    assert!(place("http-filter") < place("passthrough-relay"), "{log}");
}

#[test]
fn a_killed_process_comes_back_on_the_same_sockets_and_no_client_is_refused() {
    let world = World::new();
    let mut launcher = world.up();
    launcher.ready();
    let before = world.pids();
    for name in PROCESSES {
        world::kill(before[name]);
    }
    // At once: the listener never closes, so this waits for the next incarnation instead of being refused.
    let greeting = client(world.web);
    assert!(!greeting.starts_with(&before["sni-router"].to_string()) && !greeting.is_empty(), "{greeting}");
    eventually("all four to come back", || {
        let now = world.pids();
        PROCESSES.iter().all(|name| now.get(*name).is_some_and(|pid| *pid != before[*name]))
    });
    for name in PROCESSES {
        launcher.expect_line(&format!("{name}@1 ended with signal 9 (SIGKILL) after"));
        launcher.expect_line(&format!("{name}@1 serves again after"));
    }
    let figures = world.status();
    let router = figures.iter().find(|one| one["process"] == "sni-router").unwrap();
    assert_eq!(router["figures"]["edges_reached"], 1, "the edges are the same: {router}");
    launcher.terminate();
    assert_eq!(launcher.wait(Duration::from_secs(10)).code(), Some(0));
}

#[test]
fn a_crash_loop_is_told_slows_down_and_costs_the_others_nothing() {
    let world = World::new();
    let mut launcher = world.up();
    launcher.ready();
    let before = world.pids();
    world.behaves("http-filter", "exit 3");
    world::kill(before["http-filter"]);
    launcher.expect_line("http-filter@1 keeps ending: 5 times in a row, now with exit code 3");
    launcher.expect_line("next try in 800 ms");
    let status = world.bulkhead(&["status", world.config()]);
    assert_eq!(status.status.code(), Some(1));
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(text.lines().any(|line| line.starts_with("http-filter") && line.contains("SILENT")), "{text}");
    let told = text.lines().find(|line| line.starts_with("http-filter@1 keeps ending: ")).expect(&text);
    assert!(told.contains("times in a row, last with exit code 3"), "{told}");
    let looping = world.status().into_iter().find(|one| one["process"] == "http-filter").unwrap();
    assert!(looping["keeps_ending"]["ended_in_a_row"].as_u64() >= Some(5), "{looping}");
    assert!(client(world.web).starts_with(&before["sni-router"].to_string()), "the others go on");
    world.behaves("http-filter", "");
    launcher.expect_line("http-filter@1 serves again");
    let text = String::from_utf8_lossy(&world.bulkhead(&["status", world.config()]).stdout).into_owned();
    assert!(text.contains("http-filter@1 keeps ending"), "it is told until it has lived for a while: {text}");
    launcher.terminate();
    assert_eq!(launcher.wait(Duration::from_secs(10)).code(), Some(0));
    assert!(!world.runtime_dir.exists(), "the note is gone");
}

#[test]
fn who_leaves_without_having_been_told_to_crashes() {
    for (behaviour, ending) in [("leave 120", "exit code 1"), ("vanish 120", "exit code 0")] {
        let world = World::new();
        let mut launcher = world.up();
        launcher.ready();
        world.behaves("http-filter", behaviour);
        world::kill(world.pids()["http-filter"]);
        launcher.expect_line(&format!("http-filter@1 keeps ending: 4 times in a row, now with {ending}"));
        let text = String::from_utf8_lossy(&world.bulkhead(&["status", world.config()]).stdout).into_owned();
        assert!(text.contains(&format!("times in a row, last with {ending}")), "{text}");
        launcher.terminate();
        assert_eq!(launcher.wait(Duration::from_secs(10)).code(), Some(0));
    }
}

#[test]
fn a_process_that_cannot_start_ends_the_launch_and_leaves_nothing() {
    let world = World::new();
    world.behaves("http-filter", "exit 3");
    let mut launcher = world.up();
    assert_eq!(launcher.wait(Duration::from_secs(20)).code(), Some(1));
    let log = launcher.log();
    assert!(log.contains("http-filter@1 ended 3 times before it served, the last time with exit code 3"), "{log}");
    assert!(!world.runtime_dir.exists());
    std::net::TcpListener::bind(("127.0.0.1", world.web)).expect("the port is free again");
}

#[test]
fn the_children_of_a_killed_launcher_die_and_the_next_one_takes_over() {
    the_launcher_is_killed(&World::new());
    if nix::unistd::geteuid().is_root() {
        the_launcher_is_killed(&World::of_user(64_322)); // the kernel asks who may signal whom
    }
}

fn the_launcher_is_killed(world: &World) {
    let mut launcher = world.up();
    launcher.ready();
    let pids = world.pids();
    assert_eq!(pids.len(), 4);
    launcher.kill();
    eventually("all children to die", || pids.values().all(|pid| dead(*pid)));
    assert!(world.runtime_dir.join("control/sni-router-1.sock").exists(), "nobody could clear up");
    let mut next = world.up();
    next.ready();
    assert_eq!(world.pids().len(), 4);
    next.terminate();
    assert_eq!(next.wait(Duration::from_secs(10)).code(), Some(0));
    assert!(!world.runtime_dir.join("control").exists() && !world.runtime_dir.join("launcher.lock").exists());
}

#[test]
fn two_launchers_do_not_share_a_directory() {
    let world = World::new();
    let mut launcher = world.up();
    launcher.ready();
    let other = world.another_on_other_ports();
    let refused = world.bulkhead(&["up", &other]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1));
    assert!(text.contains(&format!("in use by another `bulkhead up` (pid {})", launcher.pid())), "{text}");
    assert_eq!(world.pids().len(), 4, "the first one is unharmed");
    launcher.terminate();
    assert_eq!(launcher.wait(Duration::from_secs(10)).code(), Some(0));
}

#[test]
fn a_port_in_use_is_named_with_who_holds_it_and_nothing_starts() {
    let world = World::new();
    let _holder = std::net::TcpListener::bind(("127.0.0.1", world.out)).unwrap();
    let refused = world.bulkhead(&["up", world.config()]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1));
    assert!(text.contains(&format!("listener out 127.0.0.1:{} cannot be opened", world.out)), "{text}");
    assert!(text.contains(&format!("(pid {}) listens there", std::process::id())), "{text}");
    assert!(!world.runtime_dir.exists() && refused.stdout.is_empty());
}

#[test]
fn a_writable_runtime_directory_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    std::fs::create_dir(&world.runtime_dir).unwrap();
    std::fs::set_permissions(&world.runtime_dir, std::fs::Permissions::from_mode(0o777)).unwrap();
    let refused = world.bulkhead(&["up", world.config()]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1));
    assert!(text.contains("others may write into it"), "{text}");
    assert_eq!(std::fs::read_dir(&world.runtime_dir).unwrap().count(), 0);
}

#[test]
fn who_does_not_stop_is_killed_in_time_and_a_second_signal_hurries() {
    let world = World::new();
    world.behaves("http-filter", "stay");
    let mut launcher = world.up();
    launcher.ready();
    let began = Instant::now();
    launcher.terminate();
    assert_eq!(launcher.wait(Duration::from_secs(15)).code(), Some(0));
    assert!(began.elapsed() > Duration::from_secs(4), "it had its time: {:?}", began.elapsed());
    launcher.expect_line("http-filter@1 did not finish within 5s and must be killed");
    assert!(!world.runtime_dir.exists());

    world.behaves("sni-router", "stay");
    let mut launcher = world.up();
    launcher.ready();
    let began = Instant::now();
    launcher.terminate();
    launcher.expect_line("SIGTERM: stopping");
    launcher.terminate();
    assert_eq!(launcher.wait(Duration::from_secs(10)).code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert!(!world.runtime_dir.exists());
}

#[test]
fn ctrl_c_before_everybody_serves_stops_cleanly() {
    let world = World::new();
    world.behaves("http-filter", "mute");
    let mut launcher = world.up();
    launcher.expect_line("http-filter@1: serving");
    launcher.interrupt();
    launcher.expect_line("SIGINT: stopping before everybody served");
    launcher.interrupt();
    assert_eq!(launcher.wait(Duration::from_secs(10)).code(), Some(0), "{}", launcher.log());
    assert!(!world.runtime_dir.exists());
}

#[test]
fn the_sandbox_report_of_every_process_is_shown() {
    let world = World::new();
    let mut launcher = world.up();
    launcher.ready();
    let report = world.bulkhead(&["sandbox", world.config()]);
    let text = String::from_utf8_lossy(&report.stdout).into_owned();
    for name in PROCESSES {
        assert!(text.lines().any(|line| line.starts_with(&format!("{name}  pid "))), "{text}");
    }
    assert!(text.contains("forbidden acts") && text.contains("read /etc/shadow"), "{text}");
    assert_eq!(report.status.success(), world.walls_hold(), "{text}\n{}", String::from_utf8_lossy(&report.stderr));
    let directory = world.runtime_dir.to_str().unwrap();
    let same = world.bulkhead(&["sandbox", "--runtime-dir", directory]);
    assert_eq!(same.status.code(), report.status.code());
    launcher.terminate();
    assert_eq!(launcher.wait(Duration::from_secs(10)).code(), Some(0));
    let nobody = world.bulkhead(&["status", "--runtime-dir", directory]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("no bulkhead runs in"));
}

#[test]
fn check_says_what_would_run_and_repeats_what_a_component_has_against_it() {
    let world = World::new();
    let good = world.bulkhead(&["check", world.config()]);
    let text = String::from_utf8_lossy(&good.stdout).into_owned();
    assert!(good.status.success(), "{good:?}");
    assert!(text.starts_with("ok: ") && text.contains("4 processes") && text.contains("sni-router × 1"), "{text}");
    assert!(!world.runtime_dir.exists());

    world.behaves("http-filter", "refuse the rule 'x' has no end");
    for verb in ["check", "up"] {
        let bad = world.bulkhead(&[verb, world.config()]);
        let text = String::from_utf8_lossy(&bad.stderr).into_owned();
        assert_eq!(bad.status.code(), Some(1));
        assert!(text.contains("http-filter:\nerror: the rule 'x' has no end"), "{text}");
        assert!(bad.stdout.is_empty() && !world.runtime_dir.exists());
    }
    std::fs::write(world.config(), "[sni-router]\nintsances = 1\n").unwrap();
    let bad = world.bulkhead(&["check", world.config()]);
    let text = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert!(bad.status.code() == Some(1) && text.contains("intsances") && text.contains("instances"), "{text}");
    std::fs::write(world.config(), "").unwrap();
    let empty = world.bulkhead(&["check", world.config()]);
    assert!(String::from_utf8_lossy(&empty.stderr).contains("no listener"), "{empty:?}");
}

#[test]
fn no_port_listens_before_everybody_has_agreed() {
    let world = World::new();
    world.behaves("http-filter", "ponder");
    let mut launcher = world.up();
    eventually("the others to have agreed", || world.opened() == 3);
    for port in [world.web, world.out] {
        let error = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_ok(), "bound, but it does not listen");
    }
    assert!(world.pids().is_empty(), "nobody serves");
    world.behaves("http-filter", "");
    launcher.ready();
    assert!(client(world.web).ends_with("true"));
    let before = world.pids();
    world::kill(before["http-filter"]); // whoever comes back has nobody to agree with
    launcher.expect_line("http-filter@1 serves again after");
    launcher.terminate();
    assert_eq!(launcher.wait(Duration::from_secs(10)).code(), Some(0));
}

#[test]
fn if_one_refuses_nobody_has_served_and_all_complaints_are_told_once() {
    let world = World::new();
    world.behaves("http-filter", "ponder");
    world.behaves("forward-proxy", "refuse users cannot be read\nerror: and one more");
    let mut launcher = world.up();
    eventually("the others to have agreed", || world.opened() == 2);
    world.behaves("http-filter", "refuse the rule 'x' has no end");
    assert_eq!(launcher.wait(Duration::from_secs(20)).code(), Some(1));
    let log = launcher.log();
    let expected = "http-filter:\nerror: the rule 'x' has no end\nforward-proxy:\nerror: users cannot be read\nerror: and one more\n";
    assert_eq!(log.trim_end(), expected.trim_end(), "that and nothing else");
    assert!(!world.runtime_dir.exists());
}

#[test]
fn a_file_that_changes_between_two_readers_starts_nothing() {
    let world = World::new();
    world.behaves("sni-router", "edit");
    let mut launcher = world.up();
    assert_eq!(launcher.wait(Duration::from_secs(20)).code(), Some(1));
    assert!(launcher.log().contains("was changed while it was judged; nothing was started"), "{}", launcher.log());
    assert!(!world.runtime_dir.exists());
}

#[test]
fn a_missing_program_is_named() {
    let world = World::new();
    let alone = world.folder().join("alone");
    std::fs::create_dir(&alone).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_bulkhead"), alone.join("bulkhead")).unwrap();
    let output = std::process::Command::new(alone.join("bulkhead")).args(["check", world.config()]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("`passthrough-relay` is not in") && text.contains("cargo build"), "{text}");
}

#[test]
fn an_ordinary_user_can_do_all_this_and_root_may_ask() {
    if !nix::unistd::geteuid().is_root() {
        return; // then every other test here is this one
    }
    let world = World::of_user(64_321);
    let mut launcher = world.up();
    launcher.ready();
    assert!(client(world.web).ends_with("true"));
    world.permissions_are_tight();
    let pids = world.pids(); // asked by root
    assert_eq!(pids.len(), 4);
    for pid in pids.values() {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        assert!(status.lines().any(|line| line.starts_with("Uid:") && line.contains("64321")), "{status}");
    }
    launcher.terminate();
    assert_eq!(launcher.wait(Duration::from_secs(10)).code(), Some(0), "{}", launcher.log());
    assert!(!world.runtime_dir.exists());
}

#[test]
fn what_cannot_be_understood_is_answered_with_the_usage_and_64() {
    let world = World::new();
    for words in [&["upp"][..], &[], &["up"], &["status", "--jsom"]] {
        let output = world.bulkhead(words);
        assert_eq!(output.status.code(), Some(64), "{words:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("bulkhead up CONFIG"));
    }
    let explained = world.bulkhead(&["explain", "log.level"]);
    assert!(explained.status.success() && String::from_utf8_lossy(&explained.stdout).contains("allowed:"));
    assert_eq!(world.bulkhead(&["explain", "log.levle"]).status.code(), Some(1));
}
