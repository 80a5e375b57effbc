//! docs/who-sees-what.md: what each process of a running installation can see and do, asked of the kernel and of nobody else. The document
//! is drawn from a machine that serves, and compared with the next one: `BLESS=1 cargo test -p tests --test units who_sees` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use common::process::Process;
use harness::within;

use crate::machine::Machine;
use crate::world::{World, unit};

/// Namespaces, in the words of the document.
const NAMESPACES: [(&str, &str); 7] = [
    ("net", "network"),
    ("mnt", "mounts"),
    ("user", "users"),
    ("ipc", "IPC"),
    ("uts", "host name"),
    ("pid", "processes"),
    ("cgroup", "cgroup"),
];
/// Below its root, what every process has from the kernel and from systemd, and the libraries that it is linked with.
const OF_THE_SYSTEM: [&str; 10] = [
    "/proc",
    "/sys",
    "/dev",
    "/lib",
    "/lib64",
    "/usr/lib/x86_64",
    "/usr/lib/aarch64",
    "/run/systemd",
    // Debian's rules against web attacks, which are everybody's and there only where their package is.
    "/usr/share/modsecurity-crs",
    "/etc/modsecurity",
];

#[test]
fn who_sees_what_is_what_the_kernel_says() {
    within(180, || {
        let Some(world) = World::start("who_sees_what") else { return };
        world.everything_serves();
        let page = page(&world);
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/who-sees-what.md");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, &page).expect("our own tree");
        }
        let help = "BLESS=1 cargo test -p tests --test units who_sees writes it anew";
        assert_eq!(fs::read_to_string(path).unwrap_or_default(), page, "docs/who-sees-what.md: {help}");
    });
}

fn page(world: &World) -> String {
    let machine = &world.machine;
    let mut page = String::from(HEAD);
    let facts: Vec<(Process, Facts)> = Process::ALL.map(|process| (process, Facts::of(machine, process))).to_vec();
    let names: Vec<&str> = facts.iter().map(|(process, _)| process.name()).collect();
    let _ = writeln!(page, "| | {} |\n| --- |{}", names.join(" | "), " --- |".repeat(names.len()));
    let mut row = |what: &str, cell: &dyn Fn(&Facts) -> String| {
        let cells: Vec<String> = facts.iter().map(|(_, facts)| cell(facts)).collect();
        let _ = writeln!(page, "| {what} | {} |", cells.join(" | "));
    };
    row("user", &|facts| facts.user.clone());
    row("capabilities", &|facts| facts.capabilities.clone());
    row("may gain rights by starting a program", &|facts| facts.gains.to_owned());
    row("system-call filters", &|facts| facts.filters.clone());
    row("a debugger, or a core dump, may read it", &|facts| facts.dumpable.to_owned());
    row("namespaces of its own", &|facts| facts.namespaces.join(", "));
    row("network interfaces (of a machine with a loopback only)", &|facts| facts.interfaces.join(", "));
    row("accepts clients at", &|facts| list(&facts.listeners));
    row("is told things by", &|facts| list(&facts.receives));
    row("may tell things to", &|facts| list(&facts.sends));
    row("files that exist for it", &|facts| list(&facts.files));
    page
}

fn list(words: &BTreeSet<String>) -> String {
    if words.is_empty() { "nobody".to_owned() } else { words.iter().cloned().collect::<Vec<_>>().join(", ") }
}

const HEAD: &str = "# Who sees what

Asked of the kernel while everything serves under systemd: `/proc` of each process, its namespaces, what lies below its root, its
open descriptors. Written and asserted by `tests/units/who_sees_what.rs`. What each process *tries* and is refused is another question:
`bulkhead sandbox` asks it on your machine, and `tests/units/controls.rs` for the units alone.

";

#[derive(Debug, Clone)]
struct Facts {
    user: String,
    capabilities: String,
    gains: &'static str,
    filters: String,
    dumpable: &'static str,
    namespaces: Vec<&'static str>,
    interfaces: Vec<String>,
    listeners: BTreeSet<String>,
    receives: BTreeSet<String>,
    sends: BTreeSet<String>,
    files: BTreeSet<String>,
}

