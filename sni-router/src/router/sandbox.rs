//! What sni-router may do once its jail is closed: nothing but the shared base.
//!
//! It accepts on sockets it inherited, peeks, and hands the socket on over `AF_UNIX`. It parses what strangers send, so it
//! owns no network: it can neither connect nor listen, and sees no key and no plaintext.

use common::process::Process;
use common::sandbox::policy::{Limits, Policy};

/// The policy of `sni-router`.
pub const POLICY: Policy = Policy {
    // One descriptor per ClientHello in progress, and what is handed over but not yet taken.
    limits: Limits { open_files: 65_536 },
    ..Policy::strict(Process::SniRouter)
};
