//! What `systemd-analyze security` says of the units, as figures that must not grow. It needs no PID 1. What it says is a
//! claim of the files; [`crate::controls`] looks whether the kernel keeps it.

use std::process::Command;

use harness::need;

use crate::unit_file;

/// Unit, and tenths of exposure at most: 0 best, 100 worst.
const MOST: [(&str, u32); 8] = [
    ("bulkhead-sni-router@.service", 2),
    ("bulkhead-tls-terminator@.service", 2),
    ("bulkhead-http-filter@.service", 2),
    ("bulkhead-forward-proxy@.service", 2),
    ("bulkhead-metrics.service", 2),
    ("bulkhead-passthrough-relay@.service", 10), // the only one with a network
    ("bulkhead.service", 7),                     // runs at start and reload only, as root, to read what only root may
    ("bulkhead-renew.service", 7),
];

#[test]
fn no_unit_is_more_exposed_than_promised() {
    if !need("no_unit_is_more_exposed_than_promised", "systemd-analyze") {
        return;
    }
    let services: Vec<String> = unit_file::names().into_iter().filter(|name| name.ends_with(".service")).collect();
    for name in &services {
        let most =
            MOST.iter().find(|(unit, _)| unit == name).unwrap_or_else(|| panic!("{name}: no figure is promised"));
        let tenths = exposure(name);
        assert!(tenths <= most.1, "{name}: exposure {tenths}/10, promised {}/10", most.1);
    }
    assert_eq!(services.len(), MOST.len());
}

/// In tenths.
fn exposure(name: &str) -> u32 {
    let file = unit_file::folder().join(name);
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(file)
        .env("LC_ALL", "C")
        .output()
        .expect("it was there a moment ago");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let figure = text.rsplit_once("Overall exposure level for ").and_then(|(_, rest)| rest.split_once(": "));
    let figure =
        figure.and_then(|(_, rest)| rest.split_whitespace().next()).unwrap_or_else(|| panic!("{name}: {text}"));
    figure.replace('.', "").parse().unwrap_or_else(|_| panic!("{name}: {figure}"))
}
