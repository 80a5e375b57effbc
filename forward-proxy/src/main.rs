//! `forward-proxy`: CONNECT and absolute-form requests for clients that go out. Owns listening sockets, no way out.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use common::process::Process;
use common::startup::{Component, run};
use forward_proxy::metrics::Metrics;
use forward_proxy::sandbox::POLICY;

fn main() -> ExitCode {
    let component = Component {
        process: Process::ForwardProxy,
        policy: &POLICY,
        stricter: |_| None,
        figures: Metrics::TABLE,
        check: |config, _| forward_proxy::check(config),
        budget: forward_proxy::budget::budget,
    };
    run(&component, forward_proxy::open, forward_proxy::serve)
}
