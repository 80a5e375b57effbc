//! What the two HTTP processes (http-filter, forward-proxy) share.
#![forbid(unsafe_code)]

pub mod framing;
pub mod guarded;
pub mod host;
