//! A checked expression as a tree, and what it comes to for given facts. Values borrow from the facts; every step takes from a
//! budget, so no expression costs more than a known amount of work, whatever a client sends.
//!
//! Where CEL leaves no doubt this does what the specification says: `&&` and `||` give an answer when either side decides, even if
//! the other one fails; whole numbers do not wrap.

use std::borrow::Cow;
use std::net::IpAddr;
use std::rc::Rc;

use regex::Regex;

use super::names::{Map, Name};
use crate::facts::Facts;
use crate::fields;
use crate::{Countries, Networks};

/// Steps that one evaluation may take.
pub const BUDGET: u32 = 20_000;
/// Bytes of text that cost one step.
const BYTES_PER_STEP: usize = 32;
/// Most names of headers that are looked at one by one.
const MAX_NAMES: usize = 1024;

/// Why an expression has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// More than [`BUDGET`] steps.
    #[error("it took too many steps")]
    Cost,
    /// A whole number out of 64 bits.
    #[error("a number is too large")]
    Overflow,
    /// `/ 0` or `% 0`
    #[error("a division by zero")]
    DivisionByZero,
    /// A list has no such element.
    #[error("a list has no such element")]
    OutOfBounds,
    /// `int(…)` of something else.
    #[error("a text is not a number")]
    NotANumber,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Bool(bool),
    Int(i64),
    Text(Cow<'a, str>),
    List(Rc<[Value<'a>]>),
    /// One of the maps of the request; which one, the tree says.
    Map,
}

impl<'a> Value<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }

    pub(super) fn whole(number: u64) -> Self {
        Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }

    fn truth(&self) -> bool {
        matches!(self, Value::Bool(true))
    }

    fn text(&self) -> &str {
        if let Value::Text(text) = self { text } else { "" }
    }

    fn number(&self) -> i64 {
        if let Value::Int(number) = self { *number } else { 0 }
    }

    fn elements(self) -> Rc<[Value<'a>]> {
        if let Value::List(elements) = self { elements } else { Rc::from([]) }
    }

    /// Bytes that a comparison may look at.
    fn weight(&self) -> usize {
        match self {
            Value::Text(text) => text.len(),
            Value::List(elements) => elements.iter().map(|value| value.weight() + BYTES_PER_STEP).sum(),
            _ => 0,
        }
    }
}

/// `<`, `<=`, `>`, `>=`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// `+`, `-`, `*`, `/`, `%` of whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sum {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// What a text is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Contains,
    StartsWith,
    EndsWith,
}

/// What is made of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Make {
    Size,
    Lower,
    Upper,
    Int,
    Text,
}

/// `all`, `exists`, `exists_one`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    All,
    Exists,
    One,
}

/// A checked expression: every node has values of one kind only, so no step can meet another.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Bool(bool),
    Int(i64),
    Text(Box<str>),
    List(Vec<Node>),
    Name(Name),
    /// A variable of `all`, `exists`, …: the outermost is 0.
    Local(usize),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    If(Box<Node>, Box<Node>, Box<Node>),
    Equal(Box<Node>, Box<Node>),
    Compare(Order, Box<Node>, Box<Node>),
    Sum(Sum, Box<Node>, Box<Node>),
    Concat(Box<Node>, Box<Node>),
    In(Box<Node>, Box<Node>),
    Element(Box<Node>, Box<Node>),
    Lookup(Map, Box<Node>),
    Has(Map, Box<Node>),
    Keys(Map),
    Ask(Ask, Box<Node>, Box<Node>),
    Make(Make, Box<Node>),
    Matches(Box<Node>, Box<Regex>),
    InNetworks(Box<Node>, Box<Networks>),
    Quantify(Quantity, Box<Node>, Box<Node>),
    /// Range, which elements, what is made of them.
    Collect(Box<Node>, Option<Box<Node>>, Box<Node>),
}

/// One evaluation.
pub(super) struct Evaluation<'e, 'a> {
    pub(super) facts: &'e Facts<'a>,
    pub(super) countries: Option<&'e Countries>,
    pub(super) left: u32,
    pub(super) locals: Vec<Value<'a>>,
}

type Outcome<'a> = Result<Value<'a>, Failure>;

