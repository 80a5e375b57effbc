//! tls-terminator over real sockets, with real clients: what it agrees on, what it refuses, how bytes and ends travel.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod client;
mod ends;
mod guard;
mod limits;
mod negotiation;
mod process;
mod programs;
mod transfer;
mod world;
