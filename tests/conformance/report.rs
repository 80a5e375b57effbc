//! The account of a run: cases by group, failures, false refusals, lenient ones.

use std::collections::BTreeMap;

use crate::case::{Case, Must};

/// Accepted although a MUST says refuse, each with the reason why that cannot hurt. At most ten; one that is no longer accepted has to go.
pub const LENIENT: &[(&str, &str)] = &[];

/// What came of many cases.
#[derive(Debug, Default)]
pub struct Report {
    groups: BTreeMap<String, usize>,
    failures: Vec<String>,
    false_refusals: Vec<String>,
    lenient: Vec<String>,
    waiting: Vec<String>,
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

    /// Counts a case of another kind. Failures of cases whose names begin with one of `waiting` (to be fixed elsewhere) are counted apart.
    pub fn note(&mut self, group: &str, name: &str, plain: bool, verdict: Result<(), String>, waiting: &[&str]) {
        *self.groups.entry(group.to_owned()).or_default() += 1;
        self.plain += usize::from(plain);
        let Err(why) = verdict else { return };
        let line = format!("{group}: {name}");
        if waiting.iter().any(|begin| line.starts_with(begin)) {
            self.waiting.push(line);
        } else if plain {
            self.false_refusals.push(format!("{line}: {why}"));
        } else {
            self.failures.push(format!("{line}: {why}"));
        }
    }

    /// Asserts that everything on a list of what is to be fixed elsewhere still fails: what is fixed has to be taken off.
    ///
    /// # Panics
    /// When an entry has outlived its reason.
    pub fn assert_waiting(&self, waiting: &[&str]) {
        for begin in waiting {
            let still = self.waiting.iter().any(|line| line.starts_with(begin));
            assert!(still, "nothing that begins with {begin:?} fails any more: take it off the list");
        }
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
            "{what}: {} cases, {} of them plain valid requests: {} failures, {} false refusals, {} lenient, {} waiting to be fixed",
            self.cases(),
            self.plain,
            self.failures.len(),
            self.false_refusals.len(),
            self.lenient.len(),
            self.waiting.len()
        );
        self.lenient.iter().for_each(|name| println!("{what}: lenient: {name}"));
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