impl<'a> Evaluation<'_, 'a> {
    fn pay(&mut self, bytes: usize) -> Result<(), Failure> {
        let steps = u32::try_from(1 + bytes / BYTES_PER_STEP).unwrap_or(u32::MAX);
        self.left = self.left.checked_sub(steps).ok_or(Failure::Cost)?;
        Ok(())
    }

    pub(super) fn value(&mut self, node: &'a Node) -> Outcome<'a> {
        self.pay(0)?;
        match node {
            Node::Bool(truth) => Ok(Value::Bool(*truth)),
            Node::Int(number) => Ok(Value::Int(*number)),
            Node::Text(text) => Ok(Value::of(text)),
            Node::List(nodes) => self.list(nodes),
            Node::Name(name) => Ok(name.value(self.facts, self.countries)),
            Node::Local(at) => self.locals.get(*at).cloned().ok_or(Failure::OutOfBounds),
            Node::And(a, b) => self.logic(a, b, false),
            Node::Or(a, b) => self.logic(a, b, true),
            Node::Not(a) => Ok(Value::Bool(!self.value(a)?.truth())),
            Node::Negate(a) => self.value(a)?.number().checked_neg().map(Value::Int).ok_or(Failure::Overflow),
            Node::If(test, then, other) => {
                let chosen = if self.value(test)?.truth() { then } else { other };
                self.value(chosen)
            }
            Node::Equal(a, b) => {
                let (a, b) = self.both(a, b)?;
                Ok(Value::Bool(a == b))
            }
            Node::Compare(order, a, b) => self.compare(*order, a, b),
            Node::Sum(sum, a, b) => self.sum(*sum, a, b),
            Node::Concat(a, b) => {
                let (a, b) = self.both(a, b)?;
                Ok(Value::Text(Cow::Owned([a.text(), b.text()].concat())))
            }
            Node::In(a, b) => {
                let (a, b) = self.both(a, b)?;
                Ok(Value::Bool(b.elements().contains(&a)))
            }
            Node::Element(list, at) => {
                let (list, at) = (self.value(list)?.elements(), self.value(at)?.number());
                usize::try_from(at).ok().and_then(|at| list.get(at)).cloned().ok_or(Failure::OutOfBounds)
            }
            _ => self.about_text(node),
        }
    }

    fn about_text(&mut self, node: &'a Node) -> Outcome<'a> {
        match node {
            Node::Lookup(map, key) => {
                let key = self.value(key)?;
                Ok(Value::Text(self.look_up(*map, key.text())?.unwrap_or_default()))
            }
            Node::Has(map, key) => {
                let key = self.value(key)?;
                Ok(Value::Bool(self.look_up(*map, key.text())?.is_some()))
            }
            Node::Keys(map) => self.keys(*map),
            Node::Ask(ask, a, b) => {
                let (a, b) = self.both(a, b)?;
                Ok(Value::Bool(match ask {
                    Ask::Contains => a.text().contains(b.text()),
                    Ask::StartsWith => a.text().starts_with(b.text()),
                    Ask::EndsWith => a.text().ends_with(b.text()),
                }))
            }
            Node::Make(make, a) => self.make(*make, a),
            Node::Matches(a, regex) => {
                let a = self.value(a)?;
                // The engine is linear, but its steps are dearer than those of a comparison.
                self.pay(a.text().len().saturating_mul(8))?;
                Ok(Value::Bool(regex.is_match(a.text())))
            }
            Node::InNetworks(a, networks) => {
                if matches!(**a, Node::Name(Name::ClientAddress)) {
                    return Ok(Value::Bool(networks.contains(self.facts.client)));
                }
                let address = self.value(a)?.text().parse::<IpAddr>();
                Ok(Value::Bool(address.is_ok_and(|address| networks.contains(address))))
            }
            Node::Quantify(quantity, range, test) => self.quantify(*quantity, range, test),
            Node::Collect(range, which, make) => self.collect(range, which.as_deref(), make),
            _ => Err(Failure::OutOfBounds), // every other node was met before
        }
    }

    /// Both values; the bytes of both are paid for.
    fn both(&mut self, a: &'a Node, b: &'a Node) -> Result<(Value<'a>, Value<'a>), Failure> {
        let (a, b) = (self.value(a)?, self.value(b)?);
        self.pay(a.weight().saturating_add(b.weight()))?;
        Ok((a, b))
    }

    fn list(&mut self, nodes: &'a [Node]) -> Outcome<'a> {
        let values: Result<Vec<_>, _> = nodes.iter().map(|node| self.value(node)).collect();
        Ok(Value::List(values?.into()))
    }

    /// `&&` (`decides`: false) and `||` (true): a side that decides does so even if the other one fails.
    fn logic(&mut self, a: &'a Node, b: &'a Node, decides: bool) -> Outcome<'a> {
        let first = self.value(a);
        if matches!(&first, Ok(value) if value.truth() == decides) || first == Err(Failure::Cost) {
            return first;
        }
        let second = self.value(b);
        if matches!(&second, Ok(value) if value.truth() == decides) || second == Err(Failure::Cost) {
            return second;
        }
        first.and(second)
    }

    fn compare(&mut self, order: Order, a: &'a Node, b: &'a Node) -> Outcome<'a> {
        let (a, b) = self.both(a, b)?;
        let ordering = match (&a, &b) {
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            _ => a.text().cmp(b.text()),
        };
        Ok(Value::Bool(match order {
            Order::Less => ordering.is_lt(),
            Order::LessOrEqual => ordering.is_le(),
            Order::Greater => ordering.is_gt(),
            Order::GreaterOrEqual => ordering.is_ge(),
        }))
    }

    fn sum(&mut self, sum: Sum, a: &'a Node, b: &'a Node) -> Outcome<'a> {
        let (a, b) = (self.value(a)?.number(), self.value(b)?.number());
        let result = match sum {
            Sum::Add => a.checked_add(b),
            Sum::Subtract => a.checked_sub(b),
            Sum::Multiply => a.checked_mul(b),
            Sum::Divide | Sum::Modulo if b == 0 => return Err(Failure::DivisionByZero),
            Sum::Divide => a.checked_div(b),
            Sum::Modulo => a.checked_rem(b),
        };
        result.map(Value::Int).ok_or(Failure::Overflow)
    }

    fn make(&mut self, make: Make, a: &'a Node) -> Outcome<'a> {
        let value = self.value(a)?;
        self.pay(value.weight())?;
        Ok(match make {
            Make::Size => match &value {
                Value::List(elements) => Value::whole(elements.len() as u64),
                value => Value::whole(value.text().chars().count() as u64),
            },
            Make::Lower => Value::Text(Cow::Owned(value.text().to_ascii_lowercase())),
            Make::Upper => Value::Text(Cow::Owned(value.text().to_ascii_uppercase())),
            Make::Int => Value::Int(value.text().parse().map_err(|_| Failure::NotANumber)?),
            Make::Text => Value::Text(Cow::Owned(value.number().to_string())),
        })
    }

    fn look_up(&mut self, map: Map, key: &str) -> Result<Option<Cow<'a, str>>, Failure> {
        let Some(request) = self.facts.request else { return Ok(None) };
        let found = match map {
            Map::Headers => request.headers.joined(key),
            Map::Cookies => {
                let mut values = Vec::new();
                request.headers.any("cookie", &mut |line| {
                    let own = fields::cookies(line).filter(|(name, _)| *name == key.as_bytes());
                    values.extend(own.map(|(_, value)| String::from_utf8_lossy(value).into_owned()));
                    false
                });
                (!values.is_empty()).then(|| Cow::Owned(values.join(", ")))
            }
            Map::Parameters => {
                let own = fields::parameters(request.query.unwrap_or_default());
                let own = own.filter(|(name, _)| **name == *key.as_bytes());
                let values: Vec<String> = own.map(|(_, value)| String::from_utf8_lossy(&value).into_owned()).collect();
                self.pay(request.query.map_or(0, str::len))?;
                (!values.is_empty()).then(|| Cow::Owned(values.join(", ")))
            }
        };
        self.pay(found.as_ref().map_or(0, |value| value.len()))?;
        Ok(found)
    }

    fn keys(&mut self, map: Map) -> Outcome<'a> {
        let Some(request) = self.facts.request else { return Ok(Value::List(Rc::from([]))) };
        let mut names: Vec<String> = Vec::new();
        match map {
            Map::Headers => request.headers.names(&mut |name| names.push(name.to_owned())),
            Map::Cookies => {
                request.headers.any("cookie", &mut |line| {
                    names.extend(fields::cookies(line).map(|(name, _)| String::from_utf8_lossy(name).into_owned()));
                    false
                });
            }
            Map::Parameters => {
                let own = fields::parameters(request.query.unwrap_or_default());
                names.extend(own.map(|(name, _)| String::from_utf8_lossy(&name).into_owned()));
            }
        }
        names.truncate(MAX_NAMES);
        names.sort_unstable();
        names.dedup();
        self.pay(names.iter().map(|name| name.len() + BYTES_PER_STEP).sum())?;
        Ok(Value::List(names.into_iter().map(|name| Value::Text(Cow::Owned(name))).collect()))
    }

    /// The value of `node` with `local` as its innermost variable.
    fn with(&mut self, local: &Value<'a>, node: &'a Node) -> Outcome<'a> {
        self.locals.push(local.clone());
        let value = self.value(node);
        self.locals.pop();
        value
    }

    fn quantify(&mut self, quantity: Quantity, range: &'a Node, test: &'a Node) -> Outcome<'a> {
        let elements = self.value(range)?.elements();
        let (mut holding, mut failed) = (0_usize, None);
        for element in elements.iter() {
            match (quantity, self.with(element, test)) {
                (_, Err(Failure::Cost)) => return Err(Failure::Cost),
                (Quantity::One, Err(failure)) => return Err(failure),
                (_, Err(failure)) => failed = Some(failure),
                (Quantity::All, Ok(value)) if !value.truth() => return Ok(Value::Bool(false)),
                (Quantity::Exists, Ok(value)) if value.truth() => return Ok(Value::Bool(true)),
                (_, Ok(value)) => holding += usize::from(value.truth()),
            }
        }
        match (quantity, failed) {
            (_, Some(failure)) => Err(failure),
            (Quantity::All, None) => Ok(Value::Bool(true)),
            (Quantity::Exists, None) => Ok(Value::Bool(false)),
            (Quantity::One, None) => Ok(Value::Bool(holding == 1)),
        }
    }

    fn collect(&mut self, range: &'a Node, which: Option<&'a Node>, make: &'a Node) -> Outcome<'a> {
        let elements = self.value(range)?.elements();
        let mut out = Vec::new();
        for element in elements.iter() {
            let wanted = match which {
                Some(which) => self.with(element, which)?.truth(),
                None => true,
            };
            if wanted {
                out.push(self.with(element, make)?);
            }
        }
        Ok(Value::List(out.into()))
    }
}
