//! The record of a rule that matched: what an operator of a site needs to understand, and to exclude, it.

use std::sync::Arc;

use crate::rule::{Phase, Place};

/// A rule that matched. Texts are bytes as they came from the client, shortened to [`crate::Settings::shown`].
#[derive(Clone, Debug)]
pub struct Hit {
    /// The rule's id.
    pub rule: u64,
    /// When it matched.
    pub phase: Phase,
    /// Where it is written.
    pub place: Place,
    /// Its message, macros expanded.
    pub message: Vec<u8>,
    /// What it adds for the log.
    pub data: Vec<u8>,
    /// Its tags.
    pub tags: Vec<Arc<str>>,
    /// 0 (emergency) to 7 (debug).
    pub severity: Option<u8>,
    /// The variable that matched last, such as `ARGS:q`.
    pub variable: Vec<u8>,
    /// Its value after the rule's transformations.
    pub value: Vec<u8>,
    /// True if the transaction was (or, in `DetectionOnly`, would have been) refused by this rule.
    pub disruptive: bool,
}
