//! The last steps of loading: updates are done, names of TX get numbers, `skipAfter` its destination, phases their lists.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Item, Loader};
use crate::error::{LoadError, Mistake};
use crate::rule::{Late, Name, Phase, Rule};
use crate::ruleset::{Names, RuleSet};
use crate::variable::{Selector, Variable};

impl Loader<'_> {
    /// Makes the rule set, or returns everything that is wrong.
    pub(super) fn finish(mut self) -> Result<RuleSet, Vec<LoadError>> {
        if self.open_chain {
            self.wrong(Mistake::new("chain", "the last rule says `chain`, but no rule follows"));
        }
        self.update();
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let mut names = Names::default();
        let mut rules: Vec<Rule> = Vec::new();
        // The markers of each name, as the number of the rule behind them.
        let mut markers: HashMap<Arc<str>, Vec<usize>> = HashMap::new();
        for item in std::mem::take(&mut self.items) {
            match item {
                Item::Rule(rule) if self.settings.requests_only && rule.phase.is_of_response() => {}
                Item::Rule(rule) => rules.push(*rule),
                Item::Marker(name) => markers.entry(name).or_default().push(rules.len()),
            }
        }
        for rule in &mut rules {
            number_names(rule, &mut names);
            rule.tighten(&mut |tag| self.shared.tag(tag));
        }
        // Only what the rules hold of it is still needed.
        self.shared = super::shared::Shared::default();
        let mut phases: [Vec<usize>; Phase::COUNT] = Default::default();
        for (number, rule) in rules.iter().enumerate() {
            if let Some(list) = phases.get_mut(rule.phase.index()) {
                list.push(number);
            }
        }
        for (number, rule) in rules.iter_mut().enumerate() {
            let list = phases.get(rule.phase.index()).map_or(&[][..], Vec::as_slice);
            let notes = &mut self.notes;
            let place = rule.place.clone();
            for late in &mut rule.late {
                let Late::SkipAfter { marker, to } = late else { continue };
                let behind = markers.get(marker).and_then(|at| at.iter().find(|at| **at > number));
                if behind.is_none() {
                    notes.push(
                        Mistake::new(marker, "no marker of this name follows; the rest of the phase is skipped")
                            .at(&place.file, place.line),
                    );
                }
                *to = behind.map_or(list.len(), |behind| list.partition_point(|rule| rule < behind));
            }
        }
        RuleSet::new(rules, phases, names, self.directives, self.settings, self.notes)
    }
}

/// Gives every variable of TX that is named in full a number.
fn number_names(rule: &mut Rule, names: &mut Names) {
    rule.targets_mut(&mut |target| {
        if target.variable == Variable::Tx
            && let Selector::Name(name) = &target.selector
        {
            target.selector = Selector::Slot(names.number(name));
        }
    });
    rule.written_mut(&mut |collection, name| {
        if collection == Variable::Tx
            && let Name::Text(text) = name
            && let Some(constant) = text.constant()
        {
            *name = Name::Slot(names.number(constant));
        }
    });
}
