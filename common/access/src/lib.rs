//! Access rules in one vocabulary, for every process that admits or refuses: ordered, the first that matches decides.
//!
//! What the file says is read by `common::config` ([`common::config::Conditions`]); here it becomes something that can be asked.
//! In the order in which a decision is made:
//!
//! 1. [`facts`]: what is known of a connection or request, borrowed. No HTTP library is named here, so that sni-router can use it.
//! 2. [`rules`]: the rules in their order, and the decision with the rule that made it.
//! 3. [`matcher`]: the conditions of one rule or route; only those that are given cost anything. [`networks`], [`countries`] and
//!    [`fields`] (cookies, parameters) are what they look into.
//! 4. [`expression`]: `when`, for everything that has no table: CEL, compiled and typed when the file is read, with a bound on its cost.
//!
//! Pure: facts in, decision out; no I/O, and the clock is passed in. Nothing here may fail open: what cannot be understood is refused
//! when the file is read, and an expression that fails while it is asked denies.
#![forbid(unsafe_code)]

#[cfg(test)]
mod tests;

pub mod explain;
pub mod facts;
pub mod rules;

pub mod matcher;

pub mod countries;
pub mod fields;
pub mod networks;

pub mod expression;

pub use countries::Countries;
pub use expression::Expression;
pub use facts::{Destination, Facts, Headers, Known, NoHeaders, Request, Tls, system_clock};
pub use matcher::{Answer, Environment, Matcher, Place};
pub use networks::Networks;
pub use rules::{Decision, Rule, RuleSet};
