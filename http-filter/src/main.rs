//! `http-filter`: HTTP behind termination. Owns no network: clients are handed to it, backends are dialled for it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use common::process::Process;
use common::startup::{Component, run};
use http_filter::{
    app::App,
    metrics::Metrics,
    open,
    sandbox::{POLICY, WITHOUT_THREADS},
    serve,
};

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == "--rules-test") {
        return http_filter::rules_test::run(words);
    }
    let component = Component {
        process: Process::HttpFilter,
        policy: &POLICY,
        stricter: |config| (!config.http_filter.web_attacks.is_on()).then_some(&WITHOUT_THREADS),
        figures: Metrics::TABLE,
        check: App::check,
        budget: http_filter::budget::budget,
    };
    run(&component, open, serve)
}
