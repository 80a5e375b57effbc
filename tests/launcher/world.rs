//! A folder of its own for each test: binaries, configuration, runtime directory, free ports; and a handle on the launcher.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::Value;

/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where one test happens.
pub struct World {
    folder: tempfile::TempDir,
    config: String,
    pub runtime_dir: PathBuf,
    /// Port of sni-router's listener.
    pub web: u16,
    /// Port of forward-proxy's listener.
    pub out: u16,
    user: Option<u32>,
}

impl World {
    pub fn new() -> Self {
        Self::made_for(None)
    }

    /// The launcher runs as this user; the tests must run as root.
    pub fn of_user(uid: u32) -> Self {
        Self::made_for(Some(uid))
    }

    fn made_for(user: Option<u32>) -> Self {
        let folder = tempfile::Builder::new().prefix("bh").tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        if let Some(uid) = user {
            std::os::unix::fs::chown(folder.path(), Some(uid), Some(uid)).unwrap();
        }
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        place(Path::new(env!("CARGO_BIN_EXE_bulkhead")), &bin.join("bulkhead"));
        for process in common::process::Process::ALL {
            place(component(), &bin.join(process.name()));
        }
        let (web, out) = (free_port(), free_port());
        let runtime_dir = folder.path().join("run");
        let config = folder.path().join("bulkhead.toml");
        std::fs::write(&config, text(&runtime_dir, web, out)).unwrap();
        Self { config: config.to_str().unwrap().to_owned(), folder, runtime_dir, web, out, user }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn config(&self) -> &str {
        &self.config
    }

    /// A second configuration that differs in its ports only.
    pub fn another_on_other_ports(&self) -> String {
        let path = self.folder.path().join("other.toml");
        std::fs::write(&path, text(&self.runtime_dir, free_port(), free_port())).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// What goes wrong in a process from its next start on; see `component.rs`.
    pub fn behaves(&self, process: &str, behaviour: &str) {
        std::fs::write(self.folder.path().join(format!("{process}.behaviour")), behaviour).unwrap();
    }

    /// How many processes have opened what they need and have nothing against it.
    pub fn opened(&self) -> usize {
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|it| it.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|end| end == "opened")).count()
    }

    /// Runs a verb to its end.
    pub fn bulkhead(&self, words: &[&str]) -> Output {
        Command::new(self.folder.path().join("bin/bulkhead")).args(words).output().unwrap()
    }

    /// Starts `bulkhead up`.
    pub fn up(&self) -> Launcher {
        let mut command = Command::new(self.folder.path().join("bin/bulkhead"));
        command.args(["up", &self.config]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(uid) = self.user {
            command.uid(uid).gid(uid);
        }
        Launcher::watch(command.spawn().unwrap())
    }

    /// `bulkhead status --json`, as far as there is an answer.
    pub fn status(&self) -> Vec<Value> {
        let output = self.bulkhead(&["status", "--json", &self.config]);
        let value: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        value["processes"].as_array().cloned().unwrap_or_default()
    }

    /// Who answers, with the process id.
    pub fn pids(&self) -> BTreeMap<String, u32> {
        let status = self.status();
        let living = status.iter().filter(|one| one["state"] == "serving");
        living
            .map(|one| {
                let pid = u32::try_from(one["pid"].as_u64().unwrap()).unwrap();
                (one["process"].as_str().unwrap().to_owned(), pid)
            })
            .collect()
    }

    pub fn walls_hold(&self) -> bool {
        self.status().iter().all(|one| one["sandboxed"] == true)
    }

    /// Nobody but the sender can reach an edge, nobody but the starter a control socket.
    pub fn permissions_are_tight(&self) {
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        let owner = |path: &Path| std::fs::metadata(path).unwrap().uid();
        let root = nix::unistd::geteuid().is_root() && self.user.is_none();
        let starter = self.user.unwrap_or(nix::unistd::geteuid().as_raw());
        assert_eq!(mode(&self.runtime_dir), 0o755);
        let folders: Vec<PathBuf> =
            std::fs::read_dir(&self.runtime_dir).unwrap().map(|it| it.unwrap().path()).collect();
        assert_eq!(folders.len(), 8, "three edges, three letter boxes, control, the lock: {folders:?}");
        for folder in folders.iter().filter(|folder| folder.is_dir()) {
            let name = folder.file_name().unwrap().to_str().unwrap();
            let wanted = match common::wiring::EDGES.iter().find(|edge| edge.name == name) {
                Some(edge) if root => common::sandbox::Identity::of(edge.sender).uid,
                _ => starter,
            };
            assert_eq!((mode(folder), owner(folder)), (0o700, wanted), "{name}");
            for socket in std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()) {
                assert_eq!((mode(&socket), owner(&socket)), (0o600, wanted), "{}", socket.display());
            }
        }
    }
}

