//! testssl.sh and sslyze against us and against bare rustls: no finding may be worse. They take minutes, so `make tls-check`
//! runs them and CI does not; docs/tls.md has the table.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};

use harness::backends::Backend;
use harness::{needs, within};
use serde_json::Value;

use crate::bare::Bare;
use crate::world::{SITE, for_each, start};

/// What a scanner says: name of a finding, and how bad it is (0: good).
type Findings = BTreeMap<String, (usize, String)>;

/// testssl's severities, from good to bad.
const SEVERITIES: [&str; 7] = ["OK", "INFO", "LOW", "WARN", "MEDIUM", "HIGH", "CRITICAL"];

/// Findings of testssl that say what it was called with, how long it took, or what stands in a certificate that tests made.
const BESIDE_THE_POINT: [&str; 8] =
    ["service", "scanTime", "engine_problem", "clientsimulation", "cert", "DNS_CAArecord", "HTTP_", "banner"];

fn run(command: &mut Command) -> Output {
    command.env("MAX_OSSL_FAIL", "10").output().expect("needs::find() has found it")
}

/// Scans with testssl.sh, again where it says of itself that it could not connect.
fn testssl(program: &Path, address: SocketAddr) -> Findings {
    let mut findings = Findings::new();
    for _ in 0..3 {
        findings = testssl_once(program, address);
        if !findings.values().any(|(_, finding)| finding.contains("connect problem")) {
            break;
        }
    }
    findings
}

fn testssl_once(program: &Path, address: SocketAddr) -> Findings {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("findings.json");
    let mut command = Command::new(program);
    command.args(["--quiet", "--color", "0", "--warnings", "off", "--ip", "127.0.0.1"]);
    command.args([
        "--protocols",
        "--std",
        "--pfs",
        "--server-preference",
        "--server-defaults",
        "--vulnerable",
        "--grease",
    ]);
    command.arg("--jsonfile");
    command.arg(&file).arg(format!("{SITE}:{}", address.port()));
    let output = run(&mut command);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("testssl wrote nothing: {error}: {said}"));
    let all: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let mut findings = Findings::new();
    for finding in all.as_array().into_iter().flatten() {
        let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        let severity = SEVERITIES.iter().position(|own| *own == text("severity")).unwrap_or(SEVERITIES.len());
        if !BESIDE_THE_POINT.iter().any(|start| text("id").starts_with(start)) {
            findings.insert(text("id"), (severity, text("finding")));
        }
    }
    assert!(findings.len() > 40, "testssl found next to nothing: {findings:#?}\n{said}");
    findings
}

/// Scans with sslyze, again where a scan of its own went wrong (it opens hundreds of connections, and gives each five seconds).
fn sslyze(program: &Path, address: SocketAddr) -> Findings {
    let mut findings = Findings::new();
    for _ in 0..3 {
        findings = sslyze_once(program, address);
        if !findings.keys().any(|name| name.ends_with(".status")) {
            break;
        }
    }
    findings
}

/// What it accepts and what it is vulnerable to, as lines; its own kind of badness is that there are more.
fn sslyze_once(program: &Path, address: SocketAddr) -> Findings {
    let mut command = Command::new(program);
    command.args([
        "--json_out=-",
        "--sni",
        SITE,
        "--certinfo",
        "--sslv2",
        "--sslv3",
        "--tlsv1",
        "--tlsv1_1",
        "--tlsv1_2",
    ]);
    command.args([
        "--tlsv1_3",
        "--compression",
        "--early_data",
        "--fallback",
        "--heartbleed",
        "--openssl_ccs",
        "--reneg",
    ]);
    command.args(["--resum", "--robot", "--elliptic_curves", "--ems", "--slow_connection"]).arg(address.to_string());
    let output = run(&mut command);
    let text = short_numbers(&String::from_utf8_lossy(&output.stdout));
    let all: Value = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
    let results = &all["server_scan_results"][0]["scan_result"];
    let results = results.as_object().unwrap_or_else(|| panic!("sslyze could not connect: {text}"));
    let mut findings = Findings::new();
    for (scan, result) in results.iter().filter(|(scan, _)| *scan != "certificate_info") {
        if result["status"] != "COMPLETED" {
            if result["status"] != "NOT_SCHEDULED" {
                findings
                    .insert(format!("{scan}.status"), (1, format!("{} {}", result["status"], result["error_reason"])));
            }
            continue;
        }
        flatten(scan, &result["result"], &mut findings);
    }
    assert!(findings.len() > 40, "sslyze found next to nothing: {text}");
    findings
}

