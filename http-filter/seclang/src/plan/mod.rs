//! The plan: how rules are evaluated without evaluating most of them.
//!
//! Most rules of a rule set look at the same values, after the same transformations, for things that are not there. Before the rules of a
//! phase run, the plan
//! 1. collects the distinct values that rules of the phase look at, each with its [`crate::mask::ByteMask`];
//! 2. runs each transformation once per distinct string, along a tree of chains with common beginnings, and not at all where the mask tells
//!    that nothing would change;
//! 3. asks of each distinct string which rules could match it: those that want to look at it, whose patterns its mask allows, and of whose
//!    required strings one occurs in it. All strings of all rules are looked for in one pass ([`Literals`]).
//!
//! When a rule's turn comes, its operator is asked only about the strings for which it is a candidate. If it matches none, the rule is over.
//! If it does, the rule is evaluated in full (captures, variables, chain), on the values whose strings matched.
//!
//! Rules that look at what other rules change (TX, MATCHED_VAR ...), count, or are negated are not planned; neither are those that the
//! paranoia level skips. Where transactions differ in their paranoia level ([`crate::Adjustments`]), rules of the highest one may be planned
//! ([`crate::Settings::planned_variables`]); each transaction has the plan look for those that it can reach. The plan may only err by running a rule in vain: `tests/crs` compares it with the naive evaluation.

pub(crate) mod bits;
mod build;
pub(crate) use self::build::probe;
mod required;
mod run;
pub(crate) mod sqli;
pub(crate) mod state;

use std::collections::HashMap;
use std::sync::Arc;

use aho_corasick::AhoCorasick;
use regex::bytes::Regex;

use self::bits::Bits;
use crate::mask::ByteMask;
use crate::operator::Operator;
use crate::rule::Phase;
use crate::transform::Transform;
use crate::variable::Variable;

/// The planned rules that a transaction can reach, by phase.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Live([Bits; Phase::COUNT]);

impl Live {
    /// Both together.
    pub(crate) fn or(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own = own.or(other));
        self
    }
}

/// The plans of all phases.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    phases: [PhasePlan; Phase::COUNT],
    /// The rules that are reached in transactions without adjustments.
    live: Live,
    /// By rule: its number in the plan of its phase.
    of_rule: Vec<Option<u16>>,
}

/// The plan of a phase. Rules go by their numbers in `rules`.
#[derive(Debug, Default)]
struct PhasePlan {
    rules: Vec<Planned>,
    /// The rules' numbers in the rule set.
    numbers: Vec<usize>,
    /// The tree of transformations; parents come before their children, the root is the value as it came.
    nodes: Vec<Node>,
    /// By variable: who looks at it.
    wanted: Vec<Option<Wanted>>,
    /// The variables that anybody looks at.
    variables: Vec<Variable>,
    literals: Literals,
}

/// A rule of the plan.
#[derive(Debug)]
struct Planned {
    operator: Arc<Operator>,
    /// The nodes of its transformations, from the root.
    path: Box<[u16]>,
    /// A string in which one of its literals occurs is a match: the operator need not be asked.
    certain: bool,
    /// The kinds of bytes that a match holds, one of each clause.
    clauses: Sides<Box<[ByteMask]>>,
}

/// What is so for any string, and what for strings without [`build::SHELL`], for which more is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Sides<T> {
    rich: T,
    plain: T,
}

impl<T> Sides<T> {
    fn get(&self, plain: bool) -> &T {
        if plain { &self.plain } else { &self.rich }
    }
}

/// A step of transformation.
#[derive(Debug)]
struct Node {
    parent: u16,
    transform: Transform,
    /// The rules that look at what comes out here.
    here: Bits,
    /// These, and the rules of nodes further down.
    below: Bits,
}

/// Who looks at a variable.
#[derive(Debug, Default)]
struct Wanted {
    /// At all values.
    all: Bits,
    /// By name in lower case: who looks at it besides, and who does not.
    names: HashMap<Vec<u8>, (Bits, Bits)>,
    /// At values whose names match.
    patterns: Vec<(Regex, usize)>,
}

/// The strings of which one must occur, of all rules. Both sides share the automaton: most strings belong to both.
#[derive(Debug, Default)]
struct Literals {
    automaton: Option<AhoCorasick>,
    /// By string: the place in `sets` of the rules that require it (or another).
    of_string: Box<[u32]>,
    sets: Box<[Sides<Bits>]>,
    /// The rules that require a string.
    by_strings: Sides<Bits>,
    /// The rules that cannot match at all.
    never: Sides<Bits>,
}
