//! `http-filter`: HTTP behind termination. Owns no network: clients are handed to it, backends are dialled for it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use common::process::Process;
use common::startup::{Component, run};
use http_filter::{metrics::Metrics, open, route, sandbox::POLICY, serve, stages::access_list};

fn main() -> ExitCode {
    let component = Component {
        process: Process::HttpFilter,
        policy: &POLICY,
        figures: Metrics::TABLE,
        check: |config| {
            access_list::rules(&config.http_filter)
                .map(drop)
                .and(route::Routes::new(config).map(drop))
                .map_err(|error| vec![error])
        },
    };
    run(&component, open, serve)
}
