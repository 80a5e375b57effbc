//! Who holds a port, for an error message. Reads `/proc` (proc(5)): what it does not say is not known.

use std::fs;

/// State `TCP_LISTEN` in the kernel's tables.
const LISTEN: &str = "0A";
/// Processes that are looked at; beyond that the name is not worth the time.
const MOST_PROCESSES: usize = 20_000;

/// `nginx (pid 12)`, if we may see it.
pub fn of(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let sockets: Vec<String> = tables.iter().flat_map(|table| listening(table, port)).collect();
    if sockets.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.flatten().take(MOST_PROCESSES);
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.into_iter().find(|pid| holds(*pid, &sockets)).map(|pid| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        format!("{} (pid {pid})", name.trim())
    })
}

/// The listening sockets of a port as `/proc/*/fd` spells them. Pure.
fn listening(table: &str, port: u16) -> Vec<String> {
    let ending = format!(":{port:04X}");
    let lines = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<&str>>());
    lines
        .filter_map(|fields| match (fields.get(1), fields.get(3), fields.get(9)) {
            (Some(local), Some(&LISTEN), Some(inode)) if local.ends_with(&ending) => Some(format!("socket:[{inode}]")),
            _ => None,
        })
        .collect()
}

fn holds(pid: u32, sockets: &[String]) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let mut links = descriptors.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    links.any(|link| link.to_str().is_some_and(|link| sockets.iter().any(|socket| socket == link)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn our_own_listener_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let owner = of(listener.local_addr().unwrap().port()).unwrap();
        assert!(owner.contains(&format!("(pid {})", std::process::id())), "{owner}");
    }

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0\n\
            1: 0100007F:1F90 0100007F:AAAA 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0\n\
            2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0\n\
            torn line\n";
        assert_eq!(listening(table, 8080), ["socket:[4711]"]);
    }
}
