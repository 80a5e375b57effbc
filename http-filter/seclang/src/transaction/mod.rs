//! One HTTP transaction before the rules: what is told about it, what the rules said, and what follows.
//!
//! The order of calls is that of the transaction: [`Transaction::begin`], [`Transaction::connection`], [`Transaction::request_line`], the
//! request's headers, then phase by phase. Phases may be left out, and after an interruption only [`Transaction::logging`] is left to call.

mod act;
mod evaluate;
mod hit;
mod request;
mod resolve;
mod response;
pub(crate) mod tx;
mod unread;
pub(crate) mod values;

use std::sync::Arc;

pub(crate) use self::evaluate::{PlannedScratch, is_fixed};
pub use self::hit::Hit;
use self::tx::Tx;
use self::values::{Found, Span, Values};
use crate::adjust::{RuleBits, Unseen};
use crate::body::{Limit, Processor};
use crate::operator::Captures;
use crate::operator::caches::Caches;
use crate::plan::Live;
use crate::plan::state::State;
use crate::rule::{Allow, Engine, Phase};
use crate::ruleset::RuleSet;
use crate::store::Store;
use crate::variable::{Target, Variable};

/// What a phase came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// No rule objects.
    Pass,
    /// No rule objects to what was looked at, but not everything was: the caller decides what that means.
    Partial(Partial),
    /// A rule refuses the transaction.
    Interrupt(Interrupt),
}

/// Why not everything was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partial {
    /// The request holds more than [`crate::Settings::limits`] allow.
    Limit(Limit),
    /// The body is larger than `SecRequestBodyLimit` or `SecResponseBodyLimit`, with the action `ProcessPartial`; its beginning was inspected.
    Body,
    /// The budget of work was spent before all rules had run.
    Budget,
}

/// What a rule demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupt {
    /// The status of the answer.
    pub status: u16,
    /// What to do.
    pub action: Action,
    /// The rule's id; 0 if a limit of the rule files was reached (`SecRequestBodyLimitAction Reject`).
    pub rule: u64,
}

/// How a transaction is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Answer with the status.
    Deny,
    /// Close the connection without an answer.
    Drop,
    /// Send the client there.
    Redirect(Vec<u8>),
}

/// One transaction. Keep it and [`Transaction::begin`] again: its buffers stay allocated, up to some 300 KiB; those of a large request are let go by
/// the next `begin`. What rules need while they run is the thread's, so many transactions may be under way.
#[derive(Debug)]
pub struct Transaction {
    pub(crate) rules: Arc<RuleSet>,
    store: Option<Arc<Store>>,
    pub(crate) values: Values,
    pub(crate) tx: Tx,
    /// What the current rule (with its chain) has matched so far: full names and values.
    matched: Vec<values::Pair>,
    hits: Vec<Hit>,
    /// How many rules matched, those that were not remembered included.
    hit_count: usize,
    highest_severity: Option<u8>,
    pub(crate) engine: Engine,
    allow: Option<Allow>,
    interrupt: Option<Interrupt>,
    /// The current rule has set a variable that stays.
    keep: bool,
    skip: u32,
    jump: Option<usize>,
    /// Rules that `ctl` or an adjustment removed.
    pub(crate) removed: RuleBits,
    /// What adjustments keep rules from looking at.
    pub(crate) unseen: Vec<Arc<[Unseen]>>,
    /// The planned rules that adjustments make (or leave) reachable; `None`: those of the rule set.
    pub(crate) live: Option<Live>,
    /// The head of the chain that is being evaluated.
    number: usize,
    removed_targets: Vec<(crate::rule::Which, Arc<Target>)>,
    collections: Vec<(Variable, Vec<u8>)>,
    processor: Option<Processor>,
    force_body: bool,
    body_access: (bool, bool),
    partial: Option<Partial>,
    now: u64,
    work: u64,
    budget: u64,
    phase: Phase,
    /// This and `caches` are the thread's, and here only while a phase runs.
    pub(crate) state: State,
    pub(crate) caches: Caches,
    scratch: Scratch,
}

/// Buffers that are used for moments and kept.
#[derive(Debug, Default)]
struct Scratch {
    found: Vec<Found>,
    argument: Vec<u8>,
    one: Vec<u8>,
    other: Vec<u8>,
    captures: Captures,
}

impl Transaction {
    /// A transaction under `rules`; `store` keeps the collections that outlive it (without it, `initcol` does nothing).
    #[must_use]
    pub fn new(rules: Arc<RuleSet>, store: Option<Arc<Store>>) -> Self {
        let mut new = Self {
            rules,
            store,
            values: Values::default(),
            tx: Tx::default(),
            matched: Vec::new(),
            hits: Vec::new(),
            hit_count: 0,
            highest_severity: None,
            engine: Engine::Off,
            allow: None,
            interrupt: None,
            keep: false,
            skip: 0,
            jump: None,
            removed: RuleBits::default(),
            unseen: Vec::new(),
            live: None,
            number: 0,
            removed_targets: Vec::new(),
            collections: Vec::new(),
            processor: None,
            force_body: false,
            body_access: (true, false),
            partial: None,
            now: 0,
            work: 0,
            budget: u64::MAX,
            phase: Phase::RequestHeaders,
            state: State::default(),
            caches: Caches::default(),
            scratch: Scratch::default(),
        };
        new.begin(0, b"");
        new
    }

