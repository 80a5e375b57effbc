//! Which processes live below another one, read from `/proc`: what the demo shows and, after the stop, must not find any more.

use std::fs;
use std::path::Path;

/// The processes Bulkhead consists of, apart from the front door that starts them.
pub const PROCESSES: [&str; 5] = ["sni-router", "passthrough-relay", "tls-terminator", "http-filter", "forward-proxy"];

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Living {
    /// Its id.
    pub pid: u32,
    /// The id of the process that started it.
    pub parent: u32,
    /// The file name of its program.
    pub name: String,
    /// Its effective user id.
    pub uid: u32,
}

/// The direct children of a process, oldest id first; empty where `/proc` cannot be read.
#[must_use]
pub fn children_of(parent: u32) -> Vec<Living> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut children: Vec<_> = pids.filter_map(read).filter(|living| living.parent == parent).collect();
    children.sort_by_key(|living| living.pid);
    children
}

/// True if this very process (not another that got its id) still lives.
#[must_use]
pub fn lives(living: &Living) -> bool {
    read(living.pid).is_some_and(|now| now.name == living.name)
}

/// None if it has ended; a zombie has ended too.
fn read(pid: u32) -> Option<Living> {
    let folder = Path::new("/proc").join(pid.to_string());
    let status = fs::read_to_string(folder.join("status")).ok()?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    if field("State")?.starts_with(['Z', 'X']) {
        return None;
    }
    let parent = field("PPid")?.parse().ok()?;
    let uid = field("Uid")?.split_whitespace().nth(1)?.parse().ok()?;
    // `Name` is cut off after 15 bytes; the command line has the whole.
    let command = fs::read(folder.join("cmdline")).unwrap_or_default();
    let program = String::from_utf8_lossy(command.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned();
    let name = program.rsplit('/').next().filter(|name| !name.is_empty()).or(field("Name"))?.to_owned();
    Some(Living { pid, parent, name, uid })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_child_is_found_with_its_name_and_then_gone() {
        let mut child = Command::new("sleep").arg("60").stdout(Stdio::null()).spawn().unwrap();
        // Until exec it bears our own name.
        let found = std::iter::repeat_with(|| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            children_of(std::process::id()).into_iter().find(|living| living.pid == child.id())
        });
        let living = found.take(400).flatten().find(|living| living.name == "sleep").unwrap();
        assert_eq!(living.uid, nix::unistd::geteuid().as_raw());
        assert!(lives(&living));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!lives(&living));
    }
}
