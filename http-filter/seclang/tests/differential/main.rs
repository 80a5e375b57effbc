//! Bulkhead's engine next to Debian's libmodsecurity, on generated input. Where the library (or Python, which drives it) is not installed,
//! every test here says so and passes. (`dead_code`: what is shared with the tests of CRS is not used in full.)

#![forbid(unsafe_code)]
#![allow(
    dead_code,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

#[path = "../crs/backend.rs"]
mod backend;
mod bodies;
#[path = "../crs/cases.rs"]
mod cases;
#[path = "../crs/compare.rs"]
mod compare;
mod generator;
mod oracle;
mod random;
mod requests;
#[path = "../crs/run.rs"]
mod run;
mod transformations;
#[path = "../crs/wire.rs"]
mod wire;
