//! `docs/metrics.md` is what the binaries say of their own figures. `BLESS=1` writes it.

use std::fmt::Write as _;
use std::process::Command;

use common::process::Process;

use crate::tree::root;

const HEAD: &str = "\
# Figures

What each process counts. `bulkhead status --figures` shows the values, `bulkhead status --json` gives them to machines;
counters only grow while a process lives, gauges (\"now\") go up and down. This page is written by a test from what the
binaries say themselves (`sni-router --figures`); `BLESS=1 cargo test -p tests --test rules figures` writes it anew.
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for process in Process::ALL {
        let output = Command::new(harness::binaries::path(process.name())).arg("--figures").output().unwrap();
        assert!(output.status.success(), "{process} --figures: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("figures are text");
        let _ = write!(page, "\n## {process}\n\n| figure | meaning |\n| --- | --- |\n");
        for line in text.lines() {
            let (name, meaning) = line.split_once('\t').unwrap_or_else(|| panic!("{process}: {line:?}"));
            assert!(!meaning.trim().is_empty(), "{process}: {name} has no meaning");
            let _ = writeln!(page, "| `{name}` | {} |", meaning.replace('|', "\\|"));
        }
        assert!(text.lines().count() > 0, "{process} counts nothing");
    }
    page
}

#[test]
fn the_page_is_what_the_binaries_say() {
    let path = root().join("docs/metrics.md");
    let page = page();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/metrics.md is not what the binaries say; BLESS=1 writes it anew");
}
