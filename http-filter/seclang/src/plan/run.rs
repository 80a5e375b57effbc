//! Using the plan in a transaction.

use std::sync::Arc;

use super::bits::Bits;
use super::build::SHELL;
use super::state::{Base, NONE};
use super::{Literals, PhasePlan, Wanted, sqli};
use crate::mask::ByteMask;
use crate::operator::{Operator, number};
use crate::rule::{Phase, Rule};
use crate::transaction::values::Found;
use crate::transaction::{Partial, PlannedScratch, Transaction};
use crate::variable::{Kind, Selector, Variable};

/// Bytes of a pattern's cache that are made for a unit of work.
const CACHED: usize = 8;
/// Work that a distinct value costs besides its bytes.
const VALUE: usize = 32;

impl Transaction {
    /// Finds out, before the rules of a phase run, which of them could match what.
    pub(crate) fn prepare(&mut self, phase: Phase) {
        let rules = Arc::clone(&self.rules);
        let Some(plan) = rules.plan.phases.get(phase.index()).filter(|plan| !plan.rules.is_empty()) else {
            self.state.phase = None;
            return;
        };
        self.state.forget();
        self.state.phase = Some(phase);
        self.state.live = self.reachable(plan, phase);
        if self.state.candidates.len() < plan.rules.len() {
            self.state.candidates.resize_with(plan.rules.len(), Vec::new);
        }
        self.collect(plan);
        for base in 0..self.state.bases.len() {
            if !self.transform(plan, base) {
                self.give_up();
                return;
            }
        }
        for text in 0..self.state.texts.len() {
            if !self.sift(plan, phase, text) {
                self.give_up();
                return;
            }
        }
    }

    /// The planned rules that this transaction may reach.
    fn reachable(&self, plan: &PhasePlan, phase: Phase) -> Bits {
        let live = self.live.as_ref().unwrap_or(&self.rules.plan.live);
        let mut live = live.0.get(phase.index()).copied().unwrap_or_default();
        if !self.removed.is_empty() {
            let mut removed = Bits::default();
            for (bit, _) in plan.numbers.iter().enumerate().filter(|(_, number)| self.removed.has(**number)) {
                removed.add(bit);
            }
            live = live.without(&removed);
        }
        live
    }

    /// The budget is spent: the plan knows too little to leave anything out.
    fn give_up(&mut self) {
        self.state.phase = None;
        self.note_budget();
    }

    /// Step 1: the distinct values, and who wants to look at them.
    fn collect(&mut self, plan: &PhasePlan) {
        for variable in &plan.variables {
            let Some(wanted) = plan.wanted.get(variable.index()).and_then(Option::as_ref) else { continue };
            if variable.kind() == Kind::Single {
                let span = self.values.single(*variable).unwrap_or_default();
                self.add_base(span, &wanted.all);
                continue;
            }
            self.collect_list(*variable, wanted);
        }
    }

    fn collect_list(&mut self, variable: Variable, wanted: &Wanted) {
        let mut name = std::mem::take(&mut self.state.scratch);
        let mut at = 0;
        while let Some(pair) = self.values.pair_at(variable, at) {
            at += 1;
            let mut rules = wanted.all;
            if !wanted.names.is_empty() || !wanted.patterns.is_empty() {
                name.clear();
                name.extend_from_slice(self.values.get(pair.name));
                for (pattern, rule) in &wanted.patterns {
                    if pattern.is_match(&name) {
                        rules.add(*rule);
                    }
                }
                name.make_ascii_lowercase();
                if let Some((more, fewer)) = wanted.names.get(&name) {
                    rules = rules.or(more).without(fewer);
                }
            }
            self.add_base(pair.value, &rules);
        }
        self.state.scratch = name;
    }

    fn add_base(&mut self, span: crate::transaction::values::Span, rules: &Bits) {
        let rules = &rules.and(&self.state.live);
        if rules.is_empty() {
            return;
        }
        let state = &mut self.state;
        let number = state.intern(&self.values, span);
        let next = u32::try_from(state.bases.len()).unwrap_or(NONE);
        let Some(text) = state.texts.get_mut(number as usize) else { return };
        if text.base == NONE {
            text.base = next;
            state.bases.push(Base { text: number, want: *rules });
        } else if let Some(base) = state.bases.get_mut(text.base as usize) {
            base.want = base.want.or(rules);
        }
    }

