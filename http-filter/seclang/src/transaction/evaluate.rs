//! The evaluation of rules: the loop over a phase, chains, transformations, captures, and what is remembered of a match.
//!
//! This is the whole semantics. The plan (`crate::plan`) only tells in advance which rules and which values need not be looked at.

use std::sync::Arc;

use super::values::{Found, Pair};
use super::{Hit, Partial, Scratch, Transaction, Verdict};
use crate::operator::Operator;
use crate::rule::{Engine, Phase, Rule};
use crate::variable::Variable;
use crate::workshop::{self, Workshop};

/// Work that a rule costs besides the bytes it looks at.
const RULE: usize = 4;
/// Work that a value costs besides its bytes.
const VALUE: usize = 16;

impl Transaction {
    /// Runs the rules of a phase.
    pub(super) fn run(&mut self, phase: Phase) -> Verdict {
        self.phase = phase;
        let over = self.interrupt.is_some() && phase != Phase::Logging;
        if self.engine != Engine::Off && !over && !self.allowed(phase) {
            let stamp = self.rules.stamp;
            Workshop { state: self.state, caches: self.caches } = workshop::borrow(stamp);
            self.caches.begin(self.rules.settings.cache);
            self.run_rules(phase);
            let (state, caches) = (std::mem::take(&mut self.state), std::mem::take(&mut self.caches));
            workshop::give_back(stamp, Workshop { state, caches });
        }
        match (&self.interrupt, self.partial) {
            (Some(interrupt), _) => Verdict::Interrupt(interrupt.clone()),
            (None, Some(partial)) => Verdict::Partial(partial),
            (None, None) => Verdict::Pass,
        }
    }

    fn run_rules(&mut self, phase: Phase) {
        let rules = Arc::clone(&self.rules);
        let list = rules.phases.get(phase.index()).map_or(&[][..], Vec::as_slice);
        (self.skip, self.jump) = (0, None);
        self.prepare(phase);
        let refused = self.interrupt.is_some();
        let mut at = 0;
        while let Some(number) = list.get(at).copied() {
            at += 1;
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            let Some(rule) = rules.rules.get(number) else { break };
            if self.removed.has(number) || self.cannot_match(number) {
                continue;
            }
            if !self.spend(RULE) {
                self.note_partial(Partial::Budget);
                return;
            }
            if self.compares_in_vain(rule) {
                continue;
            }
            self.matched.clear();
            self.number = number;
            let mark = self.values.mark();
            self.evaluate(rule, rule, number);
            // What a rule matched is of no use to the next one; with many rules and long values it would add up.
            if !std::mem::take(&mut self.keep) {
                self.matched.clear();
                self.values.rewind(mark);
            }
            if let Some(to) = self.jump.take() {
                at = at.max(to);
            }
            let stop = self.interrupt.is_some() && !refused || self.allow.is_some() || self.engine == Engine::Off;
            if stop {
                return;
            }
        }
    }

    /// Evaluates a rule and what is chained to it; true if all of it matched.
    fn evaluate(&mut self, rule: &Rule, head: &Rule, number: usize) -> bool {
        let mut scratch = std::mem::take(&mut self.scratch);
        if let Some(text) = rule.operator.argument() {
            match text.constant() {
                Some(constant) => {
                    scratch.argument.clear();
                    scratch.argument.extend_from_slice(constant);
                }
                None => self.expand(text, head, &mut scratch.argument),
            }
        }
        let before = self.matched.len();
        if rule.targets.is_empty() {
            self.act(rule, head);
        } else if std::ptr::eq(rule, head) && self.is_planned(number) {
            self.look_planned(rule, number, &mut scratch);
        } else {
            self.look(rule, head, &mut scratch);
        }
        let matched = self.matched.len() > before || rule.targets.is_empty();
        self.scratch = scratch;
        if !matched {
            return false;
        }
        let own = std::ptr::eq(rule, head).then(|| self.matched.last().copied().unwrap_or_default());
        if let Some(next) = &rule.chained
            && !self.evaluate(next, head, number)
        {
            return false;
        }
        for late in &rule.late {
            self.act_late(late, head);
        }
        if let Some(own) = own {
            let hit = self.describe(rule, own);
            self.conclude(rule, hit);
        }
        true
    }

    /// Looks at every value that the rule names.
    fn look(&mut self, rule: &Rule, head: &Rule, scratch: &mut Scratch) {
        let mut found = std::mem::take(&mut scratch.found);
        found.clear();
        for target in &rule.targets {
            self.resolve(target, head, &mut found);
        }
        for value in &found {
            let bytes = self.bytes(value.value).len();
            if !self.spend(VALUE + bytes * (1 + rule.transforms.len())) {
                self.note_partial(Partial::Budget);
                break;
            }
            scratch.one.clear();
            scratch.one.extend_from_slice(self.bytes(value.value));
            if rule.multi_match {
                self.test(rule, head, value, scratch);
            }
            for transform in &rule.transforms {
                let changed = transform.apply(&scratch.one, &mut scratch.other);
                if changed {
                    std::mem::swap(&mut scratch.one, &mut scratch.other);
                }
                if changed && rule.multi_match {
                    self.test(rule, head, value, scratch);
                }
            }
            if !rule.multi_match {
                self.test(rule, head, value, scratch);
            }
        }
        scratch.found = found;
    }

