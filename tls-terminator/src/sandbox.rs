//! What tls-terminator may do once its jail is closed: nothing but the shared base.
//!
//! It holds the private keys, so it has no network: it works on sockets it was handed and reads certificates before the jail
//! is closed. A stream to http-filter is a socketpair, which the base allows.

use common::process::Process;
use common::sandbox::policy::{Limits, Policy};

/// The policy of `tls-terminator`.
pub const POLICY: Policy = Policy {
    // A client socket and one end of a socketpair per connection.
    limits: Limits { open_files: 65_536 },
    ..Policy::strict(Process::TlsTerminator)
};
