//! What the two HTTP processes (http-filter and forward-proxy) share, in the order in which a request meets it:
//!
//! 1. [`guarded`]: the client's connection. Raw bytes pass the strict state machine of [`framing`] before hyper's lenient parser sees them; what has
//!    two readings is refused in words, slow clients are cut off by one sweep over all connections.
//!    [`rest`]: between requests hyper can be taken away from above it.
//! 2. [`h2_guard`] and [`h2_gate`]: HTTP/2 floods are cut off by counting frames; then the same strictness for what came by HTTP/2.
//! 3. [`target`], with [`host`] and [`normalise`]: one reading of host and path, made once, used for every decision *and* sent on.
//! 4. [`headers`]: who the client is behind trusted hops; what must not travel on; what the backend has to know; the fields as access rules (`common_access`) see them.
//! 5. [`limit`]: how many requests, by rate and at once, per key.
//! 6. [`upstream`]: keep-alive connections to backends over sockets that the relay dialled, driven inline by the request that uses them.
//! 7. [`answer`]: what the client is told when we answer ourselves.
//!
//! Everything but `guarded` and `upstream` is pure: values in, values out, no clock, no I/O. Nothing here knows configuration files or IPC.
#![forbid(unsafe_code)]

pub mod framing;
pub mod guarded;
pub mod h2_gate;
pub mod h2_guard;
pub mod host;
pub mod normalise;
pub mod rest;
pub mod target;

pub mod headers;

pub mod limit;

pub mod upstream;

pub mod answer;

#[cfg(test)]
mod whole_path_tests;