    /// Asks the operator about one transformed value (`scratch.one`), and acts if the answer is yes.
    fn test(&mut self, rule: &Rule, head: &Rule, found: &Found, scratch: &mut Scratch) {
        if rule.operator.matches(&scratch.one, &scratch.argument, &mut self.caches) != rule.negated {
            self.matched_value(rule, head, found, scratch);
        }
    }

    /// A value (`scratch.one`, transformed) has matched: unless it is excluded, this is what follows at once.
    pub(crate) fn matched_value_of(
        &mut self,
        rule: &Rule,
        found: &Found,
        one: &[u8],
        scratch: &mut PlannedScratch<'_>,
    ) {
        scratch.0.one.clear();
        scratch.0.one.extend_from_slice(one);
        self.matched_value(rule, rule, found, scratch.0);
    }

    fn matched_value(&mut self, rule: &Rule, head: &Rule, found: &Found, scratch: &mut Scratch) {
        if self.excluded(rule, found) {
            return;
        }
        if rule.capture {
            rule.operator.capture(&scratch.one, &scratch.argument, &mut self.caches, &mut scratch.captures);
            for (group, value) in &scratch.captures.groups {
                // The first ten numbers of TX are the captures.
                self.tx.set_slot(u32::try_from(*group).unwrap_or(u32::MAX), value);
            }
        }
        let name = self.full_name(found);
        let value = self.values.push(&scratch.one);
        self.matched.push(Pair { name, value });
        self.act(rule, head);
    }

    fn act(&mut self, rule: &Rule, head: &Rule) {
        for setvar in &rule.setvars {
            self.set_variable(setvar, head);
        }
    }

    /// True if the rule does not look at this value, by its own list or by `ctl:ruleRemoveTarget...`.
    fn excluded(&self, rule: &Rule, found: &Found) -> bool {
        let name = self.bytes(found.name);
        let meant = |target: &crate::variable::Target| target.variable == found.variable && target.selector.picks(name);
        rule.excluded.iter().any(&meant)
            || self.removed_targets.iter().any(|(which, target)| meant(target) && which.picks(rule))
            || self.is_unseen(self.number, meant)
    }

    /// What the record of the match says. Its texts are expanded when the whole chain has matched (CRS relies on it: the captures are those
    /// of the last link); the variable and the value are the head's `own`, because that is what somebody may want to exclude.
    fn describe(&mut self, rule: &Rule, own: Pair) -> Option<Hit> {
        if !rule.log || self.hits.len() >= self.rules.settings.hits {
            return None;
        }
        let (mut message, mut data) = (Vec::new(), Vec::new());
        if let Some(text) = &rule.message {
            self.expand(text, rule, &mut message);
        }
        if let Some(text) = &rule.log_data {
            self.expand(text, rule, &mut data);
        }
        let shown = self.rules.settings.shown;
        message.truncate(shown);
        data.truncate(shown);
        let short = |bytes: &[u8]| bytes.get(..shown).unwrap_or(bytes).to_vec();
        Some(Hit {
            rule: rule.id,
            phase: self.phase,
            place: rule.place.clone(),
            message,
            data,
            tags: rule.tags.clone(),
            severity: rule.severity,
            variable: short(self.bytes(own.name)),
            value: short(self.bytes(own.value)),
            disruptive: false,
        })
    }

    /// The whole chain has matched.
    fn conclude(&mut self, rule: &Rule, hit: Option<Hit>) {
        if let Some(severity) = rule.severity {
            self.highest_severity = Some(self.highest_severity.map_or(severity, |own| own.min(severity)));
        }
        let disruptive = self.disrupt(rule);
        if rule.log {
            self.hit_count += 1;
            self.hits.extend(hit.map(|hit| Hit { disruptive, ..hit }));
        }
    }
}

/// Lets the plan hand its scratch back without seeing into it.
pub(crate) struct PlannedScratch<'a>(pub(super) &'a mut Scratch);

impl Transaction {
    fn look_planned(&mut self, rule: &Rule, number: usize, scratch: &mut Scratch) {
        let mut found = std::mem::take(&mut scratch.found);
        found.clear();
        for target in &rule.targets {
            self.resolve(target, rule, &mut found);
        }
        for value in &found {
            if !self.spend(VALUE) {
                self.note_partial(Partial::Budget);
                break;
            }
            self.test_planned(rule, number, value, &mut PlannedScratch(scratch));
        }
        scratch.found = found;
    }
}

/// True if what the rule looks at cannot change before its turn in the phase comes.
pub(crate) fn is_fixed(rule: &Rule) -> bool {
    !rule.targets.is_empty()
        && rule.targets.iter().all(|target| !target.count && !target.variable.changes())
        && !rule.negated
        && rule.operator.argument().is_none_or(|text| text.constant().is_some())
        && !matches!(rule.operator.as_ref(), Operator::Always)
        && rule.targets.iter().all(|target| target.variable != Variable::Rule)
}
