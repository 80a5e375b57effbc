//! The account of a run: cases by group, failures, false refusals, lenient ones.

use std::collections::BTreeMap;

use crate::case::{Case, Must};

/// Accepted although a MUST says refuse, each with the reason why that cannot hurt. At most ten; one that is no longer accepted has to go.
pub const LENIENT: &[(&str, &str)] = &[
    ("path: #\\xa7", FRAGMENT),
    ("path: /\\xa7#", FRAGMENT),
    ("path: /\\xa7#x", FRAGMENT),
    ("path: /\\xa7?a#b", FRAGMENT),
    ("trailers: pseudo :path", PSEUDO_TRAILER),
    ("trailers: pseudo :authority", PSEUDO_TRAILER),
    ("trailers: pseudo :scheme", PSEUDO_TRAILER),
];

/// Over HTTP/2; over HTTP/1 they are refused.
const FRAGMENT: &str = "the h2 crate cuts a fragment off :path before anybody sees it; what is judged and what leaves is the same, without it";
const PSEUDO_TRAILER: &str =
    "the h2 crate drops a lone pseudo-header field from trailers before anybody sees it; it does not leave";

/// What came of many cases.
#[derive(Debug, Default)]
pub struct Report {
    groups: BTreeMap<String, usize>,
    failures: Vec<String>,
    false_refusals: Vec<String>,
    lenient: Vec<String>,
    plain: usize,
}

impl Report {
    /// Counts one case.
    pub fn add(&mut self, case: &Case, verdict: Result<(), String>, accepted: bool) {
        *self.groups.entry(case.group().to_owned()).or_default() += 1;
        self.plain += usize::from(case.plain);
        let excused = LENIENT.iter().any(|(name, _)| *name == case.name);
        match verdict {
            Ok(()) => {}
            Err(why) if case.plain => self.false_refusals.push(format!("{}: {why}", case.name)),
            Err(_) if excused && accepted && matches!(case.must, Must::Refused(_)) => {
                self.lenient.push(case.name.clone())
            }
            Err(why) => self.failures.push(format!("{}: {why}", case.name)),
        }
    }

    /// Counts a case of another kind.
    pub fn note(&mut self, group: &str, name: &str, plain: bool, verdict: Result<(), String>) {
        *self.groups.entry(group.to_owned()).or_default() += 1;
        self.plain += usize::from(plain);
        let Err(why) = verdict else { return };
        let wrong = if plain { &mut self.false_refusals } else { &mut self.failures };
        wrong.push(format!("{group}: {name}: {why}"));
    }

    /// Counts an HTTP/2 stream.
    pub fn note_stream(
        &mut self,
        group: &str,
        name: &str,
        plain: bool,
        verdict: Result<(), String>,
        lenient: &[(&str, &str)],
    ) {
        let line = format!("{group}: {name}");
        if lenient.iter().any(|(excused, _)| *excused == line) && verdict.is_err() {
            *self.groups.entry(group.to_owned()).or_default() += 1;
            return self.lenient.push(line);
        }
        self.note(group, name, plain, verdict);
    }

    /// What a backend should not have seen, whoever's case it was.
    pub fn faults(&mut self, faults: Vec<String>) {
        self.failures.extend(faults.into_iter().map(|fault| format!("left Bulkhead: {fault}")));
    }

    /// Cases so far.
    pub fn cases(&self) -> usize {
        self.groups.values().sum()
    }

    /// Ordinary requests among them.
    pub fn plain(&self) -> usize {
        self.plain
    }

    /// Prints the account and asserts that it is clean.
    ///
    /// # Panics
    /// When it is not.
    pub fn assert_clean(&self, what: &str) {
        for (group, count) in &self.groups {
            println!("{what}: {group}: {count} cases");
        }
        println!(
            "{what}: {} cases, {} of them plain valid requests: {} failures, {} false refusals, {} lenient",
            self.cases(),
            self.plain,
            self.failures.len(),
            self.false_refusals.len(),
            self.lenient.len()
        );
        for name in &self.lenient {
            let reason = LENIENT.iter().find(|(excused, _)| excused == name).map_or("", |(_, reason)| reason);
            println!("{what}: lenient: {name}: {reason}");
        }
        let wrong: Vec<&String> = self.failures.iter().chain(&self.false_refusals).collect();
        assert!(
            wrong.is_empty(),
            "{what}: {} failures, {} false refusals:\n{}",
            self.failures.len(),
            self.false_refusals.len(),
            wrong.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
        );
        assert!(self.lenient.len() <= 10, "{what}: more than ten lenient cases");
    }
}
