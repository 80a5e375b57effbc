//! A rule as the engine runs it: everything read, resolved and compiled; nothing is parsed while a request waits.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use crate::body::Processor;
use crate::operator::Operator;
use crate::text::{Piece, Text};
use crate::transform::Transform;
use crate::variable::{Target, Variable};

/// When in a transaction a rule runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// 1: the request line and headers are there.
    RequestHeaders,
    /// 2: the request body too.
    RequestBody,
    /// 3: the response's status and headers.
    ResponseHeaders,
    /// 4: the response's body.
    ResponseBody,
    /// 5: all is over; nothing can be refused any more.
    Logging,
}

impl Phase {
    /// How many there are.
    pub(crate) const COUNT: usize = 5;

    /// One of those that look at answers.
    pub(crate) fn is_of_response(self) -> bool {
        matches!(self, Self::ResponseHeaders | Self::ResponseBody)
    }

    /// Reads `1` to `5`, `request`, `response`, `logging`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "1" => Self::RequestHeaders,
            "2" | "request" => Self::RequestBody,
            "3" => Self::ResponseHeaders,
            "4" | "response" => Self::ResponseBody,
            "5" | "logging" => Self::Logging,
            _ => return None,
        })
    }

    /// From 0.
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

/// Whether rules act, only report, or do not run (`SecRuleEngine`, `ctl:ruleEngine`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Engine {
    /// Rules run and act.
    On,
    /// Rules run; nothing is refused.
    #[default]
    DetectionOnly,
    /// No rule runs.
    Off,
}

/// What a rule that matched does to the transaction.
#[derive(Clone, Debug)]
pub(crate) enum Disruptive {
    Pass,
    Deny { status: u16 },
    Drop,
    Redirect { status: u16, to: Text },
    Allow(Allow),
}

/// How far `allow` reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allow {
    /// The rest of this phase.
    Phase,
    /// The rest of the request phases.
    Request,
    /// Everything but logging.
    All,
}

/// A name in a collection that rules write.
#[derive(Clone, Debug)]
pub(crate) enum Name {
    /// A variable of TX that is named in full somewhere: its number.
    Slot(u32),
    /// A name with macros, or one of a persistent collection.
    Text(Text),
}

/// What `setvar` does.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Set(Text),
    Add(Text),
    Subtract(Text),
    Unset,
}

/// One `setvar`.
#[derive(Clone, Debug)]
pub(crate) struct SetVar {
    pub(crate) collection: Variable,
    pub(crate) name: Name,
    pub(crate) change: Change,
}

/// Which rules `ctl` and the removing directives mean.
#[derive(Clone, Debug)]
pub(crate) enum Which {
    Ids(RangeInclusive<u64>),
    Tag(Match),
    Message(Match),
}

/// How a tag or message is compared: as it is, or, if it holds signs of a pattern, as one.
#[derive(Clone, Debug)]
pub(crate) enum Match {
    Exact(Box<str>),
    Pattern(regex::bytes::Regex),
}

impl Match {
    pub(crate) fn holds(&self, text: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted.as_ref() == text,
            Self::Pattern(pattern) => pattern.is_match(text.as_bytes()),
        }
    }
}

impl Which {
    /// True if `rule` (the first of its chain) is meant.
    pub(crate) fn picks(&self, rule: &Rule) -> bool {
        match self {
            Self::Ids(ids) => ids.contains(&rule.id),
            Self::Tag(tag) => rule.tags.iter().any(|own| tag.holds(own)),
            Self::Message(message) => rule.message_source.as_deref().is_some_and(|own| message.holds(own)),
        }
    }
}

/// What `ctl` changes for the rest of the transaction.
#[derive(Clone, Debug)]
pub(crate) enum Control {
    Engine(Engine),
    BodyProcessor(Processor),
    ForceRequestBody(bool),
    RequestBodyAccess(bool),
    ResponseBodyAccess(bool),
    Remove(Which),
    RemoveTarget(Which, Arc<Target>),
    /// Settings of logs that this crate does not write.
    Nothing,
}

/// What is done when the whole chain has matched.
#[derive(Clone, Debug)]
pub(crate) enum Late {
    Control(Control),
    Skip(u32),
    /// Goes on behind the next marker of this name: at the rule with the number `to` of the same phase.
    SkipAfter {
        marker: Arc<str>,
        to: usize,
    },
    InitCollection {
        collection: Variable,
        key: Text,
    },
    Expire {
        collection: Variable,
        name: Name,
        seconds: Text,
    },
    Deprecate {
        collection: Variable,
        name: Name,
        amount: u64,
        seconds: u64,
    },
}