    /// Forgets the transaction before and begins a new one at `now` (seconds of the caller's clock). `unique_id` is `UNIQUE_ID`; CRS draws
    /// its sample of requests from it.
    pub fn begin(&mut self, now: u64, unique_id: &[u8]) {
        let rules = Arc::clone(&self.rules);
        self.values.clear();
        self.tx.clear(rules.names.len());
        for (number, value) in &rules.presets {
            self.tx.set_slot(*number, value);
        }
        self.matched.clear();
        self.hits.clear();
        self.hit_count = 0;
        self.highest_severity = None;
        self.engine = rules.values.engine;
        self.allow = None;
        self.interrupt = None;
        self.keep = false;
        (self.skip, self.jump) = (0, None);
        self.removed.clear();
        self.removed_targets.clear();
        self.unseen.clear();
        self.live = None;
        self.collections.clear();
        self.processor = None;
        self.force_body = false;
        self.body_access = (rules.values.request_body_access, rules.values.response_body_access);
        self.partial = None;
        self.now = now;
        self.work = 0;
        self.phase = Phase::RequestHeaders;
        self.values.set(Variable::UniqueId, unique_id);
        self.values.set(Variable::UrlencodedError, b"0");
        self.values.set(Variable::ArgsCombinedSize, b"0");
    }

    /// Goes over to other rules from the next [`Transaction::begin`] on, which is called here.
    pub fn use_rules(&mut self, rules: Arc<RuleSet>, now: u64, unique_id: &[u8]) {
        self.rules = rules;
        self.begin(now, unique_id);
    }

    /// Sets how much work the transaction may cost from its beginning on, in units of [`Transaction::work`]. When it is spent, the phase ends
    /// with [`Partial::Budget`]. It is measured between steps, each of which is linear in one value.
    pub fn set_budget(&mut self, units: u64) {
        self.budget = units;
    }

    /// The work done so far: roughly, bytes looked at. A unit takes one to five nanoseconds; a program that wants to spend time rather than
    /// work measures once how many its machine does. 10 million units are some 30 ms.
    #[must_use]
    pub fn work(&self) -> u64 {
        self.work
    }

    /// The rules that matched and are meant to be logged, in the order in which they matched; at most [`crate::Settings::hits`].
    #[must_use]
    pub fn hits(&self) -> &[Hit] {
        &self.hits
    }

    /// How many rules matched that are meant to be logged, the ones that were not remembered included.
    #[must_use]
    pub fn hit_count(&self) -> usize {
        self.hit_count
    }

    /// A variable of TX, such as `blocking_inbound_anomaly_score`.
    #[must_use]
    pub fn tx(&self, name: &str) -> Option<&[u8]> {
        self.tx.get(&self.rules.names, name.as_bytes())
    }

    /// A variable of TX as a number, for scores; 0 if it is not set.
    #[must_use]
    pub fn score(&self, name: &str) -> i64 {
        crate::operator::number::parse(self.tx(name).unwrap_or_default())
    }

    /// Whether rules act: what `SecRuleEngine` says and `ctl:ruleEngine` made of it.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// True if rules want to see the request's body, or the response's (its `content_type` decides). Ask after the phase before.
    #[must_use]
    pub fn wants_body(&self) -> (bool, bool) {
        (
            self.body_access.0 && self.engine != Engine::Off,
            self.body_access.1 && self.engine != Engine::Off && self.response_type_wanted(),
        )
    }

    /// True if the rules would look into the request's body: they have access to it, and a body processor was chosen for it (or the body as it
    /// came is asked for). Ask after phase 1. If it is false, the body need not be held for [`Transaction::request_body`]: an empty one does, and
    /// what differs is what rules learn of its length.
    #[must_use]
    pub fn reads_body(&self) -> bool {
        self.engine != Engine::Off
            && self.body_access.0
            && (self.processor.is_some() || self.force_body)
            && self.interrupt.is_none()
            && !matches!(self.allow, Some(Allow::Request | Allow::All))
    }

    fn bytes(&self, span: Span) -> &[u8] {
        self.values.get(span)
    }

    /// Counts work; true if there is some left.
    pub(crate) fn spend(&mut self, units: usize) -> bool {
        self.work = self.work.saturating_add(units as u64);
        self.work <= self.budget
    }

    /// Remembers why not everything was looked at; the first reason stays.
    pub(crate) fn note(&mut self, partial: Partial) {
        self.note_partial(partial);
    }

    fn note_partial(&mut self, partial: Partial) {
        self.partial.get_or_insert(partial);
    }
}
