//! From the text of a rule file to words: logical lines, quoted arguments, the comma lists of actions and the `|` lists of variables.
//!
//! Nothing here knows what a directive means; `crate::load` does.

pub(crate) mod actions;
pub(crate) mod lines;
pub(crate) mod targets;
pub(crate) mod words;
