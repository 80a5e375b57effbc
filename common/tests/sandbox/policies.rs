//! The policies of all five processes, read from where they are at home. They are data, so including them imports no component.

#[path = "../../../forward-proxy/src/sandbox.rs"]
mod forward_proxy;
#[path = "../../../http-filter/src/sandbox.rs"]
mod http_filter;
#[path = "../../../sni-router/src/relay/sandbox.rs"]
mod passthrough_relay;
#[path = "../../../sni-router/src/router/sandbox.rs"]
mod sni_router;
#[path = "../../../tls-terminator/src/sandbox.rs"]
mod tls_terminator;

use common::process::Process;
use common::sandbox::Policy;

/// The policy of a process.
pub const fn of(process: Process) -> &'static Policy {
    match process {
        Process::SniRouter => &sni_router::POLICY,
        Process::PassthroughRelay => &passthrough_relay::POLICY,
        Process::TlsTerminator => &tls_terminator::POLICY,
        Process::HttpFilter => &http_filter::POLICY,
        Process::ForwardProxy => &forward_proxy::POLICY,
    }
}
