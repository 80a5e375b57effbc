//! What http-filter may do once its jail is closed: the shared base, and threads where requests are inspected for web attacks.
//!
//! It parses plaintext HTTP from strangers, the largest attack surface of all, so it owns no network: connections to backends
//! are dialled by passthrough-relay and arrive as sockets.

use common::process::Process;
use common::sandbox::policy::{Limits, Policy, Threads};

/// The policy of `http-filter` with `[http-filter.web-attacks]`.
pub const POLICY: Policy = Policy {
    threads: Threads::Few {
        why: "with `[http-filter.web-attacks]` only: large bodies are inspected, and rules loaded, while others are served",
    },
    ..WITHOUT_THREADS
};

/// The policy without it.
pub const WITHOUT_THREADS: Policy = Policy {
    // A client socket and a backend socket per connection.
    limits: Limits { open_files: 65_536 },
    ..Policy::strict(Process::HttpFilter)
};
