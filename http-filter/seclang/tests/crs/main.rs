//! CRS's own regression tests (go-ftw format) against the engine, in process: `../shared/crs`, or the folder in `$BULKHEAD_CRS`. Where it
//! is absent, the tests say so and pass. `BLESS=1` writes the table of `docs/crs.md`.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod backend;
mod cases;
mod compare;
mod report;
mod run;
mod wire;

use std::sync::Arc;

use seclang::{Adjustments, Evaluation, Settings, Store, Transaction};

#[test]
fn the_tests_of_the_core_rule_set() {
    let Some(crs) = run::crs() else { return };
    let cases = cases::load(&crs.join("tests/regression/tests"));
    let mut transaction = Transaction::new(run::rules(&crs, Evaluation::Planned), Some(Arc::new(Store::new(1000))));
    let mut report = report::Report::default();
    // One test or a few: `CRS_TEST=920100-4` or `CRS_TEST=9201`.
    let only = std::env::var("CRS_TEST").unwrap_or_default();
    for case in cases.iter().filter(|case| case.name.starts_with(&only)) {
        let request = wire::read(&wire::build(&case.input));
        run::judge(&mut transaction, &request);
        let matched = run::matched(transaction.hits());
        report.add(case, compare::differences(&case.expected, &matched), &matched);
    }
    if !only.is_empty() {
        return;
    }
    report.publish();
}

/// The plan may leave out work, never a match: both evaluations must say the same about every request, down to values and scores. Every
/// seventh request by default, because unoptimised code is slow; `BULKHEAD_EXACT=all` takes them all.
#[test]
fn the_plan_is_exact() {
    let Some(crs) = run::crs() else { return };
    let cases = cases::load(&crs.join("tests/regression/tests"));
    let step = if std::env::var_os("BULKHEAD_EXACT").is_some() { 1 } else { 7 };
    let [mut planned, mut naive] =
        [Evaluation::Planned, Evaluation::Naive].map(|evaluation| Transaction::new(run::rules(&crs, evaluation), None));
    for case in cases.iter().step_by(step) {
        let request = wire::read(&wire::build(&case.input));
        for transaction in [&mut planned, &mut naive] {
            run::judge(transaction, &request);
        }
        assert_eq!(said(&planned), said(&naive), "{}", case.name);
    }
}

/// All that rules said: every hit in full, and the scores.
fn said(transaction: &Transaction) -> (Vec<String>, usize, [i64; 3]) {
    let hits = transaction.hits().iter().map(|hit| format!("{hit:?}")).collect();
    let scores =
        ["blocking_inbound_anomaly_score", "detection_inbound_anomaly_score", "blocking_outbound_anomaly_score"];
    (hits, transaction.hit_count(), scores.map(|name| transaction.score(name)))
}

/// Where transactions differ in their paranoia level, each must come out as if the rules had been loaded for its level and evaluated one by one:
/// with levels planned for and not, raised and lowered. Every 41st request by default; `BULKHEAD_EXACT=all` takes them all.
#[test]
fn another_level_is_exact() {
    let Some(crs) = run::crs() else { return };
    let cases = cases::load(&crs.join("tests/regression/tests"));
    let step = if std::env::var_os("BULKHEAD_EXACT").is_some() { 1 } else { 41 };
    let level = |number: u8| {
        ["blocking_paranoia_level", "detection_paranoia_level"]
            .map(|name| (name.to_owned(), number.to_string()))
            .to_vec()
    };
    for (own, planned, asked) in
        [(1, None, 3), (1, Some(2), 4), (1, Some(4), 2), (1, Some(4), 4), (3, None, 1), (2, Some(3), 2)]
    {
        let settings = |variables, planned: Option<u8>, evaluation| Settings {
            variables,
            planned_variables: planned.map(level).unwrap_or_default(),
            evaluation,
            ..run::settings()
        };
        let rules = run::load(
            &crs,
            &run::TESTS.replace("setvar:tx.blocking_paranoia_level=4,", ""),
            settings(level(own), planned, Evaluation::Planned),
        );
        let adjusted =
            rules.adjust(&Adjustments { variables: level(asked), ..Adjustments::default() }).expect("levels");
        let mut transaction = Transaction::new(rules, None);
        let naive = run::load(
            &crs,
            &run::TESTS.replace("setvar:tx.blocking_paranoia_level=4,", ""),
            settings(level(asked), None, Evaluation::Naive),
        );
        let mut naive = Transaction::new(naive, None);
        for case in cases.iter().step_by(step) {
            let request = wire::read(&wire::build(&case.input));
            run::judge_adjusted(&mut transaction, &request, &[&adjusted]);
            run::judge(&mut naive, &request);
            assert_eq!(said(&transaction), said(&naive), "{} at {asked}, planned for {own} and {planned:?}", case.name);
        }
    }
}
