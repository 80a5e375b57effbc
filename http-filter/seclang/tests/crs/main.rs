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

use seclang::{Evaluation, Store, Transaction};

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
        let said = [&mut planned, &mut naive].map(|transaction| {
            run::judge(transaction, &request);
            let hits: Vec<String> = transaction.hits().iter().map(|hit| format!("{hit:?}")).collect();
            let scores = [
                "blocking_inbound_anomaly_score",
                "detection_inbound_anomaly_score",
                "blocking_outbound_anomaly_score",
            ];
            (hits, transaction.hit_count(), scores.map(|name| transaction.score(name)))
        });
        assert_eq!(said[0], said[1], "{}", case.name);
    }
}
