//! A world: one `bulkhead up` with a configuration of its own, in a temporary folder, on ports of its own.
//!
//! [`builder`] writes the configuration and starts it, [`log`] keeps what it says, [`end`] asserts what it leaves behind.

mod builder;
mod end;
mod log;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

use common::process::Process;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

pub use builder::Builder;
pub use log::Log;

use crate::limits::eventually;
use crate::load::Doors;
use crate::processes::{self, Living};

/// Descriptors by kind, of every process by name and instance.
type Descriptors = BTreeMap<(String, u32), BTreeMap<String, usize>>;

/// A running Bulkhead.
#[derive(Debug)]
pub struct World {
    name: String,
    folder: TempDir,
    bin: PathBuf,
    uid: Option<u32>,
    child: Child,
    log: Log,
    ports: Ports,
    before: Option<Descriptors>,
    ended: bool,
}

/// A process that was killed and has not been waited for.
#[derive(Debug)]
pub struct Killed {
    process: String,
    pid: u32,
    served: usize,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    https: u16,
    http: u16,
    proxy: u16,
}

impl World {
    /// Begins to describe a world. `name` is for messages.
    #[allow(clippy::new_ret_no_self)] // a world exists only once it is started
    pub fn new(name: &str) -> Builder {
        Builder::new(name)
    }

