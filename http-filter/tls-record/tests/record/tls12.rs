//! The same for TLS 1.2: rustls and records of OpenSSL, a peer that can lie, and the layer against itself.

mod interop;
mod messages;
mod peer;
mod properties;
mod vectors;
