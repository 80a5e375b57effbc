//! What holds for one request: which mode, thresholds and limits, and which rules do not look at what. Scopes and exclusions have the conditions
//! that access rules have; what follows from each is resolved once, when the configuration is read.

use std::sync::Arc;

use common::config::{self, OverLimit, WebAttackExclude, WebAttackMode, WebAttackScope};
use common_access::{Answer, Environment, Facts, Known, Matcher, Place};
use seclang::{Adjusted, Adjustments, Engine, Removal, RuleSet, Transaction};

use super::rules::{paranoia, threshold};

/// Scopes and exclusions of one configuration.
#[derive(Debug)]
pub struct Scopes {
    base: Choice,
    detect: Adjusted,
    scopes: Vec<Scope>,
    excludes: Vec<Exclude>,
}

#[derive(Debug)]
struct Scope {
    own: WebAttackScope,
    conditions: Matcher,
    paranoia: Option<Adjusted>,
    inbound: Option<Adjusted>,
    outbound: Option<Adjusted>,
}

#[derive(Debug)]
struct Exclude {
    name: Arc<str>,
    conditions: Matcher,
    adjusted: Adjusted,
}

/// What holds for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Mode.
    pub mode: WebAttackMode,
    /// Bytes of the body that are looked at.
    pub max_body: usize,
    /// And beyond them.
    pub over_limit: OverLimit,
    /// Whether the answer is looked at.
    pub responses: bool,
    /// Numbers of the scopes that decide these.
    paranoia: Option<usize>,
    inbound: Option<usize>,
    outbound: Option<usize>,
}

impl Scopes {
    /// Resolves them for these rules.
    ///
    /// # Errors
    /// Each thing that is wrong with a condition or a target.
    pub fn new(own: &config::WebAttacks, set: &Arc<RuleSet>, environment: &Environment) -> Result<Self, Vec<String>> {
        let base = Choice {
            mode: own.mode,
            max_body: own.max_body,
            over_limit: own.over_limit,
            responses: own.responses,
            paranoia: None,
            inbound: None,
            outbound: None,
        };
        let mut errors = Vec::new();
        let detect = Adjustments { engine: Some(Engine::DetectionOnly), ..Adjustments::default() };
        let detect = set.adjust(&detect).map_err(|error| vec![error.to_string()])?;
        let mut made = Self { base, detect, scopes: Vec::new(), excludes: Vec::new() };
        for scope in &own.scopes {
            match Scope::new(scope, set, environment) {
                Ok(scope) => made.scopes.push(scope),
                Err(faults) => errors.extend(named("scope", &scope.name, faults)),
            }
        }
        for exclude in &own.excludes {
            match Exclude::new(exclude, set, environment) {
                Ok(exclude) => made.excludes.push(exclude),
                Err(faults) => errors.extend(named("exclude", &exclude.name, faults)),
            }
        }
        if errors.is_empty() { Ok(made) } else { Err(errors) }
    }

    /// What holds for this request; `failures` counts expressions that failed, which hold for nothing.
    pub fn choose(&self, facts: &Facts<'_>, failures: &mut u64) -> Choice {
        let mut chosen = self.base;
        let (mut mode, mut max_body, mut over_limit, mut responses) = (None, None, None, None);
        for (number, scope) in self.scopes.iter().enumerate() {
            if !holds(&scope.conditions, facts, failures) {
                continue;
            }
            let own = &scope.own;
            mode = mode.or(own.mode);
            max_body = max_body.or(own.max_body);
            over_limit = over_limit.or(own.over_limit);
            responses = responses.or(own.responses);
            chosen.paranoia = chosen.paranoia.or(scope.paranoia.as_ref().map(|_| number));
            chosen.inbound = chosen.inbound.or(scope.inbound.as_ref().map(|_| number));
            chosen.outbound = chosen.outbound.or(scope.outbound.as_ref().map(|_| number));
        }
        chosen.mode = mode.unwrap_or(chosen.mode);
        chosen.max_body = max_body.unwrap_or(chosen.max_body);
        chosen.over_limit = over_limit.unwrap_or(chosen.over_limit);
        chosen.responses = responses.unwrap_or(chosen.responses);
        chosen
    }