    /// The TLS listener.
    pub fn https(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.https).into()
    }

    /// The same in IPv6, where the machine has it.
    pub fn https_v6(&self) -> SocketAddr {
        (Ipv6Addr::LOCALHOST, self.ports.https).into()
    }

    /// The plain-HTTP listener.
    pub fn http(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.http).into()
    }

    /// The forward proxy.
    pub fn proxy(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.proxy).into()
    }

    /// The temporary folder: configuration, `certs/`, `ca.pem`, `run/`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("bulkhead.toml")
    }

    /// The certificate authority of all sites, as a file.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The launcher itself.
    pub fn launcher(&self) -> u32 {
        self.child.id()
    }

    /// All processes that live now.
    pub fn processes(&self) -> Vec<Living> {
        let known = |living: &Living| living.name.parse::<Process>().is_ok();
        processes::children_of(self.child.id()).into_iter().filter(known).collect()
    }

    /// The ids of a process's instances.
    pub fn pids(&self, process: &str) -> Vec<u32> {
        self.processes().into_iter().filter(|living| living.name == process).map(|living| living.pid).collect()
    }

    /// The id of a process that has one instance.
    ///
    /// # Panics
    /// When it does not live.
    pub fn pid(&self, process: &str) -> u32 {
        *self.pids(process).first().unwrap_or_else(|| panic!("{process} does not live"))
    }

    /// Descriptors by kind; `None` where only root may look.
    pub fn descriptors(&self, process: &str) -> Option<BTreeMap<String, usize>> {
        processes::descriptors(self.pid(process))
    }

    /// `kill -9`.
    pub fn kill(&self, process: &str) -> Killed {
        self.signal(process, Signal::SIGKILL)
    }

    /// Tells a process to finish, as a restart does; the launcher starts it again.
    pub fn terminate(&self, process: &str) -> Killed {
        self.signal(process, Signal::SIGTERM)
    }

    fn signal(&self, process: &str, signal: Signal) -> Killed {
        self.signal_living(process, self.pid(process), signal)
    }

    /// The same of one of several.
    ///
    /// # Panics
    /// When it does not live.
    pub fn signal_instance(&self, process: &str, instance: u32, signal: Signal) -> Killed {
        let its = |living: &Living| living.name == process && living.instance == instance;
        let living = self.processes().into_iter().find(its).unwrap_or_else(|| panic!("no {process}@{instance} lives"));
        self.signal_living(process, living.pid, signal)
    }

    fn signal_living(&self, process: &str, pid: u32, signal: Signal) -> Killed {
        let killed = Killed { process: process.to_owned(), pid, served: self.starts_of(process) };
        kill(Pid::from_raw(i32::try_from(pid).expect("a pid")), signal).expect("our own process");
        killed
    }

    /// Waits until the launcher has brought a killed process back and it serves.
    pub fn wait_for_restart(&self, killed: &Killed) {
        let process = &killed.process;
        eventually(20, &format!("{process} is back and serves"), || {
            let pids = self.pids(process);
            let lives = !pids.is_empty() && !pids.contains(&killed.pid);
            (lives && self.starts_of(process) > killed.served).then_some(())
        });
    }

    /// How often instances of a process have begun to serve.
    fn starts_of(&self, process: &str) -> usize {
        self.log_of(process).iter().filter(|line| line.trim_end().ends_with(": serving")).count()
    }

    /// Everything said so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lines()
    }

    /// What one process said (`http-filter` or `http-filter@2`).
    pub fn log_of(&self, process: &str) -> Vec<String> {
        let tag = if process.contains('@') { format!(" {process}: ") } else { format!(" {process}@") };
        self.log.lines().into_iter().filter(|line| line.contains(&tag)).collect()
    }

    /// Waits for a line of a process that contains all of `words`.
    pub fn wait_for_line(&self, process: &str, words: &[&str]) -> String {
        let fits = |line: &String| words.iter().all(|word| line.contains(word));
        eventually(5, &format!("{process} logs {words:?}"), || self.log_of(process).into_iter().find(fits))
    }

    /// Runs `bulkhead VERB CONFIG …` as the world's user.
    pub fn bulkhead(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.bin.join("bulkhead"));
        command.args(arguments);
        builder::become_user(&mut command, self.uid);
        command.output().expect("bulkhead can be started")
    }

    /// Puts another file in the place of a program, as a package manager does: the old one lives on in whoever runs it. Only in a
    /// world with programs of its own.
    ///
    /// # Panics
    /// When the programs are everybody's.
    pub fn put_program(&self, process: &str, from: &Path) {
        assert!(self.bin.starts_with(self.folder.path()), "these programs are not ours");
        let fresh = self.bin.join("fresh");
        std::fs::copy(from, &fresh).expect("our own folder");
        std::fs::rename(&fresh, self.bin.join(process)).expect("our own folder");
    }

    /// Where its programs are.
    pub fn programs(&self) -> &Path {
        &self.bin
    }

    /// Clients' doors, for a load: a terminated name, one that is passed through, a plain server.
    pub fn doors(&self, www: &'static str, secure: &'static str, server: SocketAddr) -> Doors {
        Doors { https: self.https(), http: self.http(), proxy: self.proxy(), www, secure, server }
    }

    /// A figure of a process, by `bulkhead status`, summed over its instances.
    ///
    /// # Panics
    /// When the process does not answer or has no such figure.
    pub fn figure(&self, process: &str, figure: &str) -> u64 {
        let status = self.status();
        let of_process = status.iter().filter(|one| one["process"] == process);
        let values: Vec<u64> = of_process.filter_map(|one| figure_of(one, figure)).collect();
        assert!(!values.is_empty(), "{process} has no figure {figure}: {status:?}");
        values.iter().sum()
    }

    /// `bulkhead status --json`: one object per process.
    pub fn status(&self) -> Vec<serde_json::Value> {
        let config = self.config();
        let output = self.bulkhead(&["status", &config.to_string_lossy(), "--json"]);
        let text = String::from_utf8_lossy(&output.stdout);
        let whole: serde_json::Value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("bulkhead status --json: {error}: {text}{}", show(&output.stderr)));
        whole["processes"].as_array().cloned().unwrap_or_default()
    }
}

fn figure_of(status: &serde_json::Value, figure: &str) -> Option<u64> {
    status["figures"][figure].as_u64()
}

/// Bytes of a program's output, for a message.
pub fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
