//! Counts what passed and explains what did not: on standard error, and in `docs/crs.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::cases::Case;
use super::compare::{self, Matched};

/// Failures that have been looked into: the name of the stage and the reason. Everything else must pass.
const REASONS: &str = include_str!("reasons.txt");

const BEGIN: &str = "<!-- begin: crs -->\n";
const END: &str = "<!-- end: crs -->";

#[derive(Default)]
struct Count {
    passed: usize,
    failed: usize,
    http: usize,
}

#[derive(Default)]
pub struct Report {
    groups: BTreeMap<String, Count>,
    failures: Vec<(String, String)>,
}

impl Report {
    /// Notes one stage; `differences` is empty if it passed.
    pub fn add(&mut self, case: &Case, differences: Vec<String>, matched: &[Matched]) {
        let count = self.groups.entry(case.group.clone()).or_default();
        if case.expected.is_about_http() {
            count.http += 1;
        } else if differences.is_empty() {
            count.passed += 1;
        } else {
            count.failed += 1;
            let others: Vec<String> = matched.iter().map(|hit| hit.rule.to_string()).collect();
            eprintln!(
                "{}: {} (there are {}) {}",
                case.name,
                differences.join("; "),
                others.join(" "),
                compare::log(matched)
            );
            self.failures.push((case.name.clone(), differences.join("; ")));
        }
    }

    fn total(&self) -> Count {
        self.groups.values().fold(Count::default(), |sum, count| Count {
            passed: sum.passed + count.passed,
            failed: sum.failed + count.failed,
            http: sum.http + count.http,
        })
    }

    /// Prints the result, holds it against `docs/crs.md` and fails if a stage failed that nobody has explained.
    pub fn publish(&self) {
        let total = self.total();
        let rate = rate(&total);
        eprintln!("passed {}, failed {}, about HTTP only {}: {rate}", total.passed, total.failed, total.http);
        let reasons: BTreeMap<&str, &str> = REASONS.lines().filter_map(|line| line.split_once(' ')).collect();
        let unexplained: Vec<_> =
            self.failures.iter().filter(|(name, _)| !reasons.contains_key(name.as_str())).collect();
        self.hold_against_docs(&self.table(&reasons));
        assert!(
            unexplained.is_empty(),
            "{} stages failed that tests/crs/reasons.txt does not explain",
            unexplained.len()
        );
        assert!(total.failed * 1000 <= 8 * (total.passed + total.failed), "less than 99.2 % pass");
    }

    fn table(&self, reasons: &BTreeMap<&str, &str>) -> String {
        let mut text =
            String::from("| tests of | passed | failed | only about the HTTP layer |\n| --- | --- | --- | --- |\n");
        let mut row = |name: &str, count: &Count| {
            writeln!(text, "| {name} | {} | {} | {} |", count.passed, count.failed, count.http).unwrap();
        };
        for (name, count) in &self.groups {
            row(name, count);
        }
        let total = self.total();
        row(&format!("all: {}", rate(&total)), &total);
        if !self.failures.is_empty() {
            text += "\n| failed | what | why |\n| --- | --- | --- |\n";
        }
        for (name, difference) in &self.failures {
            let difference = difference.replace(['|', '\n'], " ");
            writeln!(
                text,
                "| {name} | {difference} | {} |",
                reasons.get(name.as_str()).copied().unwrap_or("not explained")
            )
            .unwrap();
        }
        text
    }

    fn hold_against_docs(&self, table: &str) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/crs.md");
        let before = std::fs::read_to_string(path).expect("docs/crs.md is there");
        let (head, rest) = before.split_once(BEGIN).expect("docs/crs.md marks the table");
        let (_, tail) = rest.split_once(END).expect("docs/crs.md marks the table's end");
        let after = format!("{head}{BEGIN}{table}{END}{tail}");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, after).expect("docs/crs.md can be written");
        } else {
            assert!(after == before, "docs/crs.md is out of date: BLESS=1 cargo test -p seclang --test crs");
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a few thousand")]
fn rate(count: &Count) -> String {
    format!("{:.2} %", 100.0 * count.passed as f64 / (count.passed + count.failed).max(1) as f64)
}
