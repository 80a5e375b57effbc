//! The terminal or the pipe that `bulkhead up` writes to goes away: nobody panics, what should go on goes on, and what should end ends
//! in order and leaves nothing.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use harness::backends::Backend;
use harness::clients::{http, raw};
use harness::{World, binaries, eventually, folder, need, ports, processes, within};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// A configuration on ports that are free, with the folder that it lives in.
struct Home {
    folder: tempfile::TempDir,
    http: u16,
    _backend: Backend,
}

fn home() -> Home {
    let folder = folder::temporary();
    let (https, http, proxy) = (ports::hold(), ports::hold(), ports::hold());
    let backend = Backend::application();
    World::new("terminal").terminates(&["www.test"]).pool("app", &[backend.address()]).serves("app").write(
        folder.path(),
        https.port,
        http.port,
        proxy.port,
    );
    Home { folder, http: http.port, _backend: backend }
}

impl Home {
    fn bulkhead(&self, words: &[&str]) -> std::process::Output {
        let config = self.folder.path().join("bulkhead.toml");
        Command::new(binaries::path("bulkhead")).args(words).arg("--config").arg(config).output().unwrap()
    }

    fn pids(&self) -> Vec<u32> {
        let output = self.bulkhead(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let all = status["processes"].as_array().into_iter().flatten();
        all.filter_map(|one| u32::try_from(one["pid"].as_u64()?).ok()).collect()
    }

    fn is_served(&self) -> bool {
        let mut stream = raw::connect(([127, 0, 0, 1], self.http).into());
        http::get(&mut stream, "www.test", "/").is_ok_and(|answer| answer.status == 200)
    }

    fn sockets(&self) -> Vec<String> {
        fn below(folder: &Path, found: &mut Vec<String>) {
            for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
                match path.is_dir() {
                    true => below(&path, found),
                    false if path.extension().is_some_and(|kind| kind == "sock") => {
                        found.push(path.display().to_string())
                    }
                    false => {}
                }
            }
        }
        let mut found = Vec::new();
        below(&self.folder.path().join("run"), &mut found);
        found
    }
}

fn read_until_ready(mut from: impl Read) -> String {
    let (mut said, mut buffer) = (String::new(), [0; 4096]);
    while !said.contains("ready: ") {
        let count = from.read(&mut buffer).unwrap_or(0);
        assert!(count > 0, "it ended before it was ready: {said}");
        said.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    said
}

/// Waits for the end, which must be in order.
fn ends_well(mut child: Child, pids: &[u32], home: &Home) {
    let status = eventually(30, "the launcher ends", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0), "{status}");
    eventually(10, "all are gone", || pids.iter().all(|pid| processes::is_gone(*pid)).then_some(()));
    assert!(home.sockets().is_empty(), "{:?}", home.sockets());
}

#[test]
fn a_terminal_that_is_closed_ends_everything_in_order() {
    let name = "a_terminal_that_is_closed_ends_everything_in_order";
    if !need(name, "setsid") {
        return;
    }
    within(120, || {
        let home = home();
        // Several times, because who is asked first is a matter of luck.
        for _ in 0..3 {
            let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
            grantpt(&master).unwrap();
            unlockpt(&master).unwrap();
            let slave = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
            let slave: OwnedFd = File::options().read(true).write(true).open(slave).unwrap().into();
            let end = || Stdio::from(slave.as_fd().try_clone_to_owned().unwrap());
            let child = Command::new("setsid")
                .args(["--ctty", "--wait"])
                .arg(binaries::path("bulkhead"))
                .arg("up")
                .arg(home.folder.path().join("bulkhead.toml"))
                .stdin(end())
                .stdout(end())
                .stderr(end())
                .spawn()
                .unwrap();
            drop(slave);
            let master = File::from(master);
            read_until_ready(&master);
            let pids = home.pids();
            assert_eq!(pids.len(), 4);
            assert!(home.is_served());
            drop(master);
            ends_well(child, &pids, &home);
        }
    });
}

#[test]
fn who_reads_the_log_may_go_away() {
    within(120, || {
        let home = home();
        let mut child = Command::new(binaries::path("bulkhead"))
            .arg("up")
            .arg(home.folder.path().join("bulkhead.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        read_until_ready(child.stdout.take().unwrap());
        let pids = home.pids();
        assert_eq!(pids.len(), 4);
        drop(child.stderr.take());
        // Each request is a line that nobody can read any more.
        for _ in 0..20 {
            assert!(home.is_served());
        }
        assert_eq!(home.pids(), pids, "nobody was started again");
        // A bad reload is told to nobody either, and changes nothing.
        let config = home.folder.path().join("bulkhead.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        File::options().append(true).open(&config).unwrap().write_all(b"[nonsense]\n").unwrap();
        let launcher = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::kill(launcher, nix::sys::signal::Signal::SIGHUP).unwrap();
        assert!(home.is_served());
        std::fs::write(&config, text).unwrap();
        assert_eq!(home.pids(), pids);
        nix::sys::signal::kill(launcher, nix::sys::signal::Signal::SIGTERM).unwrap();
        ends_well(child, &pids, &home);
    });
}

#[test]
fn a_complaint_that_nobody_reads_is_still_a_failure_and_no_panic() {
    within(60, || {
        let run = |program: &str, words: &[&str]| {
            let mut child = Command::new(binaries::path(program))
                .args(words)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            drop((child.stdout.take(), child.stderr.take()));
            child.wait().unwrap().code()
        };
        assert_eq!(run("bulkhead", &["nonsense"]), Some(64));
        assert_eq!(run("bulkhead", &["check", "/nowhere.toml"]), Some(1));
        assert_eq!(run("bulkhead", &["up", "/nowhere.toml"]), Some(1));
        for process in common::process::Process::ALL {
            assert_eq!(run(process.name(), &["--nonsense"]), Some(64), "{process}");
            assert_eq!(run(process.name(), &["--config", "/nowhere.toml", "--instance", "1"]), Some(1), "{process}");
            assert_eq!(run(process.name(), &["--figures"]), Some(0), "{process}");
        }
    });
}
