//! What forward-proxy may do once its jail is closed: the shared base, and helper threads for passwords.
//!
//! It parses what clients send and owns no network: destinations are resolved, judged and dialled by passthrough-relay, and a
//! tunnel's two sockets go back there.

use common::process::Process;
use common::sandbox::policy::{Limits, Policy, Threads};

/// The policy of `forward-proxy`.
pub const POLICY: Policy = Policy {
    threads: Threads::Few {
        why: "checking a password takes tens of milliseconds by design; the event loop must not wait",
    },
    // A client socket and, until the tunnel is handed over, an upstream socket per connection.
    limits: Limits { open_files: 65_536 },
    ..Policy::strict(Process::ForwardProxy)
};
