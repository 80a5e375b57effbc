//! A machine whose PID 1 is a real systemd. Nothing of it outlives the test: killing PID 1 ends its namespaces.
//!
//! A test's thread joins the machine's network ([`Machine::enter`]); clients and backends of the harness that it starts from
//! then on live there, so every machine has its own port 443.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use harness::needs::{find, note, skip};
use harness::{binaries, eventually, folder};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// Where PID 1 lies.
const SYSTEMD: &str = "/lib/systemd/systemd";
/// Programs that booting takes.
const PROGRAMS: [&str; 6] = ["bash", "unshare", "nsenter", "setpriv", "ip", "mount"];

/// It runs.
#[derive(Debug)]
pub struct Machine {
    /// `unshare`, which waits for PID 1.
    outside: Child,
    /// PID 1 of the machine, as the host counts.
    pid: u32,
    cgroup: PathBuf,
    folder: TempDir,
}

/// What came of a command.
#[derive(Debug)]
pub struct Came {
    /// Whether it was content.
    pub good: bool,
    /// Both outputs.
    pub text: String,
}

impl Machine {
    /// Boots with our programs in /usr/lib/bulkhead. `None`: not on this machine, and the reason has been said.
    pub fn boot(test: &str) -> Option<Self> {
        Self::boot_with(test, binaries::folder().as_os_str())
    }

    /// Boots with these programs; an empty path: with nothing of ours.
    pub fn boot_with(test: &str, programs: &OsStr) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            note(test, "a systemd of one's own needs root");
            return None;
        }
        if !may_mount() {
            note(test, "root has not the right to mount here (a container?)");
            return None;
        }
        if !Path::new(SYSTEMD).exists() {
            skip(test, "needs systemd");
            return None;
        }
        if let Some(missing) = PROGRAMS.iter().find(|program| find(program).is_none()) {
            skip(test, &format!("needs {missing}"));
            return None;
        }
        let Some(hierarchy) = unified_hierarchy() else {
            note(test, "no cgroup2 is mounted");
            return None;
        };
        let folder = folder::temporary();
        let name = folder.path().file_name().expect("a temporary folder has a name").to_owned();
        let cgroup = hierarchy.join(name);
        if let Err(error) = fs::create_dir(&cgroup) {
            note(test, &format!("no cgroup of one's own: {error}"));
            return None;
        }
        let outside = start(&cgroup, folder.path(), programs);
        let pid = eventually(30, "PID 1 starts", || first_child(outside.id()));
        let machine = Self { outside, pid, cgroup, folder };
        eventually(60, "systemd is up", || {
            let state = machine.try_run("systemctl", &["is-system-running"]).text;
            matches!(state.trim(), "running" | "degraded").then_some(())
        });
        Some(machine)
    }

    /// This thread, and whatever it starts from now on, uses the machine's network.
    pub fn enter(&self) {
        let namespace = File::open(format!("/proc/{}/ns/net", self.pid)).expect("our own machine");
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("root may");
    }

    /// A path of the machine, as the host sees it.
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.pid))
    }

    /// Writes a file and the folders above it.
    pub fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("our own machine");
        fs::write(&path, text).unwrap_or_else(|error| panic!("{inside}: {error}"));
    }

    /// Runs a program inside; both outputs.
    pub fn try_run(&self, program: &str, words: &[&str]) -> Came {
        let Output { status, stdout, stderr } = Command::new("nsenter")
            .args(["-t", &self.pid.to_string(), "-m", "-p", "-n", "-i", "-u", "-C", "--", program])
            .args(words)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .output()
            .expect("nsenter was there a moment ago");
        let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        Came { good: status.success(), text }
    }

    /// The same, and it must be content.
    pub fn run(&self, program: &str, words: &[&str]) -> String {
        let came = self.try_run(program, words);
        assert!(came.good, "{program} {}: {}\n{}", words.join(" "), came.text, self.journal("bulkhead*"));
        came.text
    }

    /// `systemctl`.
    pub fn systemctl(&self, words: &[&str]) -> String {
        self.run("systemctl", words)
    }

    /// A property of a unit.
    pub fn property(&self, unit: &str, name: &str) -> String {
        self.systemctl(&["show", "--value", "--property", name, unit]).trim().to_owned()
    }

    /// The main process of a service, as the machine counts. 0: none.
    pub fn main_pid(&self, unit: &str) -> u32 {
        self.property(unit, "MainPID").parse().expect("a number")
    }

    /// Moves a process, by its number in the machine, into a control group of the host.
    pub fn enter_group(&self, pid: u32, group: &Path) {
        let script = format!("echo {pid} > {}/cgroup.procs", group.display());
        let words = ["-t", &self.pid.to_string(), "-p", "--", "sh", "-c", &script];
        let status = Command::new("nsenter").args(words).stdin(Stdio::null()).status();
        assert!(status.is_ok_and(|status| status.success()), "{script}");
    }

    /// A file below `/proc/PID` of a service.
    pub fn proc(&self, unit: &str, entry: &str) -> PathBuf {
        self.path(&format!("/proc/{}/{entry}", self.main_pid(unit)))
    }

    /// What units wrote, without what systemd wrote about them.
    pub fn journal(&self, units: &str) -> String {
        self.try_run("journalctl", &["--no-pager", "--output=cat", "--unit", units]).text
    }

    /// Puts a drop-in beside a unit (or takes it away) and reloads the manager.
    pub fn drop_in(&self, unit: &str, text: Option<&str>) {
        let inside = format!("/run/systemd/system/{unit}.d/test.conf");
        match text {
            Some(text) => self.write(&inside, text),
            None => fs::remove_file(self.path(&inside)).expect("it was there"),
        }
        self.systemctl(&["daemon-reload"]);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let tail = self.try_run("journalctl", &["--no-pager", "--lines=60", "--output=short-precise"]).text;
            let boot = fs::read_to_string(self.folder.path().join("boot.log")).unwrap_or_default();
            eprintln!("{boot}\nthe end of the machine's journal:\n{tail}");
        }
        let _ = kill(Pid::from_raw(self.pid.cast_signed()), Signal::SIGKILL);
        let _ = self.outside.wait();
        for _ in 0..50 {
            if remove_tree(&self.cgroup).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20)); // the kernel buries the last processes
        }
    }
}