/// Where a rule was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<PathBuf>,
    /// The line on which the rule begins, from 1.
    pub line: usize,
}

/// One rule, or one link of a chain.
#[derive(Debug)]
pub(crate) struct Rule {
    /// 0 for the later links of a chain.
    pub(crate) id: u64,
    pub(crate) place: Place,
    pub(crate) phase: Phase,
    pub(crate) targets: Vec<Target>,
    pub(crate) excluded: Vec<Target>,
    pub(crate) transforms: Vec<Transform>,
    pub(crate) operator: Arc<Operator>,
    pub(crate) negated: bool,
    pub(crate) capture: bool,
    pub(crate) multi_match: bool,
    /// Done for every value that matches, whatever the rest of the chain says.
    pub(crate) setvars: Vec<SetVar>,
    /// Done once, when the whole chain has matched.
    pub(crate) late: Vec<Late>,
    pub(crate) disruptive: Option<Disruptive>,
    pub(crate) log: bool,
    pub(crate) message: Option<Text>,
    /// The message with its macros unexpanded: what `...ByMsg` compares.
    pub(crate) message_source: Option<Box<str>>,
    pub(crate) log_data: Option<Text>,
    pub(crate) tags: Vec<Arc<str>>,
    pub(crate) severity: Option<u8>,
    pub(crate) chained: Option<Box<Rule>>,
}

impl Rule {
    /// Shows every target that the rule and its chain read, those of macros included. Excluded ones are compared by name and are not shown.
    pub(crate) fn targets_mut(&mut self, visit: &mut dyn FnMut(&mut Target)) {
        self.targets.iter_mut().for_each(&mut *visit);
        if let Some(argument) = Arc::get_mut(&mut self.operator).and_then(Operator::argument_mut) {
            text(argument, visit);
        }
        for setvar in &mut self.setvars {
            name(&mut setvar.name, visit);
            match &mut setvar.change {
                Change::Set(value) | Change::Add(value) | Change::Subtract(value) => text(value, visit),
                Change::Unset => {}
            }
        }
        for late in &mut self.late {
            match late {
                Late::InitCollection { key, .. } => text(key, visit),
                Late::Expire { name: what, seconds, .. } => {
                    name(what, visit);
                    text(seconds, visit);
                }
                Late::Deprecate { name: what, .. } => name(what, visit),
                Late::Control(_) | Late::Skip(_) | Late::SkipAfter { .. } => {}
            }
        }
        if let Some(Disruptive::Redirect { to, .. }) = &mut self.disruptive {
            text(to, visit);
        }
        self.message.iter_mut().chain(&mut self.log_data).for_each(|own| text(own, visit));
        if let Some(next) = &mut self.chained {
            next.targets_mut(visit);
        }
    }

    /// Gives back the memory that was needed while the rule and its chain were read only; equal tags become one.
    pub(crate) fn tighten(&mut self, tag: &mut dyn FnMut(&Arc<str>) -> Arc<str>) {
        self.tags = self.tags.iter().map(&mut *tag).collect();
        self.targets.shrink_to_fit();
        self.excluded.shrink_to_fit();
        self.transforms.shrink_to_fit();
        self.setvars.shrink_to_fit();
        self.late.shrink_to_fit();
        if let Some(next) = &mut self.chained {
            next.tighten(tag);
        }
    }

    /// Shows the operators of the rule and its chain.
    pub(crate) fn operators<'a>(&'a self, visit: &mut dyn FnMut(&'a Operator)) {
        visit(&self.operator);
        if let Some(next) = &self.chained {
            next.operators(visit);
        }
    }

    /// Shows every name that the rule and its chain write.
    pub(crate) fn written_mut(&mut self, visit: &mut dyn FnMut(Variable, &mut Name)) {
        for setvar in &mut self.setvars {
            visit(setvar.collection, &mut setvar.name);
        }
        for late in &mut self.late {
            if let Late::Expire { collection, name, .. } | Late::Deprecate { collection, name, .. } = late {
                visit(*collection, name);
            }
        }
        if let Some(next) = &mut self.chained {
            next.written_mut(visit);
        }
    }
}

fn name(name: &mut Name, visit: &mut dyn FnMut(&mut Target)) {
    if let Name::Text(own) = name {
        text(own, visit);
    }
}

fn text(text: &mut Text, visit: &mut dyn FnMut(&mut Target)) {
    for piece in &mut text.pieces {
        if let Piece::Macro(target) = piece {
            visit(target);
        }
    }
}
