//! Limits on requests: the counting is [`common::limit`]; here is what the client is told about it.
//!
//! - [`fields`]: `RateLimit`, `RateLimit-Policy`, `Retry-After`

pub use common::limit::{gcra, key, places, table};

pub mod fields;
