//! From a sentence to a running world: the configuration, the certificates it names, and the launcher as a child in a
//! process group of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Log, Ports, World};
use crate::{binaries, certificates, folder, limits, ports};

/// How long a start may take.
const START: Duration = Duration::from_secs(30);
/// How often to try again with other ports when somebody else took one.
const TRIES: usize = 4;

/// What a world will be.
#[derive(Debug, Clone)]
pub struct Builder {
    name: String,
    uid: Option<u32>,
    sections: BTreeMap<String, Vec<(String, String)>>,
    tables: String,
    routes: Vec<String>,
    http_routes: Vec<String>,
    listener_keys: Vec<(String, String, String)>,
    sites: Vec<Vec<String>>,
    site_keys: Vec<(usize, String)>,
    files: Vec<(String, String)>,
    whole: Option<String>,
    plain: bool,
    forwards: bool,
    own_programs: bool,
}

impl Builder {
    pub(super) fn new(name: &str) -> Self {
        let builder = Self {
            name: name.to_owned(),
            uid: None,
            sections: BTreeMap::new(),
            tables: String::new(),
            routes: Vec::new(),
            http_routes: Vec::new(),
            listener_keys: Vec::new(),
            sites: Vec::new(),
            site_keys: Vec::new(),
            files: Vec::new(),
            whole: None,
            plain: true,
            forwards: false,
            own_programs: false,
        };
        // All clients of a test come from one address, many at once.
        builder.set("sni-router", "connection_rate", "0").set("sni-router", "max_hellos_per_address", "4096").set(
            "tls-terminator",
            "full_handshake_rate",
            "0",
        )
    }

    /// Runs everything as this user. Where the tests themselves do not run as root, they are an ordinary user already.
    #[must_use]
    pub fn as_user(mut self, uid: u32) -> Self {
        self.uid = nix::unistd::geteuid().is_root().then_some(uid);
        self
    }

