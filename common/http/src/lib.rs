//! What the two HTTP processes (http-filter, forward-proxy) share.
#![forbid(unsafe_code)]

pub mod access;
pub mod answer;
pub mod framing;
pub mod guarded;
pub mod h2_gate;
pub mod headers;
pub mod host;
pub mod normalise;