/// Whether we have CAP_SYS_ADMIN.
fn may_mount() -> bool {
    const SYS_ADMIN: u32 = 21;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let held = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    held.and_then(|held| u64::from_str_radix(held.trim(), 16).ok()).is_some_and(|held| held & (1 << SYS_ADMIN) != 0)
}

/// Its own cgroup first: the cgroup namespace is cut at it. If this thread ends without dropping the machine, so does the machine.
fn start(cgroup: &Path, work: &Path, programs: &OsStr) -> Child {
    let script = "echo $$ >\"$1/cgroup.procs\" && exec setpriv --pdeathsig KILL unshare --mount --net --ipc --uts --cgroup --pid --fork \
                  --propagation private --kill-child bash \"$2\" \"$3\" \"$4\"";
    Command::new("bash")
        .args(["-c", script, "boot"])
        .arg(cgroup)
        .arg(binaries::workspace().join("tests/units/boot.sh"))
        .arg(work)
        .arg(programs)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(work.join("boot.log")).expect("our own folder"))
        .spawn()
        .expect("bash was there a moment ago")
}

fn first_child(parent: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Where the cgroup2 hierarchy is mounted: the root of it on a new machine, a side branch on an old one.
fn unified_hierarchy() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let unified = |line: &&str| line.split(' ').nth(2) == Some("cgroup2");
    Some(PathBuf::from(mounts.lines().find(unified)?.split(' ').nth(1)?))
}

/// Cgroups go from the leaves to the root.
fn remove_tree(cgroup: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(cgroup)?.flatten().filter(|entry| entry.path().is_dir()) {
        remove_tree(&entry.path())?;
    }
    fs::remove_dir(cgroup)
}
