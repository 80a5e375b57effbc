//! Making the plan, once, when rules are loaded.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::collections::HashMap;
use std::sync::Arc;

use super::bits::{Bits, MOST};
use super::required::Required;
use super::{Literals, Live, Node, PhasePlan, Plan, Planned, Wanted};
use crate::mask::ByteMask;
use crate::operator::{Operator, number};
use crate::rule::{Late, Phase, Rule};
use crate::ruleset::RuleSet;
use crate::transaction::tx::Tx;
use crate::transaction::{Transaction, is_fixed};
use crate::transform::Transform;
use crate::variable::{Selector, Target, Variable};

/// Bytes by which commands are taken apart to hide them; values without them are matched by plainer patterns.
pub(super) const SHELL: ByteMask = ByteMask::bytes(b"\\'\"[]$^`{}");
/// Strings of one phase that are looked for at once.
const LITERALS: usize = 60_000;

impl Plan {
    /// Plans the rules of all phases. `own` is what TX holds after an ordinary request, `wide` what it may come to hold in others: rules that are
    /// skipped because of both (those above the paranoia level) are not planned. Should they be reached after all, they are evaluated one by one.
    pub(crate) fn build(set: &RuleSet, own: &Tx, wide: &Tx) -> Self {
        let mut plan = Self { of_rule: vec![None; set.rules.len()], ..Self::default() };
        for (phase, list) in PHASES.into_iter().zip(&set.phases) {
            let active = active(set, list, own).into_iter().zip(active(set, list, wide));
            let (mut planned, mut numbers) = (Vec::new(), Vec::new());
            for (rule_number, active) in list.iter().zip(active) {
                let Some(rule) = set.rules.get(*rule_number) else { continue };
                if (active.0 || active.1) && is_fixed(rule) && planned.len() < MOST {
                    if let Some(slot) = plan.of_rule.get_mut(*rule_number) {
                        *slot = u16::try_from(planned.len()).ok();
                    }
                    planned.push(rule);
                    numbers.push(*rule_number);
                }
            }
            if let Some(slot) = plan.phases.get_mut(phase.index()) {
                *slot = PhasePlan::build(&planned, numbers);
            }
        }
        plan.live = plan.live(set, own);
        plan
    }

    /// The planned rules that are reached when TX holds this.
    pub(crate) fn live(&self, set: &RuleSet, tx: &Tx) -> Live {
        let mut live = Live::default();
        for (bits, list) in live.0.iter_mut().zip(&set.phases) {
            for (number, active) in list.iter().zip(active(set, list, tx)) {
                if let Some(bit) = self.of_rule.get(*number).copied().flatten().filter(|_| active) {
                    bits.add(usize::from(bit));
                }
            }
        }
        live
    }
}

/// A transaction in which the rules have seen the headers of an ordinary request: it shows what TX comes to hold, the paranoia level above all.
/// `prepare` may set variables before.
pub(crate) fn probe(set: &Arc<RuleSet>, prepare: impl FnOnce(&mut Transaction)) -> Transaction {
    let mut probe = Transaction::new(Arc::clone(set), None);
    prepare(&mut probe);
    probe.request_line(b"GET", b"/", b"HTTP/1.1");
    probe.request_header(b"Host", b"localhost");
    let _ = probe.request_headers();
    probe
}

/// In the order of their numbers.
const PHASES: [Phase; Phase::COUNT] =
    [Phase::RequestHeaders, Phase::RequestBody, Phase::ResponseHeaders, Phase::ResponseBody, Phase::Logging];

/// Which rules of a phase are reached, as far as jumps that depend on TX alone tell.
fn active(set: &RuleSet, list: &[usize], tx: &Tx) -> Vec<bool> {
    let mut active = vec![true; list.len()];
    for (at, number) in list.iter().enumerate() {
        let Some(rule) = set.rules.get(*number).filter(|_| active.get(at) == Some(&true)) else { continue };
        let to = rule.late.iter().find_map(|late| match late {
            Late::SkipAfter { to, .. } => Some(*to),
            _ => None,
        });
        if let Some(to) = to
            && jumps(rule, tx)
        {
            active.iter_mut().take(to).skip(at + 1).for_each(|slot| *slot = false);
        }
    }
    active
}

/// True if the rule compares one variable of TX with a number, and the comparison holds.
fn jumps(rule: &Rule, tx: &Tx) -> bool {
    let (
        [Target { variable: Variable::Tx, selector: Selector::Slot(slot), count: false }],
        Operator::Compare(comparison, text),
    ) = (rule.targets.as_slice(), rule.operator.as_ref())
    else {
        return false;
    };
    let Some(limit) = text.constant() else { return false };
    rule.chained.is_none()
        && rule.transforms.is_empty()
        && tx
            .slot(*slot)
            .is_some_and(|value| comparison.holds(number::parse(value), number::parse(limit)) != rule.negated)
}

