//! What passthrough-relay may do once its jail is closed: connect outwards and move bytes.
//!
//! The only process that owns the network, and therefore the one that parses nothing that strangers send. It still cannot
//! listen, open a file or start anything. Name servers and `hosts` are read before the jail is closed.

use common::process::Process;
use common::sandbox::policy::{F_GETPIPE_SZ, F_SETPIPE_SZ, Limits, Network, Permission, Policy, allow, allow_when, is};

/// The policy of `passthrough-relay`.
pub const POLICY: Policy = Policy {
    calls: CALLS,
    network: Network::Outbound,
    // Two sockets per connection, and two pipes of two ends while bytes are in flight.
    limits: Limits { open_files: 131_072 },
    ..Policy::strict(Process::PassthroughRelay)
};

/// Beyond the shared base and what connecting needs.
const CALLS: &[Permission] = &[
    allow("splice", "moving bytes from socket to pipe to socket without seeing them"),
    allow("tee", "copying what lies in a pipe without taking it out"),
    allow("pipe2", "the pipes that splice moves through"),
    allow_when(
        "fcntl",
        &[&[is(1, F_SETPIPE_SZ)], &[is(1, F_GETPIPE_SZ)]],
        "pipes of 1 MiB, so that a bulk transfer needs few calls",
    ),
];
