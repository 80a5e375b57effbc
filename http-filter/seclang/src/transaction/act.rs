//! What rules do when they match: variables, `ctl`, jumps, and the refusal itself.

use std::sync::Arc;

use super::{Action, Interrupt, Transaction};
use crate::operator::number;
use crate::rule::{Allow, Change, Control, Disruptive, Engine, Late, Name, Rule, SetVar};
use crate::store::{Key, Store};
use crate::variable::Variable;

impl Transaction {
    /// Does one `setvar`.
    pub(super) fn set_variable(&mut self, setvar: &SetVar, rule: &Rule) {
        let mut value = Vec::new();
        let (operand, sign) = match &setvar.change {
            Change::Set(text) => (Some(text), 0),
            Change::Add(text) => (Some(text), 1),
            Change::Subtract(text) => (Some(text), -1),
            Change::Unset => (None, 0),
        };
        if let Some(text) = operand {
            self.expand(text, rule, &mut value);
        }
        let change = |old: Option<&[u8]>| {
            operand?;
            if sign == 0 {
                return Some(value.clone());
            }
            let sum = number::parse(old.unwrap_or_default()).saturating_add(number::parse(&value).saturating_mul(sign));
            Some(sum.to_string().into_bytes())
        };
        match (&setvar.name, setvar.collection) {
            (Name::Slot(number), _) => match change(self.tx.slot(*number)) {
                Some(new) => self.tx.set_slot(*number, &new),
                None => self.tx.unset_slot(*number),
            },
            (Name::Text(text), collection) => {
                let mut name = Vec::new();
                self.expand(text, rule, &mut name);
                if collection == Variable::Tx {
                    self.spend(name.len());
                    let new = change(self.tx.get(&self.rules.names, &name));
                    self.tx.set(&self.rules.names, &name, new.as_deref());
                } else if let Some((store, key)) = self.record(collection) {
                    store.change(&key, &name, self.now, self.rules.values.collection_timeout, &mut |old| change(old));
                }
            }
        }
    }

    fn record(&self, collection: Variable) -> Option<(Arc<Store>, Key)> {
        let key = self.collections.iter().find(|key| key.0 == collection)?;
        Some((self.store.clone()?, key.clone()))
    }

    fn stored_name(&mut self, name: &Name, rule: &Rule) -> Vec<u8> {
        let mut out = Vec::new();
        match name {
            Name::Slot(number) => out.extend_from_slice(self.rules.names.name(*number)),
            Name::Text(text) => self.expand(text, rule, &mut out),
        }
        out
    }

    /// Does what a link of a chain demands when the whole chain has matched.
    pub(super) fn act_late(&mut self, late: &Late, rule: &Rule) {
        match late {
            Late::Control(control) => self.control(control),
            Late::Skip(count) => self.skip = *count,
            Late::SkipAfter { to, .. } => self.jump = Some(*to),
            Late::InitCollection { collection, key } => {
                let mut text = Vec::new();
                self.expand(key, rule, &mut text);
                self.collections.retain(|own| own.0 != *collection);
                self.collections.push((*collection, text));
            }
            Late::Expire { collection, name, seconds } => {
                let mut text = Vec::new();
                self.expand(seconds, rule, &mut text);
                let name = self.stored_name(name, rule);
                if let Some((store, key)) = self.record(*collection) {
                    let seconds = u64::try_from(number::parse(&text)).unwrap_or(0);
                    store.expire(&key, &name, self.now.saturating_add(seconds));
                }
            }
            Late::Deprecate { collection, name, amount, seconds } => {
                let name = self.stored_name(name, rule);
                if let Some((store, key)) = self.record(*collection) {
                    store.deprecate(&key, &name, *amount, *seconds, self.now);
                }
            }
        }
    }

    fn control(&mut self, control: &Control) {
        match control {
            Control::Engine(engine) => self.engine = *engine,
            Control::BodyProcessor(processor) => self.set_processor(*processor),
            Control::ForceRequestBody(force) => self.force_body = *force,
            Control::RequestBodyAccess(access) => self.body_access.0 = *access,
            Control::ResponseBodyAccess(access) => self.body_access.1 = *access,
            Control::Remove(which) => {
                let rules = Arc::clone(&self.rules);
                for (number, _) in rules.rules.iter().enumerate().filter(|(_, rule)| which.picks(rule)) {
                    self.removed.add(number);
                }
            }
            Control::RemoveTarget(which, target) => self.removed_targets.push((which.clone(), Arc::clone(target))),
            Control::Nothing => {}
        }
    }

    /// Does the disruptive action of a rule that matched; nothing is refused unless the engine is on. True if the action is (or would be) a
    /// refusal.
    pub(super) fn disrupt(&mut self, rule: &Rule) -> bool {
        let (status, action) = match &rule.disruptive {
            None | Some(Disruptive::Pass) => return false,
            Some(Disruptive::Allow(scope)) => {
                if self.engine == Engine::On {
                    self.allow = Some(*scope);
                }
                return false;
            }
            Some(Disruptive::Deny { status }) => (*status, Action::Deny),
            Some(Disruptive::Drop) => (403, Action::Drop),
            Some(Disruptive::Redirect { status, to }) => {
                let mut text = Vec::new();
                self.expand(to, rule, &mut text);
                (*status, Action::Redirect(text))
            }
        };
        if self.engine == Engine::On && self.interrupt.is_none() {
            self.interrupt = Some(Interrupt { status, action, rule: rule.id });
        }
        true
    }

    /// True if `allow` lets this phase pass without rules.
    pub(super) fn allowed(&mut self, phase: crate::rule::Phase) -> bool {
        use crate::rule::Phase;
        match self.allow {
            Some(Allow::All) => phase != Phase::Logging,
            Some(Allow::Request) if phase <= Phase::RequestBody => true,
            _ => {
                self.allow = None;
                false
            }
        }
    }
}
