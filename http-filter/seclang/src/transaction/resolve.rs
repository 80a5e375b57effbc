//! From what a rule names (`ARGS:/x/`, `&TX:a`, `%{MATCHED_VAR}`) to values.

use super::Transaction;
use super::values::{Found, Pair, Span, decimal};
use crate::rule::Rule;
use crate::text::{Piece, Text};
use crate::variable::{Kind, Selector, Target, Variable};

impl Transaction {
    /// Adds what `target` names to `found`.
    pub(super) fn resolve(&mut self, target: &Target, rule: &Rule, found: &mut Vec<Found>) {
        let before = found.len();
        self.values_of(target, rule, found);
        if target.count {
            let number = found.len() - before;
            found.truncate(before);
            let mut digits = [0; 20];
            let value = self.values.push(decimal(number, &mut digits));
            let name = match &target.selector {
                Selector::Name(name) => self.values.push(name),
                Selector::Slot(number) => self.values.push(self.rules.names.name(*number)),
                Selector::All | Selector::Pattern(_) => Span::default(),
            };
            found.push(Found { variable: target.variable, name, value });
        }
    }

    fn values_of(&mut self, target: &Target, rule: &Rule, found: &mut Vec<Found>) {
        let variable = target.variable;
        match variable {
            Variable::Tx => self.tx_values(&target.selector, found),
            Variable::MatchedVar | Variable::MatchedVarName | Variable::MatchedVars | Variable::MatchedVarsNames => {
                self.matched_values(target, found)
            }
            Variable::Ip | Variable::Global | Variable::Session | Variable::User | Variable::Resource => {
                self.stored_values(target, found)
            }
            Variable::Rule => self.rule_values(&target.selector, rule, found),
            Variable::HighestSeverity => {
                let text = [b'0' + self.highest_severity.unwrap_or(0)];
                let value =
                    if self.highest_severity.is_some() { self.values.push(&text) } else { self.values.push(b"255") };
                found.push(Found { variable, name: Span::default(), value });
            }
            Variable::Duration | Variable::TimeEpoch => {
                let mut digits = [0; 20];
                let seconds =
                    if variable == Variable::TimeEpoch { usize::try_from(self.now).unwrap_or(usize::MAX) } else { 0 };
                let value = self.values.push(decimal(seconds, &mut digits));
                found.push(Found { variable, name: Span::default(), value });
            }
            _ if variable.kind() == Kind::Single => {
                // As in ModSecurity 3, a variable that has one value is always there, if only empty.
                let value = self.values.single(variable).unwrap_or_default();
                found.push(Found { variable, name: Span::default(), value });
            }
            _ => {
                let (lists, names) = self.values.lists(variable);
                for pair in lists.into_iter().flatten() {
                    if matches!(target.selector, Selector::All) || target.selector.picks(self.values.get(pair.name)) {
                        found.push(Found {
                            variable,
                            name: pair.name,
                            value: if names { pair.name } else { pair.value },
                        });
                    }
                }
            }
        }
    }

    fn tx_values(&mut self, selector: &Selector, found: &mut Vec<Found>) {
        if let Selector::Slot(number) = selector {
            if let Some(value) = self.tx.slot(*number) {
                let pair = self.values.pair(self.rules.names.name(*number), value);
                found.push(Found { variable: Variable::Tx, name: pair.name, value: pair.value });
            }
            return;
        }
        for (name, value) in self.tx.iter(&self.rules.names) {
            if selector.picks(name) {
                let pair = self.values.pair(name, value);
                found.push(Found { variable: Variable::Tx, name: pair.name, value: pair.value });
            }
        }
    }

    fn matched_values(&self, target: &Target, found: &mut Vec<Found>) {
        let variable = target.variable;
        let names = matches!(variable, Variable::MatchedVarName | Variable::MatchedVarsNames);
        let item = |pair: &Pair| Found { variable, name: pair.name, value: if names { pair.name } else { pair.value } };
        match variable {
            Variable::MatchedVar | Variable::MatchedVarName => {
                found.extend(self.matched.last().map(|pair| Found { name: Span::default(), ..item(pair) }));
            }
            _ => found
                .extend(self.matched.iter().filter(|pair| target.selector.picks(self.values.get(pair.name))).map(item)),
        }
    }

    fn stored_values(&mut self, target: &Target, found: &mut Vec<Found>) {
        let variable = target.variable;
        let Some(store) = self.store.clone() else { return };
        let Some(key) = self.collections.iter().find(|key| key.0 == variable) else { return };
        let values = &mut self.values;
        store.read(key, self.now, &mut |name, value| {
            if target.selector.picks(name) {
                let pair = values.pair(name, value);
                found.push(Found { variable, name: pair.name, value: pair.value });
            }
        });
    }

    fn rule_values(&mut self, selector: &Selector, rule: &Rule, found: &mut Vec<Found>) {
        let Selector::Name(name) = selector else { return };
        let value = match name.as_ref() {
            b"id" => self.values.push(rule.id.to_string().as_bytes()),
            b"msg" => self.values.push(rule.message_source.as_deref().unwrap_or_default().as_bytes()),
            b"severity" => {
                self.values.push(rule.severity.map(|number| number.to_string()).unwrap_or_default().as_bytes())
            }
            _ => return,
        };
        let name = self.values.push(name);
        found.push(Found { variable: Variable::Rule, name, value });
    }

    /// Writes the text with its macros expanded to `out`. What a macro names and is not there is empty; of several values the first counts.
    pub(super) fn expand(&mut self, text: &Text, rule: &Rule, out: &mut Vec<u8>) {
        out.clear();
        for piece in &text.pieces {
            match piece {
                Piece::Plain(plain) => out.extend_from_slice(plain),
                Piece::Macro(target) => {
                    if let (Variable::Tx, Selector::Slot(number)) = (target.variable, &target.selector) {
                        out.extend_from_slice(self.tx.slot(*number).unwrap_or_default());
                        continue;
                    }
                    let mut found = Vec::new();
                    self.resolve(target, rule, &mut found);
                    if let Some(first) = found.first() {
                        out.extend_from_slice(self.values.get(first.value));
                    }
                }
            }
        }
    }

    /// The full name of a value: `ARGS:q`, or `REQUEST_URI`.
    pub(super) fn full_name(&mut self, found: &Found) -> Span {
        let variable = found.variable.name().as_bytes();
        if found.variable.kind() == Kind::Single {
            return self.values.push(variable);
        }
        let name = self.values.get(found.name).to_vec();
        self.values.push_all(&[variable, b":", &name])
    }
}