impl PhasePlan {
    fn build(rules: &[&Rule], numbers: Vec<usize>) -> Self {
        let mut plan = Self {
            numbers,
            nodes: vec![Node { parent: 0, transform: Transform::None, here: Bits::default(), below: Bits::default() }],
            ..Self::default()
        };
        plan.wanted.resize_with(Variable::ALL.len(), || None);
        for (bit, rule) in rules.iter().enumerate() {
            let path = plan.path(&rule.transforms);
            for (place, node) in path.iter().enumerate() {
                let Some(node) = plan.nodes.get_mut(*node as usize) else { continue };
                node.below.add(bit);
                if rule.multi_match || place + 1 == path.len() {
                    node.here.add(bit);
                }
            }
            for target in &rule.targets {
                plan.want(bit, target, &rule.excluded);
            }
            let without = |without| match rule.operator.as_ref() {
                Operator::Rx(rx) => Required::of(&rx.source, without),
                Operator::Pm(phrases) => Required {
                    strings: Some(phrases.list.iter().map(|phrase| phrase.to_ascii_lowercase()).collect()),
                    clauses: Vec::new(),
                },
                Operator::Contains(text) => literal(text.constant()),
                _ => Required::default(),
            };
            plan.rules.push(Planned {
                operator: Arc::clone(&rule.operator),
                path,
                rich: without(ByteMask::NONE),
                plain: without(SHELL),
            });
        }
        plan.rich = Literals::build(plan.rules.iter().map(|rule| &rule.rich));
        plan.plain = Literals::build(plan.rules.iter().map(|rule| &rule.plain));
        for rule in &mut plan.rules {
            // The strings are in the automata now.
            rule.rich.strings = None;
            rule.plain.strings = None;
        }
        plan.variables = Variable::ALL
            .iter()
            .copied()
            .filter(|variable| plan.wanted.get(variable.index()).is_some_and(Option::is_some))
            .collect();
        plan
    }

    /// The nodes of a chain of transformations, from the root; new ones where there are none yet.
    fn path(&mut self, transforms: &[Transform]) -> Vec<u16> {
        let mut path = vec![0];
        for transform in transforms {
            let parent = path.last().copied().unwrap_or(0);
            let known = self
                .nodes
                .iter()
                .skip(1)
                .position(|node| node.parent == parent && node.transform == *transform)
                .map(|at| at + 1);
            let at = known.unwrap_or_else(|| {
                self.nodes.push(Node { parent, transform: *transform, here: Bits::default(), below: Bits::default() });
                self.nodes.len() - 1
            });
            path.push(u16::try_from(at).unwrap_or(u16::MAX));
        }
        path
    }

    fn want(&mut self, bit: usize, target: &Target, excluded: &[Target]) {
        let Some(wanted) = self.wanted.get_mut(target.variable.index()).map(Option::get_or_insert_default) else {
            return;
        };
        match &target.selector {
            Selector::All => wanted.all.add(bit),
            Selector::Name(name) => wanted.name(name).0.add(bit),
            Selector::Pattern(pattern) => wanted.patterns.push((pattern.clone(), bit)),
            Selector::Slot(_) => {}
        }
        for own in excluded.iter().filter(|own| own.variable == target.variable) {
            if let Selector::Name(name) = &own.selector {
                wanted.name(name).1.add(bit);
            }
        }
    }
}

impl Wanted {
    /// What is added and what is taken away for values of a name.
    fn name(&mut self, name: &[u8]) -> &mut (Bits, Bits) {
        self.names.entry(name.to_ascii_lowercase()).or_default()
    }
}

fn literal(text: Option<&[u8]>) -> Required {
    let strings = text.filter(|text| text.len() > 1).map(|text| vec![text.to_ascii_lowercase()]);
    Required { strings, clauses: Vec::new() }
}

impl Literals {
    fn build<'a>(rules: impl Iterator<Item = &'a Required>) -> Self {
        let mut literals = Self::default();
        let mut numbers: HashMap<Vec<u8>, usize> = HashMap::new();
        for (bit, required) in rules.enumerate() {
            match &required.strings {
                Some(strings) if strings.is_empty() => literals.never.add(bit),
                Some(strings)
                    if numbers.len() + strings.len() <= LITERALS && strings.iter().all(|string| !string.is_empty()) =>
                {
                    literals.by_strings.add(bit);
                    for string in strings {
                        let next = numbers.len();
                        let number = *numbers.entry(string.clone()).or_insert(next);
                        if number == next {
                            literals.rules.push(Bits::default());
                        }
                        if let Some(rules) = literals.rules.get_mut(number) {
                            rules.add(bit);
                        }
                    }
                }
                _ => {}
            }
        }
        let mut strings = vec![Vec::new(); numbers.len()];
        for (string, number) in numbers {
            if let Some(slot) = strings.get_mut(number) {
                *slot = string;
            }
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&strings);
        match automaton {
            Ok(automaton) if !strings.is_empty() => literals.automaton = Some(automaton),
            // Without an automaton every rule is a candidate for every string: slow, never wrong.
            _ => literals.by_strings = Bits::default(),
        }
        literals
    }
}
