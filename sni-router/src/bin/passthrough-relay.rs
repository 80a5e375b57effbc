//! `passthrough-relay`: the only process that connects out. Moves bytes it never looks at.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use common::process::Process;
use common::startup::{Component, run};
use sni_router::relay::{self, metrics::Metrics, sandbox::POLICY};

fn main() -> ExitCode {
    let component = Component {
        process: Process::PassthroughRelay,
        policy: &POLICY,
        stricter: |_| None,
        figures: Metrics::TABLE,
        check: |_, _| Ok(()),
        budget: relay::budget::budget,
    };
    run(&component, relay::open, relay::serve)
}
