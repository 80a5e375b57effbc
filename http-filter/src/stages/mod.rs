//! The stages of the pipeline, one file each, in the order in which [`crate::pipeline`] asks them.

pub mod access_list;
pub mod limit_scope;
pub mod rate_limit;
pub mod web_attacks;