impl Facts {
    fn of(machine: &Machine, process: Process) -> Self {
        let unit = unit(process);
        let read = |entry: &str| fs::read_to_string(machine.proc(&unit, entry)).unwrap_or_default();
        let status: BTreeMap<String, String> = read("status")
            .lines()
            .filter_map(|line| line.split_once(':').map(|(key, value)| (key.to_owned(), value.trim().to_owned())))
            .collect();
        let said = |key: &str| status.get(key).cloned().unwrap_or_else(|| panic!("{process}: no {key} in {status:?}"));
        let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(said);
        let none = sets.iter().all(|set| set.trim_start_matches('0').is_empty());
        let (files, sends) = below_its_root(machine, &unit);
        let (listeners, receives) = descriptors(machine, &unit);
        let names = read("net/dev");
        let interfaces = names.lines().skip(2).filter_map(|line| line.split_once(':').map(|(name, _)| name.trim()));
        Self {
            user: user(machine, said("Uid").split_whitespace().nth(1).expect("an effective user")),
            capabilities: if none { "none".to_owned() } else { sets.join(" ") },
            gains: if said("NoNewPrivs") == "1" { "no" } else { "YES" },
            // How many the unit makes of its lines is systemd's business; one of them is the process's own.
            filters: if said("Seccomp") == "2" { "enforced" } else { "NONE" }.to_owned(),
            // The owner of these files is root exactly when the process is not dumpable (proc(5)).
            dumpable: if owner(&machine.proc(&unit, "environ")) == 0 { "no" } else { "YES" },
            namespaces: NAMESPACES
                .iter()
                .filter(|(name, _)| own_namespace(machine, &unit, name))
                .map(|it| it.1)
                .collect(),
            interfaces: interfaces.map(str::to_owned).collect(),
            listeners,
            receives,
            sends,
            files,
        }
    }
}

fn owner(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).expect("it lives").uid()
}

fn user(machine: &Machine, uid: &str) -> String {
    let passwd = fs::read_to_string(machine.path("/etc/passwd")).expect("every machine has one");
    let found = passwd.lines().find(|line| line.split(':').nth(2) == Some(uid));
    found.and_then(|line| line.split(':').next()).unwrap_or("(unknown)").to_owned()
}

fn own_namespace(machine: &Machine, unit: &str, name: &str) -> bool {
    let of_the_machine = fs::read_link(machine.path(&format!("/proc/1/ns/{name}"))).expect("PID 1 lives");
    fs::read_link(machine.proc(unit, &format!("ns/{name}"))).expect("it lives") != of_the_machine
}

/// Files that are not everybody's, and the edges whose sockets it can reach.
fn below_its_root(machine: &Machine, unit: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let root = machine.proc(unit, "root");
    let (mut files, mut sends) = (BTreeSet::new(), BTreeSet::new());
    let mut left = vec![root.clone()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let inside = format!("/{}", path.strip_prefix(&root).expect("below it").display());
            let Ok(kind) = entry.file_type() else { continue };
            if OF_THE_SYSTEM.iter().any(|prefix| inside.starts_with(prefix)) {
                continue;
            } else if kind.is_socket() {
                let folder = inside.strip_prefix("/run/bulkhead/").and_then(|rest| rest.split('/').next());
                sends.insert(folder.unwrap_or(&inside).to_owned());
            } else if kind.is_dir() && !inside.starts_with("/etc/ssl") && !inside.starts_with("/run/credentials/") {
                left.push(path);
            } else {
                files.insert(format!("`{}`", inside.replace(unit, "…")));
            }
        }
    }
    (files, sends)
}

/// Listening sockets that it holds: addresses of clients, and edges and control sockets by their folder.
fn descriptors(machine: &Machine, unit: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut known: BTreeMap<String, (bool, String)> = BTreeMap::new();
    for table in ["tcp", "tcp6"] {
        for line in
            fs::read_to_string(machine.path(&format!("/proc/1/net/{table}"))).unwrap_or_default().lines().skip(1)
        {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if fields.get(3) == Some(&"0A") {
                let port = fields[1].rsplit_once(':').and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
                known.insert(fields[9].to_owned(), (true, format!("port {}", port.unwrap_or_default())));
            }
        }
    }
    for line in fs::read_to_string(machine.path("/proc/1/net/unix")).unwrap_or_default().lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let Some(path) = fields.get(7).and_then(|path| path.strip_prefix("/run/bulkhead/")) {
            let folder = path.split('/').next().unwrap_or(path);
            known.insert(fields[6].to_owned(), (false, folder.to_owned()));
        }
    }
    let (mut listeners, mut receives) = (BTreeSet::new(), BTreeSet::new());
    for entry in fs::read_dir(machine.proc(unit, "fd")).expect("it lives").flatten() {
        let target = fs::read_link(entry.path()).unwrap_or_default().display().to_string();
        let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        match inode.and_then(|inode| known.get(inode)) {
            Some((true, port)) => drop(listeners.insert(port.clone())),
            Some((false, folder)) => drop(receives.insert(folder.clone())),
            None => {}
        }
    }
    (listeners, receives)
}
