//! `sni-router`: accepts clients, peeks at their ClientHello, hands the socket on. Owns no network and no key.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use common::process::Process;
use common::startup::{Component, run};
use sni_router::router::{self, metrics::Metrics, sandbox::POLICY};

fn main() -> ExitCode {
    let component = Component {
        process: Process::SniRouter,
        policy: &POLICY,
        stricter: |_| None,
        figures: Metrics::TABLE,
        check: |config, _| router::check(config),
        budget: router::budget::budget,
    };
    run(&component, router::open, router::serve)
}
