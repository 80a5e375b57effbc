//! The front door: `check` judges without opening a port, `up` leaves nothing behind, `status` answers, the demo is right.

use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use harness::backends::Backend;
use harness::clients::{http, raw};
use harness::{World, binaries, certificates, folder, ports, processes, within};

fn check(config: &Path) -> Output {
    Command::new(binaries::path("bulkhead")).arg("check").arg(config).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A good configuration on ports that are free, as text, in a folder with all it names.
struct Good {
    folder: tempfile::TempDir,
    text: String,
    port: u16,
}

fn good() -> Good {
    let folder = folder::temporary();
    let (https, http, proxy) = (ports::hold(), ports::hold(), ports::hold());
    let backend = "127.0.0.2:9".parse().unwrap();
    World::new("check")
        .terminates(&["www.test"])
        .pool("app", &[backend])
        .serves("app")
        .passes("shop.test", "app")
        .forwards()
        .write(folder.path(), https.port, http.port, proxy.port);
    let text = std::fs::read_to_string(folder.path().join("bulkhead.toml")).unwrap();
    Good { folder, text, port: https.port }
}

impl Good {
    fn judged_with(&self, from: &str, to: &str) -> Output {
        assert!(self.text.contains(from), "{from:?} is not in:\n{}", self.text);
        let path = self.folder.path().join("changed.toml");
        std::fs::write(&path, self.text.replacen(from, to, 1)).unwrap();
        check(&path)
    }
}

#[test]
fn a_good_configuration_is_good() {
    within(60, || {
        let good = good();
        let output = check(&good.folder.path().join("bulkhead.toml"));
        assert!(output.status.success(), "{}", text(&output));
        assert!(TcpStream::connect(("127.0.0.1", good.port)).is_err(), "check opens no port");
    });
}

#[test]
fn every_mistake_is_shown_where_it_is() {
    within(120, || {
        let good = good();
        let second_site =
            "[[site]]\nnames = [\"www.test\"]\ncertificate = \"certs/0.pem\"\nkey = \"certs/0.key\"\n\n[[route]]";
        let port = good.port;
        let address = format!("\"127.0.0.1:{port}\"");
        let twice = format!("{address}, {address}");
        for (from, to, words) in [
            ("terminate = true", "terminte = true", &["terminte", "terminate"][..]),
            ("passthrough = \"app\"", "passthrough = \"ap\"", &["ap", "app"]),
            ("level = \"info\"", "level = \"loud\"", &["loud", "info"]),
            ("level = \"info\"", "level = 3", &["level"]),
            (
                "name = \"everything-to-app\"",
                "name = \"everything-to-app\"\npath_regex = '^/(x'",
                &["path_regex", "unclosed group", "path_regex = '^/(x'"],
            ),
            (
                "name = \"everything-to-app\"",
                "name = \"everything-to-app\"\nrewrite_path = { regex = '^/(.)', to = \"/${2}\" }",
                &["no capture `2`", "regex = '^/(.)'"],
            ),
            (
                "name = \"everything-to-app\"",
                "name = \"everything-to-app\"\nwhen = 'request.pth == \"/\"'",
                &["http-filter.route.when", "request.pth"],
            ),
            ("[log]", "[lag]", &["lag", "log"]),
            ("idle_deadline = \"1s\"", "idle_deadline = \"1 fortnight\"", &["fortnight"]),
            ("127.0.0.2:9", "127.0.0.2:99999", &["99999"]),
            ("certs/0.key", "certs/none.key", &["none.key"]),
            ("server_names = [\"shop.test\"]", "server_names = [\"www.test\"]", &["www.test"]),
            ("server_names = [\"shop.test\"]", "server_names = [\"*\"]", &["*"]),
            ("server_names = [\"shop.test\"]", "server_names = [\"sh op.test\"]", &["sh op.test"]),
            ("[[route]]", second_site, &["www.test"]),
            (address.as_str(), twice.as_str(), &[address.trim_matches('"')]),
            ("names = [\"www.test\"]", "names = [\"other.test\"]", &["www.test"]),
            ("pool = \"app\"", "pool = \"nowhere\"", &["nowhere"]),
            ("terminate = true", "terminate = true\npassthrough = \"app\"", &["passthrough"]),
        ] {
            let output = good.judged_with(from, to);
            let said = text(&output);
            assert_eq!(output.status.code(), Some(1), "{from:?} → {to:?}: {said}");
            let place = said.find("changed.toml:").map(|at| &said[at + "changed.toml:".len()..]);
            let line: String = place.unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
            assert!(!line.is_empty(), "no file:line for {from:?} → {to:?}: {said}");
            for word in words {
                assert!(said.contains(word), "{word} is not named for {from:?} → {to:?}: {said}");
            }
        }
    });
}

#[test]
fn keys_and_certificates_are_judged_by_who_will_use_them() {
    within(60, || {
        let good = good();
        let certs = good.folder.path().join("certs");
        let other = certificates::sign(&["www.test"]);
        folder::write_private(&certs.join("other.key"), &other.key_pem);
        std::fs::write(certs.join("no.pem"), "this is no certificate\n").unwrap();
        let output = good.judged_with("certs/0.key", "certs/other.key");
        assert!(output.status.code() == Some(1) && text(&output).contains("other.key"), "{}", text(&output));
        let output = good.judged_with("certs/0.pem", "certs/no.pem");
        assert!(output.status.code() == Some(1) && text(&output).contains("no.pem"), "{}", text(&output));
    });
}

#[test]
fn up_refuses_what_check_refuses_and_opens_no_port() {
    within(60, || {
        let good = good();
        let path = good.folder.path().join("changed.toml");
        std::fs::write(&path, good.text.replace("passthrough = \"app\"", "passthrough = \"ap\"")).unwrap();
        let output = Command::new(binaries::path("bulkhead")).arg("up").arg(&path).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        assert!(text(&output).contains("changed.toml:"), "{}", text(&output));
    });
}

#[test]
fn a_port_that_is_taken_is_an_error_that_names_it() {
    within(60, || {
        let good = good();
        let taken = std::net::TcpListener::bind(("127.0.0.1", good.port)).unwrap();
        let config = good.folder.path().join("bulkhead.toml");
        let output = Command::new(binaries::path("bulkhead")).arg("up").arg(config).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        assert!(text(&output).contains(&good.port.to_string()), "{}", text(&output));
        drop(taken);
    });
}

#[test]
fn up_stops_in_order_and_leaves_nothing() {
    within(60, || {
        let backend = Backend::application();
        let world = World::new("leaves-nothing")
            .terminates(&["www.test"])
            .pool("app", &[backend.address()])
            .serves("app")
            .start();
        let pids: Vec<u32> = world.processes().into_iter().map(|living| living.pid).collect();
        assert_eq!(pids.len(), 4, "no forward-proxy is needed, so none is started");
        let (https, run) = (world.https(), world.folder().join("run"));
        // Folders survive the world; copy what is in run/ after the stop, before the temporary folder goes.
        let folder = world.stop_keeping_folder();
        assert!(pids.iter().all(|pid| processes::is_gone(*pid)));
        assert!(TcpStream::connect(https).is_err());
        let left = sockets_below(&run);
        assert!(left.is_empty(), "{left:?}");
        drop(folder);
    });
}

fn sockets_below(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(sockets_below(&path));
        } else if path.extension().is_some_and(|kind| kind == "sock") {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_request_in_flight_is_finished_before_the_stop() {
    within(60, || {
        let backend = Backend::application();
        let world =
            World::new("graceful").terminates(&["www.test"]).pool("app", &[backend.address()]).serves("app").start();
        let address = world.http();
        let client = std::thread::spawn(move || {
            let mut stream = raw::connect(address);
            http::get(&mut stream, "www.test", "/sleep/1000").map(|answer| answer.status)
        });
        backend.wait_for_bytes(10);
        world.stop_without_counting();
        assert_eq!(client.join().unwrap().unwrap(), 200);
    });
}

#[test]
fn status_tells_how_everybody_is() {
    within(60, || {
        let backend = Backend::application();
        let world =
            World::new("status").terminates(&["www.test"]).pool("app", &[backend.address()]).serves("app").start();
        let before = world.figure("sni-router", "accepted");
        let mut stream = raw::connect(world.http());
        assert_eq!(http::get(&mut stream, "www.test", "/").unwrap().status, 200);
        assert_eq!(world.figure("sni-router", "accepted"), before + 1);
        let status = world.status();
        assert_eq!(status.len(), 4);
        for one in &status {
            let name = one["process"].as_str().unwrap();
            assert_eq!(one["pid"].as_u64(), Some(u64::from(world.pid(name))), "{one}");
            assert_eq!(one["state"], "serving");
        }
        let config = world.config();
        let table = world.bulkhead(&["status", &config.to_string_lossy()]);
        assert!(table.status.success() && text(&table).contains("sni-router"), "{}", text(&table));
    });
}

#[test]
fn status_without_a_bulkhead_says_so() {
    within(60, || {
        let good = good();
        let config = good.folder.path().join("bulkhead.toml");
        let output = Command::new(binaries::path("bulkhead")).arg("status").arg(config).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        assert!(!text(&output).is_empty());
    });
}

#[test]
fn the_demo_checks_itself() {
    within(150, || demo(None));
}

#[test]
fn the_demo_checks_itself_as_an_ordinary_user() {
    if !nix::unistd::geteuid().is_root() {
        return; // the other test is this one
    }
    within(150, || demo(Some(65_534)));
}

fn demo(uid: Option<u32>) {
    let spare = folder::temporary();
    let mut command = match uid {
        Some(uid) => {
            let mut command = Command::new(binaries::reachable_by(uid, spare.path()).join("bulkhead"));
            command.uid(uid).gid(uid);
            command
        }
        None => Command::new(binaries::path("bulkhead")),
    };
    let output = command.args(["demo", "--check"]).current_dir("/").env_remove("TMPDIR").output().unwrap();
    assert!(output.status.success(), "bulkhead demo --check as {uid:?}:\n{}", text(&output));
    std::thread::sleep(Duration::from_millis(50));
}
