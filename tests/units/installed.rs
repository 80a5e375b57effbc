//! The life of a package on a machine, by the real apt, dpkg and systemd: installed, one file edited, started, upgraded, removed,
//! installed again, purged.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use common::process::Process;
use harness::backends::Backend;
use harness::certificates;
use harness::clients::{http, raw, tls};
use harness::load::{Load, Manner};
use harness::needs::{find, skip};
use harness::{folder, within};

use crate::machine::Machine;
use crate::package;
use crate::packages::{offered, packaging};
use crate::unit_file;
use crate::world::{HTTP, HTTPS, SECURE, WWW, doors};

/// What the default configuration needs.
const RUNNING: [Process; 4] =
    [Process::PassthroughRelay, Process::HttpFilter, Process::TlsTerminator, Process::SniRouter];
const CONFIG: &str = "/etc/bulkhead/bulkhead.toml";
const KEY: &str = "/etc/bulkhead/secrets/tls-terminator/www.key";

/// A machine on which nothing of ours was ever installed, and what stands behind its proxy.
struct Host {
    machine: Machine,
    web: Backend,
    secure: Backend,
}

impl Host {
    fn boot(test: &str) -> Option<Self> {
        for program in package::PROGRAMS.into_iter().chain(["apt-get"]) {
            if find(program).is_none() {
                skip(test, &format!("needs {program}"));
                return None;
            }
        }
        let machine = Machine::boot_with(test, OsStr::new(""))?;
        machine.enter();
        assert_eq!(left_behind(&machine), Vec::<String>::new(), "before anything was installed");
        let identity = certificates::sign(&[SECURE]);
        Some(Self { machine, web: Backend::application(), secure: Backend::tls_application(&identity) })
    }

    /// Runs it, asking nobody.
    fn quietly(&self, words: &[&str]) -> String {
        let came = self.machine.try_run("env", &[&["DEBIAN_FRONTEND=noninteractive"], words].concat());
        assert!(came.good, "{words:?}: {}\n{}", came.text, self.machine.journal("bulkhead*"));
        came.text
    }

    /// `apt-get install FILE`, with nothing known of other packages than those that are installed.
    fn apt_install(&self, file: &str) -> String {
        self.machine.write("/var/cache/no-lists/partial/none", "");
        let options = ["-q", "-y", "--no-install-recommends", "-o", "Dir::State::Lists=/var/cache/no-lists"];
        self.quietly(&[&["apt-get"], &options[..], &["-o", "DPkg::Options::=--no-triggers", "install", file]].concat())
    }

    /// `dpkg …`, but for what other packages want to do then: the index of the manual takes longer than all of ours.
    fn dpkg(&self, words: &[&str]) -> String {
        self.quietly(&[&["dpkg", "--no-triggers"], words].concat())
    }

    /// What an administrator does: `#` away, names and servers in, the certificate to where the file says.
    fn edit_one_file(&self) {
        let text = fs::read_to_string(self.machine.path(CONFIG)).expect("it was installed");
        let at = text.find("# ---- Clients that go out.").expect("the block that needs another socket");
        let text = format!("{}{}", offered(&text[..at]), &text[at..]);
        let servers = format!("\"{}\"", self.web.address());
        let values = [
            ("\"192.0.2.10:8080\", \"192.0.2.11:8080\"", servers.as_str()),
            ("192.0.2.20:443", &self.secure.address().to_string()),
            ("www.example", WWW),
            ("mail.example", SECURE),
        ];
        let text = values.iter().fold(text, |text, (from, to)| {
            assert!(text.contains(from), "the default configuration has no {from}");
            text.replace(from, to)
        });
        self.machine.write(CONFIG, &text);
        let signed = certificates::sign(&[WWW]);
        self.machine.write("/etc/bulkhead/www.pem", &signed.pem);
        self.machine.write(KEY, &signed.key_pem);
    }

    fn serves(&self) {
        let mut stream = tls::client(WWW).connect(HTTPS).expect("a handshake");
        assert_eq!(http::get(&mut stream, WWW, "/").expect("an answer").status, 200, "terminated");
        tls::goodbye(stream);
        let mut stream = tls::client(SECURE).connect(HTTPS).expect("a handshake");
        assert_eq!(http::get(&mut stream, SECURE, "/").expect("an answer").status, 200, "passed through");
        tls::goodbye(stream);
        let answer = http::get(&mut raw::connect(HTTP), WWW, "/a").expect("an answer");
        assert_eq!(answer.header("location"), Some(format!("https://{WWW}/a").as_str()), "{}", answer.head);
    }

