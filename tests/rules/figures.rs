//! `docs/metrics.md` is what the binaries say of their own figures. `BLESS=1` writes it.

use std::fmt::Write as _;
use std::process::Command;

use common::process::Process;

use crate::tree::root;

const HEAD: &str = "\
# Figures

What each process counts. `bulkhead status --figures` shows the values, `bulkhead status --json` gives them to machines,
`bulkhead metrics` and the port of `[metrics]` give them to Prometheus; counters only grow while a process lives, gauges
(\"now\") go up and down. This page is written by a test from what the
binaries say themselves (`sni-router --figures`); `BLESS=1 cargo test -p tests --test rules figures` writes it anew.

## Names for Prometheus

A figure is named `bulkhead_<process>_<figure>`, with `_` for `-`; a counter ends in `_total`. Each sample has the label
`instance`. Labels hold names of the configuration, never what a client sent; of each kind of name at most 4096 are told
apart, later ones are counted as `other`.

Of every process, beside its table below:

| name | meaning |
| --- | --- |
| `build_info` | 1; the label `version` is the release |
| `uptime_seconds` | seconds since it began to serve |
| `draining` | 1 while it finishes |
| `sandboxed` | 1 if every layer of its sandbox holds |
| `cpu_seconds` | processor time used (counter) |
| `max_resident_bytes` | most memory that was resident at once |

`bulkhead_up` (labels `process`, `instance`) is 1 for each process that answered.

Of http-filter, with labels:

| name | labels | meaning |
| --- | --- | --- |
| `route_requests` | `route`, `status` | requests by class of status: `1xx` to `5xx`, `none` if no answer was begun (counter) |
| `route_bytes_in`, `route_bytes_out` | `route` | bytes of request and answer bodies (counters) |
| `route_total_seconds` | `route` | histogram: from the head of a request to the last byte of its answer |
| `route_first_byte_seconds` | `route` | histogram: from the head of a request to the head of its answer |
| `server_requests` | `pool`, `server` | requests sent to a server, tries counted one by one (counter) |
| `server_failures` | `pool`, `server` | of these, those that got no answer (counter) |
| `server_active` | `pool`, `server` | of these, those being answered now |
| `server_first_byte_seconds` | `pool`, `server` | histogram: from sending a request to the head of the answer |
| `rule_refused` | `rule` | requests that a rule or limit refused (counter) |
| `rule_observed` | `rule` | requests that a rule in observe mode would have refused (counter) |

Of tls-terminator, with labels:

| name | labels | meaning |
| --- | --- | --- |
| `certificate_not_after_seconds` | `site`, `key` | when the certificate of a site expires, in seconds since 1970; the site's first name, the kind of key |

Buckets of all histograms, in seconds: 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30.
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
