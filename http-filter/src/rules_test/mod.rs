//! `http-filter --rules-test`, the work behind `bulkhead rules test`: sends requests that are known to be attacks or harmless, and the Core Rule Set's own
//! tests, through the configured rules, and says what they came to. It opens no port, talks to nobody and changes nothing; the requests come from
//! strangers, so reading them is bounded and pure, as it is when they come from the network.
//!
//! The files in the order of the data: `files`, `sample` (corpora), `yaml`, `ftw` (tests), `setup` (rules), `judge`, `backend`, `tally`, `print`.

mod backend;
mod files;
mod ftw;
mod judge;
mod print;
mod sample;
mod setup;
mod tally;
mod yaml;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use common::complain::{answer, complain, harmless};
use common::rules_test::RulesTest;
use serde_json::json;

use self::judge::{Cause, Judge, Judged};
use self::print::{Report, Tests};
use self::sample::{Label, Told};
use self::setup::Setup;
use self::tally::Tally;

/// `EX_USAGE` of sysexits.h.
const MISUSED: u8 = 64;
/// What the Core Rule Set's tests take for granted, from their README; the level of paranoia comes with the rules.
const OF_THE_TESTS: [(&str, &str); 7] = [
    ("crs_validate_utf8_encoding", "1"),
    ("arg_name_length", "100"),
    ("arg_length", "400"),
    ("total_arg_length", "64000"),
    ("max_num_args", "255"),
    ("max_file_size", "64100"),
    ("combined_file_sizes", "65535"),
];

/// Does it, by the words behind `--rules-test`.
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let order = match RulesTest::read(words) {
        Ok(order) => order,
        Err(complaint) => {
            complain(format_args!("http-filter --rules-test: {complaint}"));
            return ExitCode::from(MISUSED);
        }
    };
    match test(&order) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            complain(harmless(&failure));
            ExitCode::FAILURE
        }
    }
}

/// True if no floor was missed and no test failed.
fn test(order: &RulesTest) -> Result<bool, String> {
    let setup = setup::configured(order)?;
    let mut report = Report { origin: setup.origin(), rules: setup.rules.set.len(), ..Report::default() };
    if !order.corpora.is_empty() || order.crs_tests.is_none() {
        let tally = corpora(order, &setup)?;
        report.missed = missed(order, &tally);
        report.tally = Some(tally);
    }
    if let Some(folder) = &order.crs_tests {
        report.tests = Some(crs_tests(folder, &setup.for_tests()?)?);
    }
    if order.json {
        answer(print::json(&report, &setup.own));
    } else {
        answer(print::text(&report, &setup.own, &|id| setup.message(id)).trim_end());
    }
    Ok(report.missed.is_empty() && report.tests.is_none_or(|tests| tests.failed.is_empty()))
}

fn corpora(order: &RulesTest, setup: &Setup) -> Result<Tally, String> {
    let (mut judge, mut tally) = (Judge::new(setup), Tally::default());
    let mut each = |label, set: &str, told: &Told| {
        let judged = judge.request(told);
        if order.list {
            list(order.json, label, set, told, &judged);
        }
        tally.add(label, set, &judged);
    };
    if order.corpora.is_empty() {
        files::built_in(&mut each)?;
    }
    for corpus in &order.corpora {
        files::under(corpus, &files::CORPUS)?.iter().try_for_each(|file| files::requests(file, &mut each))?;
    }
    Ok(tally)
}

/// A request that was judged otherwise than its label says; with `--json` every request.
fn list(as_json: bool, label: Label, set: &str, told: &Told, judged: &Judged) {
    let target = String::from_utf8_lossy(&told.target);
    if as_json {
        let refused = match &judged.refused {
            None => json!(false),
            Some(Cause::Rule(rule)) => json!(rule),
            Some(Cause::Fault(word)) => json!(word),
            Some(Cause::Http) => json!("http"),
        };
        answer(
            json!({ "label": label.name(), "set": set, "target": target, "refused": refused, "score": judged.score, "matched": judged.rules }),
        );
    } else if judged.refused != Some(Cause::Http) && judged.refused.is_some() != (label == Label::Attack) {
        let shown: String = target.chars().take(150).collect();
        let rules: Vec<String> = judged.rules.iter().map(u64::to_string).collect();
        let what = if label == Label::Attack { "passed" } else { "refused" };
        let method = String::from_utf8_lossy(&told.method);
        answer(harmless(&format!(
            "{what}: {} {set}: {method} {shown} (score {}; {})",
            label.name(),
            judged.score,
            rules.join(" ")
        )));
    }
}

/// The floor and the ceiling that were given and not kept.
fn missed(order: &RulesTest, tally: &Tally) -> Vec<String> {
    let mut missed = Vec::new();
    let rate = |label| tally.total(label).rate();
    if let Some(floor) = order.min_detection {
        match rate(Label::Attack) {
            Some(rate) if rate >= floor => {}
            Some(rate) => missed.push(format!("{rate:.2} % of the attacks are refused, {floor} % should be")),
            None => missed.push("there is no attack in the corpus, so detection is unknown".to_owned()),
        }
    }
    if let Some(ceiling) = order.max_false_positives {
        match rate(Label::Benign) {
            Some(rate) if rate <= ceiling => {}
            Some(rate) => {
                missed.push(format!("{rate:.2} % of the harmless requests are refused, at most {ceiling} % should be"))
            }
            None => {
                missed.push("there is no harmless request in the corpus, so false positives are unknown".to_owned())
            }
        }
    }
    missed
}

fn crs_tests(folder: &Path, setup: &Setup) -> Result<Tests, String> {
    let variables = OF_THE_TESTS.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let (mut judge, mut tests) = (Judge::new(setup), Tests::default());
    judge.only_detect(variables)?;
    for file in files::under(folder, &[".yaml", ".yml"])? {
        let shown = file.display();
        let bytes = files::whole(&file)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| format!("error: {shown}: this is not UTF-8"))?;
        let rule = file.file_stem().unwrap_or_default().to_string_lossy();
        for case in ftw::read(&rule, text).map_err(|error| format!("error: {shown}: {error}"))? {
            if case.expected.is_about_http() {
                tests.about_http += 1;
                continue;
            }
            let (matched, log) = judge.exchange(&case.told);
            let differences = case.expected.differences(&matched, &log);
            if differences.is_empty() {
                tests.passed += 1;
            } else {
                tests.failed.push((case.name, differences.join("; ")));
            }
        }
    }
    Ok(tests)
}