    /// Every main process of a kind, whatever the numbers of its instances.
    fn processes_of(&self, process: Process) -> Vec<u32> {
        let pattern = format!("bulkhead-{process}@*.service");
        let words = ["list-units", "--plain", "--no-legend", "--state=active", &pattern];
        let text = self.machine.systemctl(&words);
        let units = text.lines().filter_map(|line| line.split_whitespace().next());
        units.map(|unit| self.machine.main_pid(unit)).collect()
    }

    /// All of them.
    fn processes(&self) -> Vec<Vec<u32>> {
        RUNNING.map(|process| self.processes_of(process)).to_vec()
    }

    fn active(&self) -> String {
        let words = ["list-units", "--plain", "--no-legend", "--state=active,activating,failed", "bulkhead*"];
        self.machine.systemctl(&words)
    }

    fn closed(&self) {
        for address in [HTTP, HTTPS] {
            assert!(std::net::TcpStream::connect(address).is_err(), "{address} is open");
        }
    }
}

/// Files and folders of ours, but for documents of apt.
fn left_behind(machine: &Machine) -> Vec<String> {
    let folders = ["/etc", "/usr", "/run", "/var/lib/dpkg/info", "/var/lib/systemd"];
    let words = [&folders[..], &["-name", "*bulkhead*", "-prune"]].concat();
    let mut found: Vec<String> = machine.run("find", &words).lines().map(str::to_owned).collect();
    // The programs of this build and its source may lie below /usr on some machines.
    found.retain(|path| !path.starts_with("/usr/src/") && !path.starts_with("/usr/local/"));
    found.sort();
    found
}

fn users(machine: &Machine) -> usize {
    let users = fs::read_to_string(machine.path("/etc/passwd")).expect("a machine has users");
    users.lines().filter(|line| line.starts_with("bulkhead-") && line.ends_with("/nologin")).count()
}

fn copy(host: &Host, file: &Path) -> String {
    let inside = format!("/var/cache/{}", file.file_name().unwrap().to_str().unwrap());
    fs::copy(file, host.machine.path(&inside)).expect("our own machine");
    inside
}

#[test]
fn a_package_is_installed_edited_started_upgraded_removed_and_purged() {
    within(300, || {
        let Some(host) = Host::boot("a_package") else { return };
        let debs = folder::temporary();
        let files = package::make(debs.path(), ["0.1.0-1", "0.2.0-1"]);
        let [first, second] = files.map(|file| copy(&host, &file));
        installed(&host, &first);
        mistaken(&host);
        host.edit_one_file();
        host.machine.systemctl(&["start", "bulkhead.target"]);
        host.serves();
        upgraded(&host, &second);
        refused(&host, &second);
        removed(&host);
        host.dpkg(&["--install", &second]);
        host.machine.systemctl(&["start", "bulkhead.target"]);
        host.serves();
        purged(&host);
    });
}