    /// Step 2: what the transformations that anybody wants make of a value. False if the budget is spent.
    fn transform(&mut self, plan: &PhasePlan, base: usize) -> bool {
        let Some(Base { text, want }) = self.state.bases.get(base).copied() else { return true };
        let start = self.state.outcomes.len();
        self.state.outcomes.push(text);
        let mut out = std::mem::take(&mut self.state.scratch);
        let mut left = self.spend(VALUE);
        for (at, node) in plan.nodes.iter().enumerate() {
            if at > 0 {
                let mut outcome = NONE;
                if node.below.meets(&want) {
                    outcome = self.state.outcomes.get(start + usize::from(node.parent)).copied().unwrap_or(NONE);
                    if let Some(parent) = self.state.text(outcome)
                        && node.transform.may_change(parent.mask)
                    {
                        let bytes = self.values.get(parent.span);
                        let mut work = bytes.len();
                        if node.transform.apply(bytes, &mut out) {
                            work += out.len();
                            let span = self.values.push(&out);
                            outcome = self.state.intern(&self.values, span);
                        }
                        left = self.spend(work);
                        if !left {
                            break;
                        }
                    }
                }
                self.state.outcomes.push(outcome);
            }
            if node.here.meets(&want) {
                let rules = node.here.and(&want);
                let outcome = self.state.outcomes.last().copied().unwrap_or(NONE);
                self.state.want(outcome, &rules);
            }
        }
        self.state.scratch = out;
        left
    }

    /// Step 3: for which rules a string is a candidate. False if the budget is spent.
    fn sift(&mut self, plan: &PhasePlan, phase: Phase, text: usize) -> bool {
        let Some(text_now) = self.state.texts.get(text).copied().filter(|text| !text.want.is_empty()) else {
            return true;
        };
        let mask = text_now.mask;
        let possible = self.state.by_mask(phase, mask, || plan.possible(mask));
        let mut rest = text_now.want.and(&possible);
        if rest.is_empty() {
            return true;
        }
        let (literals, plain) = (&plan.literals, !mask.intersects(SHELL));
        let bytes = self.values.get(text_now.span);
        let length = bytes.len();
        let by_strings = literals.by_strings.get(plain);
        let asked = rest.and(by_strings);
        if !asked.is_empty() {
            rest = rest.without(by_strings).or(&literals.occurring(bytes, &asked, plain));
        }
        let number = u32::try_from(text).unwrap_or(NONE);
        for rule in rest.iter() {
            if let Some(candidates) = self.state.candidates.get_mut(rule) {
                candidates.push(number);
            }
        }
        self.state.possible = self.state.possible.or(&rest);
        self.spend(length)
    }

    /// True if the rule is planned for the current phase and matches nothing. Otherwise the strings that it matches are remembered.
    pub(crate) fn cannot_match(&mut self, number: usize) -> bool {
        let Some(bit) = self.planned_bit(number) else { return false };
        if !self.state.possible.has(bit) {
            return true;
        }
        let rules = Arc::clone(&self.rules);
        let Some(rule) = rules.rules.get(number) else { return false };
        let argument = rule.operator.argument().and_then(|text| text.constant()).unwrap_or_default();
        let plan = self.state.phase.and_then(|phase| rules.plan.phases.get(phase.index()));
        let certain = plan.and_then(|plan| plan.rules.get(bit)).is_some_and(|planned| planned.certain);
        let Some(candidates) = self.state.candidates.get_mut(bit).map(std::mem::take) else { return false };
        self.state.matched.clear();
        let mut spent = false;
        for text in &candidates {
            let Some(now) = self.state.text(*text).copied() else { continue };
            let bytes = self.values.get(now.span);
            let asked = !matches!(*rule.operator, Operator::DetectSqli) || sqli::may_be_injection(bytes, now.mask);
            let (weight, length) = (rule.operator.weight(), bytes.len());
            if certain || (asked && rule.operator.matches(bytes, argument, &mut self.caches)) {
                self.state.matched.push(*text);
            }
            let made = self.caches.made() / CACHED;
            if !self.spend(made + if asked { VALUE + weight * length } else { length }) {
                spent = true;
                break;
            }
        }
        if let Some(slot) = self.state.candidates.get_mut(bit) {
            *slot = candidates;
        }
        if spent {
            self.note_budget();
        }
        self.state.matched.is_empty()
    }

