//! A decision in words, for `bulkhead explain`. Pure.

use common::config::Action;
use common::ipc::messages::explain::Step;

use crate::rules::Decision;

/// What the list decided and by which rule; `default` says what held if none matched.
#[must_use]
pub fn step(decision: &Decision<'_>, default: &str) -> Step {
    let word = if decision.allow { "allowed" } else { "refused" };
    let mut step = match decision.rule {
        Some(rule) => Step::new("access", word).by(&rule.name, Some(rule.line)),
        None => Step::new("access", format!("{word}: no rule matches, {default}")),
    };
    if let Some(rule) = decision.observed {
        let would = if rule.action == Action::Deny { "refused" } else { "allowed" };
        step = step.fact("observed", format!("{} (line {}) would have {would} it", rule.name, rule.line));
    }
    if decision.failures > 0 {
        step = step.fact("failed expressions", decision.failures.to_string());
    }
    step.refuses(!decision.allow)
}
