//! Making the plan, once, when rules are loaded.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::collections::HashMap;
use std::sync::Arc;

use super::bits::{Bits, MOST};
use super::required::Required;
use super::{Literals, Live, Node, PhasePlan, Plan, Planned, Sides, Wanted};
use crate::adjust::RuleBits;
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
    /// skipped because of both (those above the paranoia level) are not planned, nor are those that look at bodies of responses if nobody may. Should
    /// they be reached after all, they are evaluated one by one. Returns which rules are expected to be reached, too.
    pub(crate) fn build(set: &RuleSet, own: &Tx, wide: &Tx) -> (Self, RuleBits) {
        let mut reached = RuleBits::default();
        let mut plan = Self { of_rule: vec![None; set.rules.len()], ..Self::default() };
        for (phase, list) in PHASES.into_iter().zip(&set.phases) {
            if phase == Phase::ResponseBody && !set.values.response_body_access {
                continue;
            }
            let active = active(set, list, own).into_iter().zip(active(set, list, wide));
            let (mut planned, mut numbers) = (Vec::new(), Vec::new());
            for (rule_number, active) in list.iter().zip(active) {
                let Some(rule) = set.rules.get(*rule_number).filter(|_| active.0 || active.1) else { continue };
                reached.add(*rule_number);
                if is_fixed(rule) && planned.len() < MOST {
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
        (plan, reached)
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
        let mut strings = Strings::default();
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
                    strings: Some(phrases.list().map(<[u8]>::to_ascii_lowercase).collect()),
                    clauses: Vec::new(),
                },
                Operator::Contains(text) => literal(text.constant()),
                _ => Required::default(),
            };
            let (rich, plain) = (without(ByteMask::NONE), without(SHELL));
            strings.add(bit, rich.strings, plain.strings);
            plan.rules.push(Planned {
                operator: Arc::clone(&rule.operator),
                path: path.into(),
                certain: matches!(rule.operator.as_ref(), Operator::Pm(_)),
                clauses: Sides { rich: rich.clauses.into(), plain: plain.clauses.into() },
            });
        }
        plan.literals = strings.build();
        let by_strings = plan.literals.by_strings.rich.and(&plan.literals.by_strings.plain);
        for (bit, rule) in plan.rules.iter_mut().enumerate() {
            rule.certain &= by_strings.has(bit);
        }
        plan.rules.shrink_to_fit();
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

/// The strings of a phase's rules while they are collected.
#[derive(Default)]
struct Strings {
    numbers: HashMap<Vec<u8>, usize>,
    /// By string.
    rules: Vec<Sides<Bits>>,
    by_strings: Sides<Bits>,
    never: Sides<Bits>,
}

impl Strings {
    /// Adds what a rule requires of any string, and of plain ones; `None`: nothing is known.
    fn add(&mut self, bit: usize, rich: Option<Vec<Vec<u8>>>, plain: Option<Vec<Vec<u8>>>) {
        self.add_side(bit, rich, |sides| &mut sides.rich);
        self.add_side(bit, plain, |sides| &mut sides.plain);
    }

    fn add_side(&mut self, bit: usize, list: Option<Vec<Vec<u8>>>, side: fn(&mut Sides<Bits>) -> &mut Bits) {
        let Some(list) = list else { return };
        if list.is_empty() {
            side(&mut self.never).add(bit);
        } else if self.numbers.len() + list.len() <= LITERALS && list.iter().all(|string| !string.is_empty()) {
            side(&mut self.by_strings).add(bit);
            for string in list {
                let next = self.numbers.len();
                let number = *self.numbers.entry(string).or_insert(next);
                if number == next {
                    self.rules.push(Sides::default());
                }
                if let Some(rules) = self.rules.get_mut(number) {
                    side(rules).add(bit);
                }
            }
        }
    }

    fn build(self) -> Literals {
        let mut strings = vec![Vec::new(); self.numbers.len()];
        for (string, number) in self.numbers {
            if let Some(slot) = strings.get_mut(number) {
                *slot = string;
            }
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&strings)
            .ok()
            .filter(|_| !strings.is_empty());
        // Without an automaton every rule is a candidate for every string: slow, never wrong.
        let by_strings = if automaton.is_some() { self.by_strings } else { Sides::default() };
        let (mut sets, mut places) = (Vec::new(), HashMap::new());
        let of_string = self.rules.into_iter().map(|rules| {
            *places.entry(rules).or_insert_with(|| {
                sets.push(rules);
                u32::try_from(sets.len() - 1).unwrap_or(u32::MAX)
            })
        });
        let of_string = of_string.collect();
        Literals { automaton, of_string, sets: sets.into(), by_strings, never: self.never }
    }
}
