//! The real binary inside its real sandbox: `--check`, serving sockets it was handed without any network of its own, status,
//! and the way it ends.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::wiring::{CONTROL, ROUTER_TO_TERMINATOR};

use crate::client::{Client, TLS12, TLS13, config};
use crate::world::{Plan, World, listen};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tls-terminator");

/// A whole configuration whose first site is the world's.
fn configure(world: &World, site: &str) -> std::path::PathBuf {
    let folder = world.folder.display();
    let text = format!(
        r#"
[bulkhead]
runtime_dir = "{folder}"
[[sni-router.listen]]
name = "https"
address = "127.0.0.1:1"
[[route]]
name = "shop"
server_names = ["shop.example", "*.shop.example"]
terminate = true
[tls-terminator]
handoff = "relay"
[[pool]]
name = "web"
servers = "127.0.0.1:2"
[[http-filter.route]]
name = "all"
pool = "web"
[[site]]
names = ["shop.example", "*.shop.example"]
{site}
"#
    );
    let path = world.folder.join("bulkhead.toml");
    std::fs::write(&path, text).unwrap();
    path
}

const PAIR: &str = r#"certificate = ["0-ec.crt", "0-rsa.crt"]
key = ["0-ec.key", "0-rsa.key"]"#;

fn check(world: &World, site: &str) -> (bool, String) {
    let Output { status, stderr, .. } =
        Command::new(PROGRAM).arg("--check").arg(configure(world, site)).output().unwrap();
    (status.success(), String::from_utf8(stderr).unwrap())
}

#[test]
fn check_judges_keys_and_certificates() {
    let world = World::start(Plan::default());
    assert_eq!(check(&world, PAIR), (true, String::new()));
    let (good, text) = check(&world, "certificate = \"0-ec.crt\"\nkey = \"0-rsa.key\"");
    assert!(!good && text.contains("0-rsa.key") && text.contains("does not belong"), "{text}");
    let (good, text) = check(&world, "certificate = \"1-ec.crt\"\nkey = \"1-ec.key\"");
    assert!(good && text.contains("does not cover *.shop.example"), "{text}");
    let (good, text) = check(&world, "certificate = \"none.crt\"\nkey = \"0-ec.key\"");
    assert!(!good && text.contains("none.crt"), "{text}");
}

/// The running process; killed when dropped.
pub struct Running {
    pub child: Child,
    log: std::sync::mpsc::Receiver<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    pub fn start(world: &World, from_router: OwnedFd) -> Self {
        let path = configure(world, PAIR);
        std::fs::create_dir_all(world.folder.join("control")).unwrap();
        let control = listen(&world.folder.join("control/tls-terminator-1.sock"));
        let mut command = Command::new(PROGRAM);
        command.arg("--config").arg(path).stderr(Stdio::piped());
        let names = format!("{CONTROL}:{}", ROUTER_TO_TERMINATOR.descriptor_name());
        command.env("LISTEN_FDS", "2").env("LISTEN_FDNAMES", names);
        common::sys::socket::pass_descriptors(&mut command, vec![control, from_router]);
        let mut child = command.spawn().unwrap();
        let (tell, log) = std::sync::mpsc::channel();
        let lines = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || lines.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { child, log }
    }

    /// Waits for a line of the log.
    #[track_caller]
    pub fn says(&self, part: &str) -> String {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) {
            match self.log.recv_timeout(Duration::from_secs(10)) {
                Ok(line) if line.contains(part) => return line,
                Ok(_) => {}
                Err(error) => panic!("never said '{part}': {error}"),
            }
        }
        panic!("did not say '{part}' in time");
    }

    pub fn signal(&self, signal: &str) {
        assert!(Command::new("kill").arg(signal).arg(self.child.id().to_string()).status().unwrap().success());
    }
}

#[test]
fn the_sandboxed_process_serves_what_it_is_handed_and_ends_in_order() {
    let (world, from_router) = World::around(Plan::default());
    let mut running = Running::start(&world, from_router);
    running.says("serving");
    let shared = std::sync::Arc::new(config(&world, TLS13, &["h2"]));
    for round in 0..3 {
        let mut client = Client::shared(&world, &shared, "www.shop.example");
        client.echo(b"hello");
        client.echo(&vec![3; 500_000]);
        let kind = client.tls.handshake_kind().unwrap();
        assert_eq!(kind == rustls::HandshakeKind::Resumed, round > 0);
        client.goodbye();
        assert_eq!(client.rest().unwrap(), b"");
        let line = running.says("connection ended");
        for part in ["server_name=www.shop.example", "version=TLSv1.3", "alpn=h2", "bytes_in=500005", "end=client"] {
            assert!(line.contains(part), "{part} is missing in: {line}");
        }
    }
    let mut client = Client::new(&world, config(&world, TLS12, &[]), "shop.example");
    client.echo(b"still open at the end");
    running.signal("-TERM");
    std::thread::sleep(Duration::from_millis(200));
    client.echo(b"served while it drains");
    client.goodbye();
    assert_eq!(client.rest().unwrap(), b"");
    running.says("finished");
    assert!(running.child.wait().unwrap().success());
    let mut rest = String::new();
    if let Some(mut stderr) = running.child.stderr.take() {
        stderr.read_to_string(&mut rest).unwrap();
    }
    assert!(!rest.contains("ERROR"), "{rest}");
}