/// Nothing runs and nothing listens; what is there is sound.
fn installed(host: &Host, file: &str) {
    host.apt_install(file);
    let machine = &host.machine;
    assert_eq!(host.active(), "", "something was started by installing");
    host.closed();
    assert_eq!(machine.try_run("systemctl", &["is-enabled", "bulkhead.target"]).text.trim(), "disabled");
    for unit in ["bulkhead-https.socket", "bulkhead-http.socket", "bulkhead-sni-router@1.service"] {
        assert_eq!(machine.systemctl(&["is-enabled", unit]).trim(), "enabled", "{unit} comes with the target");
    }
    assert_eq!(machine.try_run("systemctl", &["is-enabled", "bulkhead-proxy.socket"]).text.trim(), "disabled");
    assert_eq!(users(machine), 6, "one user per process, and one for the page of figures");
    assert!(machine.run("bulkhead", &["check", CONFIG]).contains("ok:"), "the front door is on the PATH");
    assert_eq!(machine.run("stat", &["-c", "%a %U", "/etc/bulkhead/secrets"]).trim(), "700 root");
    let names: Vec<String> = unit_file::names().iter().map(|name| name.replace('@', "@1")).collect();
    let words: Vec<&str> = ["verify"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let came = machine.try_run("systemd-analyze", &words);
    assert!(came.good && came.text.trim().is_empty(), "{}", came.text);
    // As installed it starts, and refuses.
    machine.systemctl(&["start", "bulkhead.target"]);
    assert_eq!(http::get(&mut raw::connect(HTTP), WWW, "/").expect("an answer").status, 403);
    assert!(tls::client(WWW).connect(HTTPS).is_err(), "a handshake with a configuration that refuses everything");
    machine.systemctl(&["stop", "bulkhead.target"]);
    harness::eventually(30, "everything has stopped", || {
        host.active().lines().all(|line| line.contains(".slice")).then_some(())
    });
}

/// A mistake in the file is told to whoever starts, not to the journal alone.
fn mistaken(host: &Host) {
    let config = fs::read_to_string(host.machine.path(CONFIG)).unwrap();
    host.machine.write(CONFIG, &config.replace("status = 403", "statsu = 403"));
    let came = host.machine.try_run("systemctl", &["start", "bulkhead.target"]);
    assert!(!came.good, "a start with a bad configuration looks as if it were good: {}", came.text);
    assert!(host.machine.journal("bulkhead.service").contains("statsu"));
    host.machine.write(CONFIG, &config);
}

/// Another release in the place of the one that runs: new processes, the same configuration, nobody refused.
fn upgraded(host: &Host, file: &str) {
    let (before, config) = (host.processes(), fs::read(host.machine.path(CONFIG)).unwrap());
    assert!(before.iter().all(|pids| pids.len() == 1), "{before:?}");
    let load = Load::start(&doors(HTTPS), &[Manner::NewTls, Manner::NewPassthrough]);
    load.go_on(30);
    host.dpkg(&["--install", file]);
    load.go_on(30);
    let came = load.end();
    assert!(came.lost.is_empty(), "requests were lost: {came:#?}");
    for (process, before) in RUNNING.iter().zip(&before) {
        harness::eventually(30, &format!("{process} has been followed"), || {
            let now = host.processes_of(*process);
            (now.len() == 1 && now != *before).then_some(())
        });
        let program = host.machine.path(&format!("/proc/{}/exe", host.processes_of(*process)[0]));
        let program = fs::read_link(program).expect("it lives").display().to_string();
        assert!(!program.contains("deleted"), "{process} is still {program}");
    }
    assert_eq!(fs::read(host.machine.path(CONFIG)).unwrap(), config, "the configuration is the administrator's");
    assert!(host.machine.run("dpkg-query", &["-W", "bulkhead"]).contains("0.2.0-1"));
    host.serves();
}

/// A release that does not take the configuration changes nothing, and says so.
fn refused(host: &Host, file: &str) {
    let config = fs::read_to_string(host.machine.path(CONFIG)).unwrap();
    host.machine.write(CONFIG, &format!("{config}\nnonsense = true\n"));
    let before = host.processes();
    let said = host.dpkg(&["--install", file]);
    assert!(said.contains("nonsense") && said.contains("the release before"), "{said}");
    assert_eq!(host.processes(), before, "processes were replaced by ones that cannot start");
    host.serves();
    host.machine.write(CONFIG, &config);
}

/// Nothing runs; what an administrator wrote is there.
fn removed(host: &Host) {
    host.dpkg(&["--remove", "bulkhead"]);
    host.closed();
    assert_eq!(
        host.machine.run("ls", &["/etc/bulkhead"]).split_whitespace().collect::<Vec<_>>(),
        ["bulkhead.toml", "secrets", "www.pem"]
    );
    assert!(!host.machine.path("/run/bulkhead").exists() && !host.machine.path("/run/bulkhead-root").exists());
    assert!(!host.machine.path("/usr/lib/bulkhead").exists());
    let processes = host.machine.try_run("pgrep", &["-u", "bulkhead-sni-router,bulkhead-http-filter"]);
    assert!(processes.text.trim().is_empty(), "{}", processes.text);
}

/// Of ours nothing; of the administrator's the keys and what he put beside them.
fn purged(host: &Host) {
    let machine = &host.machine;
    machine.systemctl(&["enable", "bulkhead.target"]);
    let said = host.dpkg(&["--purge", "bulkhead"]);
    host.closed();
    assert!(said.contains("/etc/bulkhead is not empty and stays"), "{said}");
    assert_eq!(left_behind(machine), ["/etc/bulkhead"]);
    let kept = machine.run("find", &["/etc/bulkhead", "-type", "f"]);
    let mut kept: Vec<&str> = kept.lines().collect();
    kept.sort_unstable();
    assert_eq!(kept, [KEY, "/etc/bulkhead/www.pem"]);
    assert_eq!(users(machine), 6, "users stay, locked");
    assert!(!host.active().contains("active"), "{}", host.active());
    // Without keys nothing at all is left.
    for file in kept {
        fs::remove_file(machine.path(file)).unwrap();
    }
    let script = fs::read_to_string(packaging().join("debian/postrm")).expect("it is there");
    machine.write("/var/cache/postrm", &script);
    machine.run("sh", &["/var/cache/postrm", "purge"]);
    assert_eq!(left_behind(machine), Vec::<String>::new());
}
