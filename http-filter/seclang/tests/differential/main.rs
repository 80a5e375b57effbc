//! Bulkhead's engine next to Debian's libmodsecurity, on generated input. Where the library (or Python, which drives it) is not installed,
//! every test here says so and passes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod oracle;
mod random;
mod transformations;
