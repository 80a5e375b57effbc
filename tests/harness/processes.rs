//! Processes as `/proc` shows them: who lives below whom, as whom, with which descriptors, behind which walls.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A living process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Living {
    /// Its id.
    pub pid: u32,
    /// The file name of its program.
    pub name: String,
    /// `--instance N`, else 1.
    pub instance: u32,
}

/// The direct children of a process, oldest first. Zombies are dead.
pub fn children_of(parent: u32) -> Vec<Living> {
    let pids = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut children: Vec<Living> = pids.filter_map(|pid| read(pid, parent)).collect();
    children.sort_by_key(|living| living.pid);
    children
}

fn read(pid: u32, parent: u32) -> Option<Living> {
    if field(pid, "PPid")? != parent.to_string() || field(pid, "State")?.starts_with(['Z', 'X']) {
        return None;
    }
    let line = fs::read(entry(pid, "cmdline")).ok()?;
    let words: Vec<String> =
        line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let name = Path::new(words.first()?).file_name()?.to_str()?.to_owned();
    let at = words.iter().position(|word| word == "--instance");
    let instance = at.and_then(|at| words.get(at + 1)?.parse().ok()).unwrap_or(1);
    Some(Living { pid, name, instance })
}

fn entry(pid: u32, name: &str) -> PathBuf {
    Path::new("/proc").join(pid.to_string()).join(name)
}

/// A line of `/proc/PID/status`.
pub fn field(pid: u32, name: &str) -> Option<String> {
    let status = fs::read_to_string(entry(pid, "status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(|value| value.trim().to_owned())
}

/// Whether it has ended (or is only waiting to be buried).
pub fn is_gone(pid: u32) -> bool {
    field(pid, "State").is_none_or(|state| state.starts_with(['Z', 'X']))
}

/// How many descriptors of each kind (`socket`, `pipe`, `anon_inode:[eventpoll]`, a path…) a process has. `None` where the
/// kernel does not show it to us: our processes are not dumpable, so only root sees it.
pub fn descriptors(pid: u32) -> Option<BTreeMap<String, usize>> {
    let mut kinds = BTreeMap::new();
    for descriptor in fs::read_dir(entry(pid, "fd")).ok()?.flatten() {
        let Ok(target) = fs::read_link(descriptor.path()) else { continue };
        let target = target.to_string_lossy().into_owned();
        let kind = match target.split_once(":[") {
            Some((kind @ ("socket" | "pipe"), _)) => kind.to_owned(),
            _ => target,
        };
        *kinds.entry(kind).or_default() += 1;
    }
    Some(kinds)
}

/// The identity of a namespace (`net`, `ipc`…), where we may see it.
pub fn namespace(pid: u32, kind: &str) -> Option<String> {
    Some(fs::read_link(entry(pid, "ns").join(kind)).ok()?.to_string_lossy().into_owned())
}

/// Processor time used so far, user and system, in seconds.
pub fn processor_seconds(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(entry(pid, "stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Resident memory in KiB.
pub fn resident_kib(pid: u32) -> Option<u64> {
    field(pid, "VmRSS")?.split_whitespace().next()?.parse().ok()
}
