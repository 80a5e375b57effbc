//! tls-record against rustls, against known vectors (RFC 8448, OpenSSL), against a peer of our own that can lie, and against itself.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
#![allow(clippy::cast_possible_truncation)] // of numbers that the tests make

mod handover;
mod interop;
mod limits;
mod messages;
mod peer;
mod properties;
mod rustls_peer;
mod tampering;
mod tls12;
mod vectors;
