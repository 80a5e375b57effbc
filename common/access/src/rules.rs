//! Rules in their order, and the decision. Pure.
//!
//! No rule is ever skipped because something went wrong: one that cannot be understood is refused when it is made, and one whose
//! expression fails while it is asked counts as matching if it denies and as not matching if it allows. So a failure can only
//! refuse more, never let more through; it is counted, and the refusal names the rule.

use std::net::IpAddr;
use std::sync::Arc;

use common::config::{AccessRule, Action};

use crate::facts::{Facts, Known};
use crate::matcher::{Answer, Environment, Matcher, Place};

/// One rule, ready to be asked.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Appears in log, metric, refusal and `explain`.
    pub name: Arc<str>,
    /// What a match decides.
    pub action: Action,
    /// Report only.
    pub observe: bool,
    /// Where it stands in the file, from 1.
    pub line: usize,
    /// Its number in the list, from 0: for a counter per rule.
    pub index: usize,
    conditions: Matcher,
}

/// Rules in their order, and what holds when none matches.
#[derive(Debug, Clone)]
pub struct RuleSet {
    rules: Box<[Rule]>,
    default: Action,
}

/// The outcome.
#[derive(Debug, Clone, Copy)]
pub struct Decision<'r> {
    /// The client or request may go on.
    pub allow: bool,
    /// The rule that decided; none: the default.
    pub rule: Option<&'r Rule>,
    /// The first rule in observe mode that matched before.
    pub observed: Option<&'r Rule>,
    /// A rule before would have allowed it if the client were a user.
    pub user_would_help: bool,
    /// Expressions that failed.
    pub failures: u32,
}

impl RuleSet {
    /// Makes rules of the configuration ready.
    ///
    /// # Errors
    /// Each thing that is wrong with one of them.
    pub fn compile(
        rules: &[AccessRule],
        default: Action,
        place: Place,
        environment: &Environment,
    ) -> Result<Self, Vec<String>> {
        let (mut made, mut errors) = (Vec::with_capacity(rules.len()), Vec::new());
        for (index, own) in rules.iter().enumerate() {
            match Matcher::compile(&own.conditions, place, environment) {
                Ok(conditions) => made.push(Rule {
                    name: Arc::clone(&own.name),
                    action: own.action,
                    observe: own.observe,
                    line: own.line,
                    index,
                    conditions,
                }),
                // What was drawn names its place itself.
                Err(faults) => errors.extend(faults.into_iter().map(|fault| match fault.starts_with("error") {
                    true => fault,
                    false => format!("rule '{}' (line {}): {fault}", own.name, own.line),
                })),
            }
        }
        if errors.is_empty() { Ok(Self { rules: made.into(), default }) } else { Err(errors) }
    }

    /// A list without rules.
    #[must_use]
    pub fn always(default: Action) -> Self {
        Self { rules: Box::default(), default }
    }

    /// The rules in their order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether nothing is asked and everything allowed: whoever asks often need not collect facts.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.rules.is_empty() && self.default == Action::Allow
    }

    /// What holds when none matches.
    #[must_use]
    pub fn default_action(&self) -> Action {
        self.default
    }

    /// The first rule that matches decides.
    #[must_use]
    pub fn decide(&self, facts: &Facts<'_>) -> Decision<'_> {
        match self.judge(facts, Known::ALL) {
            Some(decision) => decision,
            // Cannot be: everything is known. Refuse rather than guess.
            None => Decision { allow: false, rule: None, observed: None, user_would_help: false, failures: 0 },
        }
    }

    /// The same while only some facts are `known`. `None`: a rule that may match asks for more; ask again when more is known.
    #[must_use]
    pub fn decide_early(&self, facts: &Facts<'_>, known: Known) -> Option<Decision<'_>> {
        self.judge(facts, known)
    }

    fn judge(&self, facts: &Facts<'_>, known: Known) -> Option<Decision<'_>> {
        let mut decision = Decision {
            allow: self.default == Action::Allow,
            rule: None,
            observed: None,
            user_would_help: false,
            failures: 0,
        };
        // Observers that cannot be judged yet: they must not hold up a refusal, and must be heard before a permission.
        let mut waiting = false;
        for rule in &self.rules {
            let matches = match rule.conditions.answer(facts, known) {
                Answer::Yes => true,
                Answer::No => false,
                Answer::NotYet if rule.observe => {
                    waiting = true;
                    false
                }
                Answer::NotYet => return None,
                Answer::WantsUser => {
                    decision.user_would_help |= !rule.observe && rule.action == Action::Allow;
                    false
                }
                // Asked again, and counted, when all is known.
                Answer::Failed(_) if known != Known::ALL => return None,
                Answer::Failed(failure) => {
                    decision.failures += 1;
                    failed(rule, facts.client, failure);
                    rule.action == Action::Deny
                }
            };
            if !matches {
                continue;
            }
            if rule.observe {
                decision.observed = decision.observed.or(Some(rule));
                continue;
            }
            decision.allow = rule.action == Action::Allow;
            decision.rule = Some(rule);
            break;
        }
        (!waiting || !decision.allow).then_some(decision)
    }
}

fn failed(rule: &Rule, client: IpAddr, failure: crate::expression::Failure) {
    tracing::debug!(rule = &*rule.name, line = rule.line, %client, "the expression of a rule failed: {failure}");
}