    /// Sets a key of a section; `value` is TOML.
    #[must_use]
    pub fn set(mut self, section: &str, key: &str, value: &str) -> Self {
        let keys = self.sections.entry(section.to_owned()).or_default();
        keys.retain(|(known, _)| known != key);
        keys.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Adds tables as they are.
    #[must_use]
    pub fn with(mut self, toml: &str) -> Self {
        let _ = writeln!(self.tables, "{toml}");
        self
    }

    /// A group of servers. Kept-alive connections are let go after a second, so that descriptors can be compared.
    #[must_use]
    pub fn pool(self, name: &str, servers: &[SocketAddr]) -> Self {
        self.pool_with(name, servers, "")
    }

    /// The same with further keys.
    #[must_use]
    pub fn pool_with(self, name: &str, servers: &[SocketAddr], keys: &str) -> Self {
        let servers: Vec<String> = servers.iter().map(|server| format!("\"{server}\"")).collect();
        let idle = if keys.contains("idle_deadline") { "" } else { "idle_deadline = \"1s\"\n" };
        self.with(&format!("[[pool]]\nname = \"{name}\"\nservers = [{}]\n{idle}{keys}", servers.join(", ")))
    }

    /// TLS for these names ends here, with a certificate of the test authority.
    #[must_use]
    pub fn terminates(mut self, names: &[&str]) -> Self {
        let number = self.sites.len();
        self.routes
            .push(format!("[[route]]\nname = \"site-{number}\"\nserver_names = {}\nterminate = true\n", list(names)));
        self.sites.push(names.iter().map(|name| (*name).to_owned()).collect());
        self
    }

    /// Further keys for the site that was given last.
    #[must_use]
    pub fn site_keys(mut self, keys: &str) -> Self {
        self.site_keys.push((self.sites.len().saturating_sub(1), keys.to_owned()));
        self
    }

    /// A file beside the configuration.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Instead of everything that is described here: a whole configuration file, of which only what ties it to a machine is
    /// replaced: the listeners on ports 443 and 80, written as in docs/examples, and the `runtime_dir`.
    #[must_use]
    pub fn exactly(mut self, text: &str) -> Self {
        self.whole = Some(text.to_owned());
        self
    }

    /// TLS for this name passes untouched to a pool.
    #[must_use]
    pub fn passes(self, name: &str, pool: &str) -> Self {
        let number = self.routes.len();
        self.route(&format!("name = \"pass-{number}\"\nserver_names = [\"{name}\"]\npassthrough = \"{pool}\""))
    }

    /// A `[[route]]` with these keys.
    #[must_use]
    pub fn route(mut self, keys: &str) -> Self {
        self.routes.push(format!("[[route]]\n{keys}\n"));
        self
    }

    /// HTTP requests for which no other route was given go to this pool.
    #[must_use]
    pub fn serves(self, pool: &str) -> Self {
        self.http_route(&format!("name = \"everything-to-{pool}\"\npool = \"{pool}\""))
    }

    /// A `[[http-filter.route]]` with these keys.
    #[must_use]
    pub fn http_route(mut self, keys: &str) -> Self {
        self.http_routes.push(format!("[[http-filter.route]]\n{keys}\n"));
        self
    }

    /// Further keys for a listener: `https`, `http` or `proxy`.
    #[must_use]
    pub fn listener(mut self, listener: &str, key: &str, value: &str) -> Self {
        self.listener_keys.push((listener.to_owned(), key.to_owned(), value.to_owned()));
        self
    }

    /// A forward proxy listens; connections that are kept alive are let go after a second, as those of pools.
    #[must_use]
    pub fn forwards(mut self) -> Self {
        self.forwards = true;
        self.set("forward-proxy", "idle_deadline", "\"1s\"")
    }

    /// A forward proxy listens and may reach these servers, although they are inside.
    #[must_use]
    pub fn forwards_to(self, servers: &[SocketAddr]) -> Self {
        let mut ports = vec![80, 443];
        ports.extend(servers.iter().map(SocketAddr::port));
        let mut networks: Vec<String> = servers.iter().map(|server| format!("\"{}\"", network(*server))).collect();
        networks.sort();
        networks.dedup();
        self.forwards().set("forward-proxy", "ports", &format!("{ports:?}")).set(
            "passthrough-relay.outward",
            "allow",
            &format!("[{}]", networks.join(", ")),
        )
    }

    /// Runs programs of its own folder, so that others can be put in their place ([`World::put_program`]).
    #[must_use]
    pub fn own_programs(mut self) -> Self {
        self.own_programs = true;
        self
    }

    /// No plain-HTTP listener, although there are routes for HTTP.
    #[must_use]
    pub fn without_plain_http(mut self) -> Self {
        self.plain = false;
        self
    }

    /// Starts it and waits until it serves.
    ///
    /// # Panics
    /// When it does not; the message holds what it said.
    pub fn start(self) -> World {
        let mut said = Vec::new();
        for _ in 0..TRIES {
            match self.try_start() {
                Ok(world) => return world,
                Err(lines) if lines.iter().any(|line| line.to_lowercase().contains("address already in use")) => {
                    said = lines;
                }
                Err(lines) => panic!("{} does not start:\n{}\n{}", self.name, lines.join("\n"), self.example()),
            }
        }
        panic!("{} finds no free ports:\n{}", self.name, said.join("\n"));
    }

    fn example(&self) -> String {
        self.text(Path::new("/tmp/example"), Ports { https: 443, http: 80, proxy: 3128 })
    }

    /// The configuration as it would be started, written into a folder together with the files it names.
    pub fn write(&self, folder: &Path, https: u16, http: u16, proxy: u16) {
        let certs = folder.join("certs");
        std::fs::create_dir_all(&certs).expect("our own folder");
        std::fs::create_dir_all(folder.join("run")).expect("our own folder");
        std::fs::write(folder.join("ca.pem"), certificates::authority_pem()).expect("our own folder");
        for (number, names) in self.sites.iter().enumerate() {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let signed = certificates::sign(&names);
            std::fs::write(certs.join(format!("{number}.pem")), &signed.pem).expect("our own folder");
            folder::write_private(&certs.join(format!("{number}.key")), &signed.key_pem);
        }
        for (name, text) in &self.files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().expect("a file in our folder")).expect("our own folder");
            folder::write_private(&path, text);
            if path.extension().is_none_or(|kind| kind != "key") {
                std::fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("our own file");
            }
        }
        let text = self.text(folder, Ports { https, http, proxy });
        std::fs::write(folder.join("bulkhead.toml"), text).expect("our own folder");
    }

    fn try_start(&self) -> Result<World, Vec<String>> {
        let directory = folder::temporary();
        let held = [ports::hold(), ports::hold(), ports::hold()];
        let ports = Ports { https: held[0].port, http: held[1].port, proxy: held[2].port };
        self.write(directory.path(), ports.https, ports.http, ports.proxy);
        let bin = match self.uid {
            Some(uid) => {
                let bin = binaries::reachable_by(uid, directory.path());
                folder::give_to(directory.path(), uid);
                bin
            }
            None if self.own_programs => binaries::copies_in(directory.path()),
            None => binaries::folder().to_owned(),
        };
        drop(held);
        let (child, log) = launch(&bin, &directory.path().join("bulkhead.toml"), self.uid);
        let (name, uid) = (self.name.clone(), self.uid);
        let mut world = World { name, folder: directory, bin, uid, child, log, ports, before: None, ended: false };
        let end = Instant::now() + START;
        loop {
            if world.log.lines().iter().any(|line| line.starts_with("ready")) {
                world.note_descriptors();
                return Ok(world);
            }
            let over = world.child.try_wait().expect("our child").is_some();
            if over || Instant::now() > end {
                std::thread::sleep(Duration::from_millis(200));
                world.ended = true;
                let group = i32::try_from(world.child.id()).expect("a pid");
                let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(group), nix::sys::signal::Signal::SIGKILL);
                let _ = world.child.wait();
                limits::forget_group(group);
                return Err(world.log.lines());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn text(&self, folder: &Path, ports: Ports) -> String {
        if let Some(whole) = &self.whole {
            return moved(whole, folder, ports);
        }
        let mut text = format!("[bulkhead]\nruntime_dir = \"{}\"\n", folder.join("run").display());
        self.write_section(&mut text, "bulkhead");
        text.push_str("\n[log]\n");
        if !self.sections.contains_key("log") {
            let level = std::env::var("BULKHEAD_TEST_LOG").unwrap_or_else(|_| "info".into());
            let _ = writeln!(text, "level = \"{level}\"");
        }
        self.write_section(&mut text, "log");
        for section in self.sections.keys().filter(|name| !matches!(name.as_str(), "bulkhead" | "log")) {
            let _ = writeln!(text, "\n[{section}]");
            self.write_section(&mut text, section);
        }
        self.write_listener(&mut text, "sni-router", "https", ports.https, "protocol = \"tls\"\n", true);
        if self.plain && !self.http_routes.is_empty() {
            self.write_listener(&mut text, "sni-router", "http", ports.http, "protocol = \"http\"\n", true);
        }
        if self.forwards {
            self.write_listener(&mut text, "forward-proxy", "proxy", ports.proxy, "", false);
        }
        for (number, names) in self.sites.iter().enumerate() {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let _ = writeln!(
                text,
                "\n[[site]]\nnames = {}\ncertificate = \"certs/{number}.pem\"\nkey = \"certs/{number}.key\"\nalpn = [\"h2\", \"http/1.1\"]",
                list(&names)
            );
            for (_, keys) in self.site_keys.iter().filter(|(site, _)| *site == number) {
                let _ = writeln!(text, "{keys}");
            }
        }
        for part in self.routes.iter().chain([&self.tables]).chain(&self.http_routes) {
            let _ = write!(text, "\n{part}");
        }
        text
    }

    fn write_section(&self, text: &mut String, section: &str) {
        for (key, value) in self.sections.get(section).into_iter().flatten() {
            let _ = writeln!(text, "{key} = {value}");
        }
    }

    fn write_listener(&self, text: &mut String, section: &str, name: &str, port: u16, keys: &str, both: bool) {
        let mut addresses = vec![format!("127.0.0.1:{port}")];
        if both && ports::ipv6() {
            addresses.push(format!("[::1]:{port}"));
        }
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let _ = write!(text, "\n[[{section}.listen]]\nname = \"{name}\"\naddress = {}\n{keys}", list(&addresses));
        for (_, key, value) in self.listener_keys.iter().filter(|(listener, ..)| listener == name) {
            let _ = writeln!(text, "{key} = {value}");
        }
    }
}

/// A configuration for port 443, port 80 and `/run`, on our ports and in our folder.
fn moved(text: &str, folder: &Path, ports: Ports) -> String {
    let mut text = text.replace("\"/run/bulkhead\"", &format!("\"{}\"", folder.join("run").display()));
    for (port, own) in [(443, ports.https), (80, ports.http)] {
        let from = format!("[\"0.0.0.0:{port}\", \"[::]:{port}\"]");
        text = text.replace(&from, &format!("\"127.0.0.1:{own}\""));
    }
    text
}

fn launch(bin: &Path, config: &Path, uid: Option<u32>) -> (Child, Log) {
    let mut command = Command::new(bin.join("bulkhead"));
    command.arg("up").arg(config).process_group(0);
    for variable in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC"] {
        command.env_remove(variable);
    }
    command.env("RUST_BACKTRACE", "1");
    become_user(&mut command, uid);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("bulkhead can be started");
    limits::note_group(i32::try_from(child.id()).expect("a pid"));
    let log = Log::default();
    log.follow(child.stdout.take().expect("piped"));
    log.follow(child.stderr.take().expect("piped"));
    (child, log)
}

/// An ordinary user without root's groups (the standard library drops them when it sets the user).
pub(super) fn become_user(command: &mut Command, uid: Option<u32>) {
    if let Some(uid) = uid {
        command.uid(uid).gid(uid).current_dir("/");
    }
}

/// The network of one address.
fn network(server: SocketAddr) -> String {
    match server {
        SocketAddr::V4(four) => format!("{}/32", four.ip()),
        SocketAddr::V6(six) => format!("{}/128", six.ip()),
    }
}

fn list(words: &[&str]) -> String {
    format!("[{}]", words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "))
}