    /// Lets a transaction that has just begun be under what was chosen, and under the exclusions that apply.
    pub fn apply(&self, chosen: &Choice, transaction: &mut Transaction, facts: &Facts<'_>, failures: &mut u64) {
        if chosen.mode == WebAttackMode::Detect {
            transaction.apply(&self.detect);
        }
        let scope = |number: Option<usize>| number.and_then(|number| self.scopes.get(number));
        let own = [
            scope(chosen.paranoia).and_then(|scope| scope.paranoia.as_ref()),
            scope(chosen.inbound).and_then(|scope| scope.inbound.as_ref()),
            scope(chosen.outbound).and_then(|scope| scope.outbound.as_ref()),
        ];
        for adjusted in own.into_iter().flatten() {
            transaction.apply(adjusted);
        }
        for exclude in &self.excludes {
            if holds(&exclude.conditions, facts, failures) {
                transaction.apply(&exclude.adjusted);
            }
        }
    }

    /// Names of the scopes and of the exclusions that apply to a request, for `explain`.
    pub fn names(&self, facts: &Facts<'_>) -> [Vec<Arc<str>>; 2] {
        let mut failures = 0;
        let mut applies = |conditions: &Matcher| holds(conditions, facts, &mut failures);
        let scopes = self.scopes.iter().filter(|scope| applies(&scope.conditions));
        let scopes = scopes.map(|scope| Arc::clone(&scope.own.name)).collect();
        let excludes = self.excludes.iter().filter(|exclude| applies(&exclude.conditions));
        [scopes, excludes.map(|exclude| Arc::clone(&exclude.name)).collect()]
    }

    /// Ids and tags that exclusions name and no rule has, a sentence each.
    pub fn notes(&self) -> Vec<String> {
        let notes =
            self.excludes.iter().flat_map(|exclude| exclude.adjusted.notes().iter().map(move |note| (exclude, note)));
        notes.map(|(exclude, note)| format!("http-filter.web-attacks.exclude '{}': {note}", exclude.name)).collect()
    }
}

/// An expression that fails holds for nothing: it must neither let anything pass nor exclude a rule.
fn holds(conditions: &Matcher, facts: &Facts<'_>, failures: &mut u64) -> bool {
    conditions.is_empty()
        || match conditions.answer(facts, Known::ALL) {
            Answer::Yes => true,
            Answer::Failed(_) => {
                *failures += 1;
                false
            }
            _ => false,
        }
}

fn named<'a>(kind: &'a str, name: &'a str, faults: Vec<String>) -> impl Iterator<Item = String> + use<'a> {
    faults.into_iter().map(move |fault| match fault.starts_with("error") {
        true => fault,
        false => format!("http-filter.web-attacks.{kind} '{name}': {fault}"),
    })
}

impl Scope {
    fn new(own: &WebAttackScope, set: &Arc<RuleSet>, environment: &Environment) -> Result<Self, Vec<String>> {
        let variables = |variables: Option<Vec<(String, String)>>| {
            let adjustments = variables.map(|variables| Adjustments { variables, ..Adjustments::default() });
            let adjusted = adjustments.map(|adjustments| set.adjust(&adjustments)).transpose();
            adjusted.map_err(|error| vec![error.to_string()])
        };
        Ok(Self {
            conditions: Matcher::compile(&own.conditions, Place::Http, environment)?,
            paranoia: variables(own.paranoia.map(paranoia))?,
            inbound: variables(own.inbound_threshold.map(|score| threshold("inbound", score)))?,
            outbound: variables(own.outbound_threshold.map(|score| threshold("outbound", score)))?,
            own: own.clone(),
        })
    }
}

impl Exclude {
    fn new(own: &WebAttackExclude, set: &Arc<RuleSet>, environment: &Environment) -> Result<Self, Vec<String>> {
        // Whichever of its names a rule knows a parameter by.
        let parameters =
            own.parameters.iter().flat_map(|name| ["ARGS", "ARGS_GET", "ARGS_POST"].map(|of| format!("{of}:{name}")));
        let targets = own.targets.iter().cloned().chain(parameters).collect();
        let removal = Removal { rules: own.rules.clone(), tags: own.tags.clone(), targets };
        let adjustments = Adjustments { removed: vec![removal], ..Adjustments::default() };
        Ok(Self {
            name: Arc::clone(&own.name),
            conditions: Matcher::compile(&own.conditions, Place::Http, environment)?,
            adjusted: set.adjust(&adjustments).map_err(|error| vec![error.to_string()])?,
        })
    }
}
