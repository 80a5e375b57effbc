//! forward-proxy as its clients meet it, with real sockets; the test plays passthrough-relay. What its true address guard
//! and its true tunnels do is tested where they live.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod backend;
mod connect;
mod curl;
mod forward;
mod hostile;
mod limits;
mod relay;
mod users;
mod world;
