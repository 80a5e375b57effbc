//! Counts what passed, sets apart what the HTTP layer refused before any rule saw it, and explains the rest: on standard error, and in
//! `docs/crs.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::cases::Case;
use crate::compare::{self, differences};
use crate::heard::Heard;
use crate::send::Over;

/// Failures that have been looked into: the name of the stage and the reason. Everything else must pass.
const REASONS: &str = include_str!("reasons.txt");

const BEGIN: &str = "<!-- begin: replay -->\n";
const END: &str = "<!-- end: replay -->";

/// Stages of `http-filter` in front of its rules: a request that ends there could not be read, has two readings, or is for another site.
const BEFORE_RULES: [&str; 2] = ["receive", "normalise"];

#[derive(Default, Clone, Copy)]
struct Count {
    passed: usize,
    failed: usize,
    refused: usize,
    http: usize,
}

/// The sentence, and which tests met it over which ways.
type Refused = (String, BTreeMap<String, BTreeSet<&'static str>>);

#[derive(Default)]
pub struct Report {
    tcp: Count,
    tls: Count,
    /// Status and decision → the sentence, and which stages over what.
    refused: BTreeMap<(u16, String), Refused>,
    /// Stage and what differs → over what.
    failures: BTreeMap<(String, String), BTreeSet<&'static str>>,
    /// Stages that are only about HTTP and were answered otherwise than they expect.
    otherwise: BTreeMap<String, String>,
}

impl Report {
    /// Notes one stage.
    pub fn add(&mut self, over: Over, case: &Case, status: Option<u16>, heard: &Heard) {
        let (count, over) = match over {
            Over::Tcp => (&mut self.tcp, "TCP"),
            Over::Tls => (&mut self.tls, "TLS"),
        };
        let differences = differences(&case.expected, &heard.matched);
        if case.expected.is_about_http() {
            count.http += 1;
            if case.expected.status.is_some_and(|expected| Some(expected) != status) {
                let status = status.map_or("no answer".to_owned(), |status| status.to_string());
                let expected = case.expected.status.unwrap_or_default();
                self.otherwise.insert(case.name.clone(), format!("{status} instead of {expected}"));
            }
        } else if BEFORE_RULES.contains(&heard.stage.as_str()) {
            count.refused += 1;
            let key = (status.unwrap_or_default(), heard.decision.clone());
            let entry = self.refused.entry(key).or_insert_with(|| (heard.reason.clone(), BTreeMap::new()));
            entry.1.entry(case.name.clone()).or_default().insert(over);
        } else if differences.is_empty() {
            count.passed += 1;
        } else {
            count.failed += 1;
            let difference = differences.join("; ");
            eprintln!(
                "{over} {}: {difference} ({} {}) there is: {}",
                case.name,
                heard.decision,
                heard.note,
                compare::log(&heard.matched)
            );
            self.failures.entry((case.name.clone(), difference)).or_default().insert(over);
        }
    }

    /// Prints the result, holds it against `docs/crs.md` and fails if a stage failed that nobody has explained.
    pub fn publish(&self) {
        let reasons: BTreeMap<&str, &str> = REASONS.lines().filter_map(|line| line.split_once(' ')).collect();
        let table = self.table(&reasons);
        eprintln!("{table}");
        hold_against_docs(&table);
        let mut names = self.failures.keys().map(|(name, _)| name.as_str());
        assert!(
            names.all(|name| reasons.contains_key(name)),
            "a stage failed that tests/crs/reasons.txt does not explain"
        );
        for count in [self.tcp, self.tls] {
            assert!(count.failed * 1000 <= 15 * (count.passed + count.failed), "less than 98.5 % pass");
            assert!(count.refused <= 80, "the HTTP layer refuses more than it did");
        }
    }

    fn table(&self, reasons: &BTreeMap<&str, &str>) -> String {
        let mut text = String::from(
            "| over | passed | failed | refused by the HTTP layer before any rule | only about the HTTP layer |\n\
             | --- | --- | --- | --- | --- |\n",
        );
        for (name, count) in [("TCP", self.tcp), ("TLS", self.tls)] {
            let Count { passed, failed, refused, http } = count;
            writeln!(text, "| {name}: {} | {passed} | {failed} | {refused} | {http} |", rate(count)).unwrap();
        }
        text += "\n| refused with | why | stages |\n| --- | --- | --- |\n";
        for ((status, decision), (sentence, stages)) in &self.refused {
            let names: Vec<String> = stages.iter().map(|(name, over)| name.clone() + &only(over)).collect();
            let names = names.join(", ");
            writeln!(text, "| {status} `{decision}` | {sentence} | {}: {names} |", stages.len()).unwrap();
        }
        if !self.failures.is_empty() {
            text += "\n| failed | what | why |\n| --- | --- | --- |\n";
        }
        for ((name, difference), over) in &self.failures {
            let why = reasons.get(name.as_str()).copied().unwrap_or("not explained");
            writeln!(text, "| {name}{} | {} | {why} |", only(over), difference.replace(['|', '\n'], " ")).unwrap();
        }
        if !self.otherwise.is_empty() {
            let list: Vec<String> = self.otherwise.iter().map(|(name, what)| format!("{name} ({what})")).collect();
            writeln!(
                text,
                "\nOnly about the HTTP layer, and answered otherwise than Apache does: {}.",
                list.join(", ")
            )
            .unwrap();
        }
        text
    }
}

fn only(over: &BTreeSet<&'static str>) -> String {
    if over.len() == 2 { String::new() } else { format!(" ({} only)", over.iter().copied().collect::<String>()) }
}

fn rate(count: Count) -> String {
    let judged = count.passed + count.failed;
    format!("{}.{:02} %", count.passed * 100 / judged, count.passed * 10_000 / judged % 100)
}

fn hold_against_docs(table: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/crs.md");
    let before = std::fs::read_to_string(path).expect("docs/crs.md is there");
    let (head, rest) = before.split_once(BEGIN).expect("docs/crs.md marks the table");
    let (_, tail) = rest.split_once(END).expect("docs/crs.md marks the table's end");
    let after = format!("{head}{BEGIN}{table}{END}{tail}");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, after).expect("docs/crs.md can be written");
    } else {
        assert!(after == before, "docs/crs.md is out of date: BLESS=1 cargo test -p tests --test crs");
    }
}
