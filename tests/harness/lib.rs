//! Starts a world, talks to it, reads its logs: what every end-to-end test of Bulkhead stands on.
//!
//! A test reads like a sentence: `World::new("x").terminates("www.test").pool("app", &backend).start()`, then a client of
//! [`clients`], then an assertion on what the backend of [`backends`] saw. Everything is real: the binaries of this workspace
//! under `bulkhead up`, sockets of the kernel, curl, openssl, nginx. When a [`World`] is dropped it asserts what every test
//! must leave behind: as many open descriptors as before, no panic in a log, a clean stop, no process left.
//!
//! [`binaries`] → [`folder`], [`certificates`], [`ports`] → [`world`] (with [`processes`]) → [`backends`], [`clients`];
//! [`limits`] and [`needs`] guard each test; [`load`] is many clients at once that count what they lose.
//!
//! Environment: `CI=true` makes a skipped test a failure; `BULKHEAD_TEST_LOG=debug` is the log level of worlds (a failing test
//! prints the end of its world's log); `BULKHEAD_TEST_PREBUILT=1` takes the binaries as they are instead of asking cargo.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

pub mod backends;
pub mod binaries;
pub mod certificates;
pub mod clients;
pub mod folder;
pub mod limits;
pub mod load;
pub mod needs;
pub mod ports;
pub mod processes;
pub mod world;

pub use limits::{eventually, within};
pub use needs::need;
pub use world::{Builder, World};
