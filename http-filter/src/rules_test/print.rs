//! What a test found, for people and for machines. Pure. Names of sets and targets come from strangers' files: none reaches a terminal with control
//! characters in it.

use std::fmt::Write as _;

use common::config::WebAttacks;
use serde_json::{Map, Value, json};

use super::sample::Label;
use super::tally::{Count, Tally};

/// Said under every figure of detection.
pub const NEVER_WHOLE: &str = "Detection is never 100 %: rules know patterns of attacks, not intentions. What passed here would have reached the application.";
/// Rules that are listed as those which refuse harmless requests most often.
const WORST: usize = 15;

/// What the tests of the Core Rule Set came to.
#[derive(Debug, Default)]
pub struct Tests {
    /// As expected.
    pub passed: u64,
    /// Not as expected: name and differences.
    pub failed: Vec<(String, String)>,
    /// About HTTP in front of the rules, not about rules.
    pub about_http: u64,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Where the rules come from.
    pub origin: String,
    /// How many rules there are.
    pub rules: usize,
    /// What the corpora came to.
    pub tally: Option<Tally>,
    /// What the tests came to.
    pub tests: Option<Tests>,
    /// Floors and ceilings that were missed, a sentence each.
    pub missed: Vec<String>,
}

/// The report as text. `message` knows the message of a rule.
pub fn text(report: &Report, own: &WebAttacks, message: &dyn Fn(u64) -> Option<String>) -> String {
    let mut text = format!(
        "{} rules from {}\nparanoia level {}, threshold {}, blocking\n",
        report.rules, report.origin, own.paranoia, own.inbound_threshold
    );
    if let Some(tally) = &report.tally {
        for (label, title) in [(Label::Attack, "attacks"), (Label::Benign, "harmless requests")] {
            table(&mut text, tally, label, title);
        }
        let worst = tally.worst(WORST);
        if !worst.is_empty() {
            text += "\nrules that matched in harmless requests that were refused\n";
        }
        for (rule, count) in worst {
            let message = message(rule).unwrap_or_default();
            let _ = writeln!(
                text,
                "  {rule}  {count:>6} times, in refused attacks {:>6} times  {message}",
                tally.in_attacks(rule)
            );
        }
        if tally.benign_limits() > 0 {
            let _ = writeln!(
                text,
                "  {:>13} times no rule but a limit of inspection or of the body's form",
                tally.benign_limits()
            );
        }
        let _ = writeln!(text, "\n{NEVER_WHOLE}");
    }
    if let Some(tests) = &report.tests {
        let _ = writeln!(
            text,
            "\ntests: {} passed, {} failed, {} only about HTTP in front of the rules{}",
            tests.passed,
            tests.failed.len(),
            tests.about_http,
            share(tests).map(|share| format!(": {share:.2} %")).unwrap_or_default()
        );
        for (name, differences) in &tests.failed {
            let _ = writeln!(text, "  {name}: {differences}");
        }
    }
    report.missed.iter().for_each(|missed| {
        let _ = writeln!(text, "\nmissed: {missed}");
    });
    common::complain::harmless(&text)
}

fn table(text: &mut String, tally: &Tally, label: Label, title: &str) {
    let width = tally.sets(label).map(|(name, _)| name.chars().count()).max().unwrap_or(0).max("all of them".len());
    if tally.sets(label).next().is_none() {
        return;
    }
    let _ = writeln!(text, "\n{title:width$}  requests  refused     rate  before the rules");
    let mut row = |name: &str, count: &Count| {
        let rate = count.rate().map_or_else(|| "-".to_owned(), |rate| format!("{rate:.2} %"));
        let _ = writeln!(
            text,
            "{name:width$}  {:>8}  {:>7}  {rate:>8}  {:>8}",
            count.requests, count.refused, count.before
        );
    };
    tally.sets(label).for_each(|(name, count)| row(name, count));
    row("all of them", &tally.total(label));
}

/// Of the tests that are about rules, in per cent.
fn share(tests: &Tests) -> Option<f64> {
    let failed = u64::try_from(tests.failed.len()).unwrap_or(u64::MAX);
    Count { requests: tests.passed.saturating_add(failed), refused: tests.passed, before: 0 }.rate()
}

/// The report as one JSON object.
pub fn json(report: &Report, own: &WebAttacks) -> String {
    let count = |count: &Count| json!({ "requests": count.requests, "refused": count.refused, "before_rules": count.before, "rate": count.rate() });
    let mut root = json!({
        "rules": report.rules, "origin": report.origin, "paranoia": own.paranoia, "threshold": own.inbound_threshold, "missed": report.missed,
    });
    let mut add = |name: &str, value: Value| root.as_object_mut().map(|root| root.insert(name.to_owned(), value));
    if let Some(tally) = &report.tally {
        for (label, name) in [(Label::Attack, "attacks"), (Label::Benign, "benign")] {
            let sets: Map<String, Value> = tally.sets(label).map(|(name, own)| (name.to_owned(), count(own))).collect();
            add(name, json!({ "sets": sets, "total": count(&tally.total(label)) }));
        }
        let worst: Vec<Value> = tally
            .worst(WORST)
            .iter()
            .map(|(rule, count)| json!({ "rule": rule, "count": count, "in_attacks": tally.in_attacks(*rule) }))
            .collect();
        add("false_positive_rules", Value::from(worst));
        add("false_positives_by_limits", tally.benign_limits().into());
        add("note", NEVER_WHOLE.into());
    }
    if let Some(tests) = &report.tests {
        let failed: Map<String, Value> =
            tests.failed.iter().map(|(name, why)| (name.clone(), why.clone().into())).collect();
        add(
            "tests",
            json!({ "passed": tests.passed, "failed": failed, "about_http": tests.about_http, "rate": share(tests) }),
        );
    }
    root.to_string()
}