fn text(runtime_dir: &Path, web: u16, out: u16) -> String {
    format!(
        "[bulkhead]\nruntime_dir = \"{}\"\n\
         [[sni-router.listen]]\nname = \"web\"\naddress = [\"127.0.0.1:{web}\"]\nprotocol = \"http\"\n\
         [[pool]]\nname = \"app\"\nservers = [\"127.0.0.1:9\"]\n\
         [[http-filter.route]]\nname = \"all\"\npool = \"app\"\n\
         [[forward-proxy.listen]]\nname = \"out\"\naddress = [\"127.0.0.1:{out}\"]\n",
        runtime_dir.display()
    )
}

/// A port outside the kernel's own choice for outgoing connections, so that no other test's client takes it meanwhile.
fn free_port() -> u16 {
    static NEXT: Mutex<u16> = Mutex::new(0);
    let mut next = NEXT.lock().unwrap();
    if *next == 0 {
        *next = 15_000 + u16::try_from(std::process::id() % 4000).unwrap() * 4;
    }
    loop {
        *next = if *next >= 32_000 { 15_000 } else { *next + 1 };
        if TcpListener::bind(("127.0.0.1", *next)).is_ok() {
            return *next;
        }
    }
}

/// A second name for the file, or a copy where that cannot be.
fn place(from: &Path, to: &Path) {
    if std::fs::hard_link(from, to).is_err() {
        std::fs::copy(from, to).unwrap();
    }
}

/// The stand-in. Cargo builds examples with a full `cargo test`, not with `cargo test --test launcher`.
/// `BULKHEAD_STAND_IN` names one that is built already, for a user who cannot build.
fn component() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        if let Some(path) = std::env::var_os("BULKHEAD_STAND_IN") {
            return path.into();
        }
        let folder = Path::new(env!("CARGO_BIN_EXE_bulkhead")).parent().unwrap();
        let mut command = Command::new(env!("CARGO"));
        command.args(["build", "--offline", "--quiet", "--package", "bulkhead", "--example", "component"]);
        if folder.ends_with("release") {
            command.arg("--release");
        }
        let built = command.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
        assert!(built.success(), "the example `component` does not build");
        folder.join("examples/component")
    })
}

/// Connects and reads to the end.
pub fn client(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the listener is never closed");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.trim().to_owned()
}

/// Whether a process has ended (one that nobody has waited for counts as ended).
pub fn dead(pid: u32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(text) => text.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z') || rest.starts_with('X')),
        Err(_) => true,
    }
}

pub fn kill(pid: u32) {
    send(pid, Signal::SIGKILL);
}

fn send(pid: u32, signal: Signal) {
    nix::sys::signal::kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

/// Ends it in order.
pub fn end(launcher: &mut Launcher) {
    launcher.terminate();
    assert_eq!(launcher.wait(Duration::from_secs(15)).code(), Some(0), "{}", launcher.log());
}

pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A running `bulkhead up`. Killed when the test ends, its children with it.
pub struct Launcher {
    child: Child,
    lines: Receiver<String>,
    log: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Launcher {
    fn watch(mut child: Child) -> Self {
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, copy) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        let reader = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                copy.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        Self { child, lines, log, reader }
    }

    /// Waits for the line that says so.
    pub fn ready(&mut self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) if line.starts_with("ready") => line,
            other => panic!("no ready line but {other:?}; log:\n{}", self.log()),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line with this text anywhere in the log.
    pub fn expect_line(&mut self, text: &str) {
        let began = Instant::now();
        while !self.log().contains(text) {
            assert!(began.elapsed() < PATIENCE, "waited for `{text}` in:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn terminate(&self) {
        send(self.child.id(), Signal::SIGTERM);
    }

    pub fn interrupt(&self) {
        send(self.child.id(), Signal::SIGINT);
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end and for the last of its lines.
    pub fn wait(&mut self, time: Duration) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // Standard error ends with the last process that has it: nobody may survive the launcher.
                eventually("the end of the log", || self.reader.is_finished());
                return status;
            }
            assert!(began.elapsed() < time, "it runs on after {time:?}; log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
