//! Takes a service's memory away, so that the kernel's own out-of-memory killer ends it: by `MemoryMax=` where the machine has the memory
//! controller (cgroup v2), otherwise from outside, by a group of the host's memory hierarchy (cgroup v1) into which its main process is
//! moved. Both are the same killer with the same limit; what differs is only who sets it.

use std::fs;
use std::path::{Path, PathBuf};

use harness::eventually;

use crate::machine::Machine;

/// Where the kernel keeps the limit.
#[derive(Debug)]
pub enum Memory {
    /// `MemoryMax=` of the unit.
    Unit,
    /// This folder, a group of the host's own.
    Host(PathBuf),
}

/// Below what any of ours has, so that the next page is one too many.
pub const LIMIT: &str = "64K";
/// The hierarchy of cgroup v1.
const HIERARCHY: &str = "/sys/fs/cgroup/memory";

impl Memory {
    /// `None`: there is no memory controller in either way.
    pub fn of(machine: &Machine) -> Option<Self> {
        let controllers = fs::read_to_string(machine.path("/sys/fs/cgroup/cgroup.controllers"));
        if controllers.is_ok_and(|controllers| controllers.split_whitespace().any(|name| name == "memory")) {
            return Some(Self::Unit);
        }
        let group = Path::new(HIERARCHY).join(format!("bulkhead-units-{}", std::process::id()));
        fs::create_dir(&group).ok()?;
        Some(Self::Host(group))
    }

    /// For the document: who set the limit.
    pub fn words(&self) -> &'static str {
        match self {
            Self::Unit => "`MemoryMax=` of its unit",
            Self::Host(_) => {
                "a group of cgroup v1 into which the test moved it, for want of the memory controller of cgroup v2"
            }
        }
    }

    /// Takes it away from the main process of a service, and waits until that has been killed for it.
    pub fn runs_out(&self, machine: &Machine, unit: &str) {
        let pid = machine.main_pid(unit);
        let gone = || eventually(30, "it is gone", || (machine.main_pid(unit) != pid).then_some(()));
        match self {
            Self::Unit => {
                machine.systemctl(&["set-property", "--runtime", unit, &format!("MemoryMax={LIMIT}")]);
                gone();
                machine.systemctl(&["set-property", "--runtime", unit, "MemoryMax=infinity"]);
            }
            Self::Host(group) => {
                let before = kills(group);
                fs::write(group.join("memory.limit_in_bytes"), LIMIT).expect("root may");
                machine.enter_group(pid, group);
                gone();
                assert_eq!(kills(group), before + 1, "it was the kernel's killer that ended {unit}");
            }
        }
    }
}

/// Processes of the group that were killed for want of memory.
fn kills(group: &Path) -> u32 {
    let told = fs::read_to_string(group.join("memory.oom_control")).expect("our own group");
    let kills = told.lines().find_map(|line| line.strip_prefix("oom_kill "));
    kills.and_then(|kills| kills.trim().parse().ok()).expect("Linux 4.13 or later")
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Self::Host(group) = self {
            let _ = fs::remove_dir(group); // empty: whoever was in it is dead
        }
    }
}
