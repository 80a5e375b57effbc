//! `cargo bench -p tls-terminator`: what serving costs, measured with the clients and the world of the tests.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
#![allow(dead_code, unused_imports)] // the tests use more of these modules

mod client;
mod cost;
mod process;
mod world;

fn main() {
    cost::per_request();
    cost::per_handshake();
    cost::per_idle_connection();
}
