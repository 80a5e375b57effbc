//! What every world must leave behind: as many open descriptors in each process as before, no panic in the log, a clean
//! exit of the launcher, no process. Asserted when a [`World`] is dropped, so no test can forget it.

use std::thread;
use std::time::{Duration, Instant};

use common::process::Process;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use tempfile::TempDir;

use super::{Descriptors, World};
use crate::limits::forget_group;
use crate::processes;

/// How long processes may take to let go of what clients have left.
const SETTLE: Duration = Duration::from_secs(3);
/// How long a stop may take.
const STOP: Duration = Duration::from_secs(15);
/// The relay keeps up to 16 empty pipes for later, two descriptors each (`splice_pipes`).
const POOLED_PIPES: usize = 2 * 16;

impl World {
    /// Notes what is open now; called when everything serves.
    pub(super) fn note_descriptors(&mut self) {
        let end = Instant::now() + SETTLE;
        let mut last = self.all_descriptors();
        // The processes are still opening channels to each other.
        while Instant::now() < end {
            thread::sleep(Duration::from_millis(60));
            let now = self.all_descriptors();
            if now == last {
                break;
            }
            last = now;
        }
        self.before = last;
    }

    fn all_descriptors(&self) -> Option<Descriptors> {
        let of_each = self.processes().into_iter();
        of_each.map(|living| Some(((living.name, living.instance), processes::descriptors(living.pid)?))).collect()
    }

    /// Asserts that every process holds what it held at the beginning, with a moment of patience.
    ///
    /// # Panics
    /// When one holds more, or fewer.
    pub fn assert_descriptors(&self) {
        let Some(before) = &self.before else {
            return; // stopped under load, or only root may look
        };
        let end = Instant::now() + SETTLE;
        loop {
            let differences = self.all_descriptors().map_or_else(Vec::new, |now| differences(before, &now));
            if differences.is_empty() {
                return;
            }
            assert!(Instant::now() < end, "{}: descriptors leak: {differences:?}", self.name);
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops it and asserts everything there is to assert; also done by dropping it.
    pub fn stop(mut self) {
        self.leave();
    }

    /// The same; the folder stays until the returned value is dropped.
    pub fn stop_keeping_folder(mut self) -> TempDir {
        self.leave();
        std::mem::replace(&mut self.folder, crate::folder::temporary())
    }

    /// The same while clients are still being served, so that descriptors cannot be compared.
    pub fn stop_without_counting(mut self) {
        self.before = None;
        self.leave();
    }

    fn leave(&mut self) {
        self.ended = true;
        self.assert_descriptors();
        let group = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        kill(group, Signal::SIGTERM).expect("the launcher lives");
        let end = Instant::now() + STOP;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                break status;
            }
            if Instant::now() > end {
                self.put_down();
                panic!("{}: bulkhead up did not stop within {} s", self.name, STOP.as_secs());
            }
            thread::sleep(Duration::from_millis(10));
        };
        let left = !matches!(killpg(group, None), Err(Errno::ESRCH));
        self.put_down();
        assert!(status.success(), "{}: bulkhead up ended with {status}", self.name);
        assert!(!left, "{}: bulkhead up left a process behind", self.name);
        let panics: Vec<String> = self.log.lines().into_iter().filter(|line| line.contains("panicked at")).collect();
        assert!(panics.is_empty(), "{}: {panics:?}", self.name);
    }

    /// Whatever happened: nothing stays.
    fn put_down(&mut self) {
        let group = i32::try_from(self.child.id()).expect("a pid");
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        let _ = self.child.wait();
        forget_group(group);
    }

    fn print_log(&self) {
        let lines = self.log.lines();
        eprintln!("---- the last of {} lines of the world '{}':", lines.len(), self.name);
        lines.iter().rev().take(120).rev().for_each(|line| eprintln!("  {line}"));
        if let Ok(config) = std::fs::read_to_string(self.config()) {
            eprintln!("---- its configuration:\n{config}");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if thread::panicking() {
            self.print_log();
            self.put_down();
            return;
        }
        let left = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.leave()));
        if let Err(panic) = left {
            self.print_log();
            self.put_down();
            std::panic::resume_unwind(panic);
        }
    }
}

fn differences(before: &Descriptors, now: &Descriptors) -> Vec<String> {
    let mut found = Vec::new();
    for (who, kinds) in before {
        let Some(other) = now.get(who) else {
            found.push(format!("{}@{} does not live", who.0, who.1));
            continue;
        };
        let mut names: Vec<&String> = kinds.keys().chain(other.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let (had, has) = (kinds.get(name).copied().unwrap_or(0), other.get(name).copied().unwrap_or(0));
            let pooled = who.0 == Process::PassthroughRelay.name() && name == "pipe";
            if if pooled { has > had + POOLED_PIPES } else { has != had } {
                found.push(format!("{}@{}: {name}: {had} before, {has} after", who.0, who.1));
            }
        }
    }
    found
}
