//! The way in and the way out: what the binaries `sni-router` and `passthrough-relay` are made of.
//!
//! [`relay`] is the way out: the only code of the whole proxy that opens connections to the world. It moves ciphertext and never looks at it.
#![forbid(unsafe_code)]

pub mod relay;
