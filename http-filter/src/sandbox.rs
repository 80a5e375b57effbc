//! What http-filter may do once its jail is closed: nothing but the shared base.
//!
//! It parses plaintext HTTP from strangers, the largest attack surface of all, so it owns no network: connections to backends
//! are dialled by passthrough-relay and arrive as sockets.

use common::process::Process;
use common::sandbox::policy::{Limits, Policy};

/// The policy of `http-filter`.
pub const POLICY: Policy = Policy {
    // A client socket and a backend socket per connection.
    limits: Limits { open_files: 65_536 },
    ..Policy::strict(Process::HttpFilter)
};
