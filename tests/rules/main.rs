//! The house rules as tests: who may import whom, where `unsafe` may stand, how long a file may be, that documents speak of
//! what exists. A rule that only stands on paper is none.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod documents;
mod figures;
mod files;
mod layers;
mod licences;
mod names;
mod tools;
mod tree;
mod unsafety;