    /// True if the rule compares one variable of TX with a number, and plainly in vain. A third of CRS's rules are of this kind: defaults and
    /// paranoia levels.
    pub(crate) fn compares_in_vain(&self, rule: &Rule) -> bool {
        let ([target], Operator::Compare(comparison, text)) = (rule.targets.as_slice(), rule.operator.as_ref()) else {
            return false;
        };
        let (Variable::Tx, Selector::Slot(slot), true) =
            (target.variable, &target.selector, rule.transforms.is_empty())
        else {
            return false;
        };
        let Some(limit) = text.constant().filter(|_| self.state.phase.is_some()) else { return false };
        let value = match (self.tx.slot(*slot), target.count) {
            (value, true) => i64::from(value.is_some()),
            (Some(value), false) => number::parse(value),
            (None, false) => return true,
        };
        comparison.holds(value, number::parse(limit)) == rule.negated
    }

    fn note_budget(&mut self) {
        self.note(Partial::Budget);
    }

    fn planned_bit(&self, number: usize) -> Option<usize> {
        self.state.phase?;
        let bit = self.rules.plan.of_rule.get(number).copied().flatten().map(usize::from);
        bit.filter(|bit| self.state.live.has(*bit))
    }

    /// True if the plan knows about the rule.
    pub(crate) fn is_planned(&self, number: usize) -> bool {
        self.planned_bit(number).is_some()
    }

    /// Acts on a value of a rule that matches something, if it is this value that it matches.
    pub(crate) fn test_planned(&mut self, rule: &Rule, number: usize, found: &Found, scratch: &mut PlannedScratch<'_>) {
        let rules = Arc::clone(&self.rules);
        let (Some(bit), Some(phase)) = (self.planned_bit(number), self.state.phase) else { return };
        let Some(plan) = rules.plan.phases.get(phase.index()) else { return };
        let Some(planned) = plan.rules.get(bit) else { return };
        let text = self.state.find(&self.values, self.values.get(found.value));
        let Some(base) = self.state.text(text).map(|text| text.base).filter(|base| *base != NONE) else { return };
        let row = base as usize * plan.nodes.len();
        let outcome = |state: &super::state::State, node: u16| {
            state.outcomes.get(row + usize::from(node)).copied().unwrap_or(NONE)
        };
        let mut before = NONE;
        for (place, node) in planned.path.iter().enumerate() {
            let now = outcome(&self.state, *node);
            let last = place + 1 == planned.path.len();
            let looked_at = if rule.multi_match { now != before } else { last };
            before = now;
            // Candidates come in the order of their numbers, so the list is sorted.
            if looked_at && self.state.matched.binary_search(&now).is_ok() {
                let bytes = self.state.text(now).map(|text| self.values.get(text.span).to_vec()).unwrap_or_default();
                self.matched_value_of(rule, found, &bytes, scratch);
            }
        }
    }
}

impl PhasePlan {
    /// The rules that may match values with exactly these kinds of bytes.
    fn possible(&self, mask: ByteMask) -> Bits {
        let mut possible = Bits::default();
        let plain = !mask.intersects(SHELL);
        for (bit, rule) in self.rules.iter().enumerate() {
            let allowed = rule.clauses.get(plain).iter().all(|clause| clause.intersects(mask));
            if allowed && rule.operator.may_match(mask) {
                possible.add(bit);
            }
        }
        possible.without(self.literals.never.get(plain))
    }
}

impl Literals {
    /// Of the rules that are asked about, those of whose strings one occurs.
    fn occurring(&self, bytes: &[u8], asked: &Bits, plain: bool) -> Bits {
        let Some(automaton) = &self.automaton else { return *asked };
        let mut occurring = Bits::default();
        for found in automaton.find_overlapping_iter(bytes) {
            let set = self.of_string.get(found.pattern().as_usize()).and_then(|at| self.sets.get(*at as usize));
            if let Some(rules) = set.map(|sides| sides.get(plain))
                && rules.meets(asked)
            {
                occurring = occurring.or(rules).and(asked);
                if occurring == *asked {
                    break;
                }
            }
        }
        occurring
    }
}