/// Numbers of hundreds of digits (public keys) are none for most readers of JSON; nothing here looks at them.
fn short_numbers(text: &str) -> String {
    let mut short = String::with_capacity(text.len());
    let mut digits = 0;
    for letter in text.chars() {
        digits = if letter.is_ascii_digit() { digits + 1 } else { 0 };
        if digits <= 15 {
            short.push(letter);
        }
    }
    short
}

/// Every leaf by its path; what is a list of ciphers or curves by their names.
fn flatten(path: &str, value: &Value, findings: &mut Findings) {
    match value {
        Value::Object(all) => all.iter().for_each(|(key, value)| flatten(&format!("{path}.{key}"), value, findings)),
        Value::Array(all) => {
            for value in all {
                let name = [&value["cipher_suite"]["name"], &value["name"]].into_iter().find_map(|name| name.as_str());
                match name {
                    Some(name) => drop(findings.insert(format!("{path}: {name}"), (1, "there".to_owned()))),
                    None => drop(findings.insert(format!("{path}: {value}"), (1, "there".to_owned()))),
                }
            }
        }
        other => drop(findings.insert(path.to_owned(), (0, other.to_string()))),
    }
}

/// Where ours is worse: for testssl by its severity; for sslyze anything that is other than theirs.
fn compare(scanner: &str, handoff: &str, ours: &Findings, theirs: &Findings, exact: bool) -> Vec<String> {
    let mut worse = Vec::new();
    let mut names: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
    names.sort();
    names.dedup();
    for name in &names {
        let (own, their) = (ours.get(*name), theirs.get(*name));
        if own == their {
            continue;
        }
        let line = format!("{scanner}, {handoff}: {name}: {own:?}, bare rustls {their:?}");
        eprintln!("SCAN {line}");
        let bad = |one: Option<&(usize, String)>| one.map_or(0, |(severity, _)| *severity);
        if exact || bad(own) > bad(their).max(1) {
            worse.push(line);
        }
    }
    let bad = |all: &Findings| all.values().filter(|(severity, _)| *severity > 1).count();
    let figures =
        format!("{} findings, {} above INFO (bare rustls: {}, {})", ours.len(), bad(ours), theirs.len(), bad(theirs));
    eprintln!("SCAN {scanner}, {handoff}: {figures}, {} worse", worse.len());
    worse
}

#[test]
#[ignore = "takes minutes: make tls-check"]
fn scanners_find_nothing_worse_than_in_bare_rustls() {
    let testssl_program =
        needs::find("testssl").or_else(|| needs::find("testssl.sh")).expect("apt-get install testssl.sh");
    let sslyze_program = needs::find("sslyze").expect("pip install sslyze, and its folder on PATH");
    within(1500, move || {
        let bare = Bare::start();
        let theirs = (testssl(&testssl_program, bare.address), sslyze(&sslyze_program, bare.address));
        for_each(|handoff| {
            let backend = Backend::application();
            let world = start("scanners", handoff, &backend);
            let ours = (testssl(&testssl_program, world.https()), sslyze(&sslyze_program, world.https()));
            let mut worse = compare("testssl", handoff.name(), &ours.0, &theirs.0, false);
            worse.extend(compare("sslyze", handoff.name(), &ours.1, &theirs.1, true));
            assert!(worse.is_empty(), "{worse:#?}");
        });
    });
}
