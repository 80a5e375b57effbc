//! From the parser's tree to a typed one: every name, member, function and kind of value is judged, once, when the file is read.
//!
//! The dialect is CEL without what access rules have no use for: no fractions, unsigned numbers, bytes, `null`, maps or messages
//! written down, durations or timestamps. What is left out is refused with a sentence, never read in another sense.

use std::ops::Range;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, SelectExpr, SourceInfo, operators};
use common::config::nearest;

use super::evaluate::{Node, Order, Quantity, Sum};
use super::names::{self, Found, Map, Name, Type};
use super::{MAX_DEPTH, MAX_NODES, Problem, syntax};
use crate::facts::Known;
use crate::matcher::{Environment, Place};

/// A checked expression.
pub(super) struct Checked {
    pub(super) root: Node,
    pub(super) needs: Known,
    pub(super) asks_country: bool,
}

/// Judges a text.
pub(super) fn check(text: &str, place: Place, environment: &Environment) -> Result<Checked, Problem> {
    syntax::nesting(text)?;
    let parser = cel::parser::Parser::new().max_recursion_depth(96);
    let (tree, source) = parser.parse_with_source_info(text).map_err(|errors| syntax::complaint(text, &errors))?;
    let known_country = environment.countries.is_some();
    let mut checker = Checker {
        text,
        source,
        place,
        known_country,
        locals: Vec::new(),
        nodes: 0,
        depth: 0,
        needs: Known::CLIENT,
        asks_country: false,
    };
    let (root, kind) = checker.node(&tree)?;
    if kind != Type::Bool {
        let what = format!("a condition is true or false, and this is a value of type {kind}");
        return Err(checker.problem(&tree, what).help("compare it with something: `==`, `in`, `contains`, …"));
    }
    Ok(Checked { root, needs: checker.needs, asks_country: checker.asks_country })
}

impl Problem {
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }
}

/// A node with the kind of its value.
pub(super) type Typed = Result<(Node, Type), Problem>;

/// The walk through the parser's tree.
pub(super) struct Checker<'t> {
    text: &'t str,
    source: SourceInfo,
    place: Place,
    known_country: bool,
    locals: Vec<(String, Type)>,
    nodes: usize,
    depth: usize,
    needs: Known,
    asks_country: bool,
}

impl Checker<'_> {
    pub(super) fn node(&mut self, tree: &IdedExpr) -> Typed {
        self.nodes += 1;
        self.depth += 1;
        if self.nodes > MAX_NODES {
            return Err(self.problem(tree, format!("the expression has more than {MAX_NODES} parts")));
        }
        if self.depth > MAX_DEPTH {
            return Err(self.problem(tree, format!("the expression has more than {MAX_DEPTH} levels")));
        }
        let typed = match &tree.expr {
            Expr::Literal(literal) => self.literal(tree, literal),
            Expr::Ident(name) => self.name(tree, name),
            Expr::Select(select) => self.select(tree, select),
            Expr::List(list) => self.list(&list.elements),
            Expr::Call(call) => self.call(tree, call),
            Expr::Comprehension(whole) => self.comprehension(tree, whole),
            Expr::Map(_) => Err(self.problem(tree, "maps cannot be written here; use lists and `in`")),
            Expr::Struct(_) => Err(self.problem(tree, "there are no messages here")),
            Expr::Unspecified => Err(self.problem(tree, "something is missing")),
        };
        self.depth -= 1;
        typed
    }

    /// A node that must be of this kind.
    pub(super) fn of(&mut self, tree: &IdedExpr, wanted: &Type) -> Result<Box<Node>, Problem> {
        let (node, kind) = self.node(tree)?;
        if kind.fits(wanted) {
            return Ok(Box::new(node));
        }
        Err(self.problem(tree, format!("a value of type {wanted} is wanted here, and this is of type {kind}")))
    }

    fn literal(&self, tree: &IdedExpr, literal: &LiteralValue) -> Typed {
        match literal {
            LiteralValue::Boolean(truth) => Ok((Node::Bool(*truth.inner()), Type::Bool)),
            LiteralValue::Int(number) => Ok((Node::Int(*number.inner()), Type::Int)),
            LiteralValue::String(text) => Ok((Node::Text(text.inner().into()), Type::Text)),
            LiteralValue::UInt(_) => Err(self.problem(tree, "write the number without `u`: numbers have a sign here")),
            LiteralValue::Double(_) => Err(self.problem(tree, "there are no numbers with a fraction here")),
            LiteralValue::Bytes(_) => Err(self.problem(tree, "there are no bytes here; write a text without `b`")),
            LiteralValue::Null => {
                Err(self.problem(tree, "nothing is `null` here; what is absent reads as the empty text"))
            }
        }
    }

    fn name(&mut self, tree: &IdedExpr, written: &str) -> Typed {
        if let Some(at) = self.locals.iter().rposition(|(local, _)| local == written)
            && let Some((_, kind)) = self.locals.get(at)
        {
            return Ok((Node::Local(at), kind.clone()));
        }
        self.known(tree, written)
    }

    fn known(&mut self, tree: &IdedExpr, written: &str) -> Typed {
        match names::find(written, self.place) {
            Found::Known(Name::ClientCountry, _) if !self.known_country => {
                let problem =
                    self.problem(tree, "nothing is known of countries, because `access.country_file` is not given");
                Err(problem.help("give `country_file` in `[access]`"))
            }
            Found::Known(Name::Map(_), _) => {
                let problem = self.problem(tree, format!("`{written}` is a map, and no value by itself"));
                Err(problem.help(format!("ask for one of its members: `{written}[\"name\"]`, `\"name\" in {written}`")))
            }
            Found::Known(name, kind) => {
                self.needs = self.needs.and(name.needs());
                self.asks_country |= name == Name::ClientCountry;
                Ok((Node::Name(name), kind))
            }
            Found::Elsewhere => {
                let what = format!("`{written}` is not known to {}", self.place);
                Err(self.problem(tree, what).help(self.list_of_names()))
            }
            Found::Prefix => {
                let members: Vec<&str> = names::known(self.place)
                    .filter(|name| name.strip_prefix(written).is_some_and(|rest| rest.starts_with('.')))
                    .collect();
                let help =
                    if members.is_empty() { self.list_of_names() } else { format!("write {}", members.join(", ")) };
                Err(self.problem(tree, format!("`{written}` is not a value by itself")).help(help))
            }
            Found::Nowhere => {
                let problem = self.problem(tree, format!("there is no `{written}`")).label("unknown name");
                Err(match nearest(written, names::known(self.place)) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem.help(self.list_of_names()),
                })
            }
        }
    }

    fn list_of_names(&self) -> String {
        format!("known here: {}", names::known(self.place).collect::<Vec<_>>().join(", "))
    }

    /// `a.b`: a whole name, a member of a map, or `has(…)` of one.
    fn select(&mut self, tree: &IdedExpr, select: &SelectExpr) -> Typed {
        let qualified = qualified(tree).filter(|(root, _)| !self.locals.iter().any(|(local, _)| local == root));
        if let Some((_, whole)) = &qualified
            && !select.test
            && matches!(names::find(whole, self.place), Found::Known(..))
        {
            return self.known(tree, whole);
        }
        if let Some(map) = self.map(&select.operand)? {
            self.judge_key(tree, map, &select.field)?;
            let key = Box::new(Node::Text(select.field.as_str().into()));
            return Ok(if select.test {
                (Node::Has(map, key), Type::Bool)
            } else {
                (Node::Lookup(map, key), Type::Text)
            });
        }
        if select.test {
            let problem = self.problem(tree, "`has` asks for a header, cookie or parameter");
            return Err(problem.help("what else is absent reads as the empty text: compare with \"\""));
        }
        if let Some((_, whole)) = qualified {
            return self.known(tree, &whole);
        }
        let (_, kind) = self.node(&select.operand)?;
        Err(self.problem(tree, format!("a value of type {kind} has no member `{}`", select.field)))
    }

    /// The map that the tree names, if it does.
    pub(super) fn map(&mut self, tree: &IdedExpr) -> Result<Option<Map>, Problem> {
        let Some((root, whole)) = qualified(tree) else { return Ok(None) };
        if self.locals.iter().any(|(local, _)| *local == root) {
            return Ok(None);
        }
        match names::find(&whole, self.place) {
            Found::Known(Name::Map(map), _) => {
                self.needs = self.needs.and(Known::REQUEST);
                Ok(Some(map))
            }
            _ => Ok(None),
        }
    }

    /// Names of header fields are in lower case here, so another spelling would never be found.
    fn judge_key(&self, tree: &IdedExpr, map: Map, key: &str) -> Result<(), Problem> {
        if map == Map::Headers && key.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let problem = self.problem(tree, "names of header fields are in lower case here");
            return Err(problem.help(format!("write \"{}\"", key.to_ascii_lowercase())));
        }
        Ok(())
    }

    fn key(&mut self, tree: &IdedExpr, map: Map) -> Result<Box<Node>, Problem> {
        let key = self.of(tree, &Type::Text)?;
        if let Node::Text(text) = &*key {
            self.judge_key(tree, map, text)?;
        }
        Ok(key)
    }

    fn list(&mut self, elements: &[IdedExpr]) -> Typed {
        let mut kind = None;
        let mut nodes = Vec::with_capacity(elements.len());
        for element in elements {
            let (node, own) = self.node(element)?;
            match &kind {
                Some(first) if !own.fits(first) => {
                    return Err(self
                        .problem(element, format!("the elements before are of type {first}, this is of type {own}")));
                }
                Some(_) => {}
                None => kind = Some(own),
            }
            nodes.push(node);
        }
        Ok((Node::List(nodes), Type::List(kind.map(Box::new))))
    }

    fn call(&mut self, tree: &IdedExpr, call: &CallExpr) -> Typed {
        match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            (operators::LOGICAL_AND, None, [a, b]) => {
                Ok((Node::And(self.of(a, &Type::Bool)?, self.of(b, &Type::Bool)?), Type::Bool))
            }
            (operators::LOGICAL_OR, None, [a, b]) => {
                Ok((Node::Or(self.of(a, &Type::Bool)?, self.of(b, &Type::Bool)?), Type::Bool))
            }
            (operators::LOGICAL_NOT, None, [a]) => Ok((Node::Not(self.of(a, &Type::Bool)?), Type::Bool)),
            (operators::NEGATE, None, [a]) => Ok((Node::Negate(self.of(a, &Type::Int)?), Type::Int)),
            (operators::CONDITIONAL, None, [test, then, other]) => {
                let test = self.of(test, &Type::Bool)?;
                let (then, other, kind) = self.alike(tree, then, other)?;
                Ok((Node::If(test, then, other), kind))
            }
            (operators::EQUALS, None, [a, b]) => self.equal(tree, a, b),
            (operators::NOT_EQUALS, None, [a, b]) => {
                let (node, kind) = self.equal(tree, a, b)?;
                Ok((Node::Not(Box::new(node)), kind))
            }
            (operators::INDEX, None, [from, at]) => self.index(from, at),
            (operators::IN, None, [what, of]) => self.within(what, of),
            (name, None, [a, b]) if order(name).is_some() || sum(name).is_some() => self.numbers(tree, name, a, b),
            (name, target, arguments) => self.function(tree, name, target, arguments),
        }
    }

    /// Two values of one kind.
    fn alike(&mut self, tree: &IdedExpr, a: &IdedExpr, b: &IdedExpr) -> Result<(Box<Node>, Box<Node>, Type), Problem> {
        let ((a, first), (b, second)) = (self.node(a)?, self.node(b)?);
        if !first.fits(&second) {
            return Err(self.problem(tree, format!("the sides are of different types: {first} and {second}")));
        }
        Ok((Box::new(a), Box::new(b), if first == Type::List(None) { second } else { first }))
    }

    fn equal(&mut self, tree: &IdedExpr, a: &IdedExpr, b: &IdedExpr) -> Typed {
        let (a, b, _) = self.alike(tree, a, b)?;
        Ok((Node::Equal(a, b), Type::Bool))
    }

    fn index(&mut self, from: &IdedExpr, at: &IdedExpr) -> Typed {
        if let Some(map) = self.map(from)? {
            return Ok((Node::Lookup(map, self.key(at, map)?), Type::Text));
        }
        match self.node(from)? {
            (list, Type::List(Some(of))) => Ok((Node::Element(Box::new(list), self.of(at, &Type::Int)?), *of)),
            (_, kind) => Err(self.problem(from, format!("a value of type {kind} has no elements"))),
        }
    }

    fn within(&mut self, what: &IdedExpr, of: &IdedExpr) -> Typed {
        if let Some(map) = self.map(of)? {
            return Ok((Node::Has(map, self.key(what, map)?), Type::Bool));
        }
        let (what_node, kind) = self.node(what)?;
        let (list, whole) = self.node(of)?;
        match whole {
            Type::List(None) => {}
            Type::List(Some(element)) if kind.fits(&element) => {}
            Type::List(Some(element)) => {
                return Err(
                    self.problem(what, format!("the list has values of type {element}, and this is of type {kind}"))
                );
            }
            Type::Text => {
                let problem = self.problem(of, "`in` looks into lists and maps, and this is a text");
                return Err(problem.help("for a part of a text: `text.contains(\"part\")`"));
            }
            other => {
                return Err(self.problem(of, format!("`in` looks into lists and maps, and this is of type {other}")));
            }
        }
        Ok((Node::In(Box::new(what_node), Box::new(list)), Type::Bool))
    }

    fn numbers(&mut self, tree: &IdedExpr, name: &str, a: &IdedExpr, b: &IdedExpr) -> Typed {
        let (first, second, kind) = self.alike(tree, a, b)?;
        match (order(name), sum(name), &kind) {
            (Some(order), _, Type::Int | Type::Text) => Ok((Node::Compare(order, first, second), Type::Bool)),
            (_, Some(sum), Type::Int) => Ok((Node::Sum(sum, first, second), Type::Int)),
            (_, Some(Sum::Add), Type::Text) => Ok((Node::Concat(first, second), Type::Text)),
            _ => Err(self.problem(tree, format!("this cannot be done with values of type {kind}"))),
        }
    }

    /// What the parser has made of `all`, `exists`, `exists_one`, `filter` and `map`.
    fn comprehension(&mut self, tree: &IdedExpr, whole: &ComprehensionExpr) -> Typed {
        let (range, of) = match self.map(&whole.iter_range)? {
            Some(map) => (Node::Keys(map), Type::Text),
            None => match self.node(&whole.iter_range)? {
                (range, Type::List(Some(of))) => (range, *of),
                (range, Type::List(None)) => (range, Type::Text), // nothing is ever taken out of it
                (_, kind) => {
                    let what = format!("only lists and maps have elements, and this is of type {kind}");
                    return Err(self.problem(&whole.iter_range, what));
                }
            },
        };
        self.locals.push((whole.iter_var.clone(), of));
        let typed = self.step(whole, Box::new(range));
        self.locals.pop();
        typed.unwrap_or_else(|| Err(self.problem(tree, "this form is not known here")))
    }

    /// `None`: not the shape of one of the known macros.
    fn step(&mut self, whole: &ComprehensionExpr, range: Box<Node>) -> Option<Typed> {
        let Expr::Call(step) = &whole.loop_step.expr else { return None };
        let quantity = match (&whole.accu_init.expr, step.func_name.as_str(), step.args.as_slice()) {
            (Expr::Literal(LiteralValue::Boolean(_)), operators::LOGICAL_AND, [_, test]) => (Quantity::All, test),
            (Expr::Literal(LiteralValue::Boolean(_)), operators::LOGICAL_OR, [_, test]) => (Quantity::Exists, test),
            (Expr::Literal(LiteralValue::Int(_)), operators::CONDITIONAL, [test, _, _]) => (Quantity::One, test),
            (Expr::List(_), operators::CONDITIONAL, [which, add, _]) => {
                return Some(self.collect(range, Some(which), made(add)?));
            }
            (Expr::List(_), operators::ADD, _) => return Some(self.collect(range, None, made(&whole.loop_step)?)),
            _ => return None,
        };
        let (quantity, test) = quantity;
        Some(self.of(test, &Type::Bool).map(|test| (Node::Quantify(quantity, range, test), Type::Bool)))
    }

    fn collect(&mut self, range: Box<Node>, which: Option<&IdedExpr>, make: &IdedExpr) -> Typed {
        let which = which.map(|which| self.of(which, &Type::Bool)).transpose()?;
        let (make, kind) = self.node(make)?;
        Ok((Node::Collect(range, which, Box::new(make)), Type::list(kind)))
    }

    pub(super) fn problem(&self, tree: &IdedExpr, what: impl Into<String>) -> Problem {
        Problem { at: self.place_of(tree), what: what.into(), label: "here".to_owned(), help: None }
    }

    /// The parser knows one token of every part; of names and functions the whole is wanted.
    fn place_of(&self, tree: &IdedExpr) -> Range<usize> {
        let bytes = self.text.as_bytes();
        let (start, stop) = self.source.offset_for(tree.id).unwrap_or_default();
        let (mut start, mut end) =
            (usize::try_from(start).unwrap_or_default(), usize::try_from(stop).unwrap_or_default() + 1);
        let word =
            |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
        let back = |mut at: usize| {
            while at > 0 && word(bytes.get(at - 1)) {
                at -= 1;
            }
            at
        };
        match (&tree.expr, bytes.get(start)) {
            (_, Some(b'(')) => {
                let begin = back(start);
                let function =
                    self.text.get(begin..start).and_then(|words| words.rfind('.')).map_or(begin, |dot| begin + dot + 1);
                (start, end) = (function, start);
            }
            (Expr::Select(_), _) => {
                start = back(start);
                while word(bytes.get(end)) {
                    end += 1;
                }
            }
            _ => {}
        }
        start..end.max(start)
    }
}

/// What `map` and `filter` add to their result: the one element of the list in `@result + [x]`.
fn made(add: &IdedExpr) -> Option<&IdedExpr> {
    let Expr::Call(call) = &add.expr else { return None };
    let Expr::List(list) = &call.args.get(1)?.expr else { return None };
    list.elements.first()
}

/// `a.b.c` with its first part.
fn qualified(tree: &IdedExpr) -> Option<(String, String)> {
    match &tree.expr {
        Expr::Ident(name) => Some((name.clone(), name.clone())),
        Expr::Select(select) => {
            let (root, whole) = qualified(&select.operand)?;
            Some((root, format!("{whole}.{}", select.field)))
        }
        _ => None,
    }
}

fn order(name: &str) -> Option<Order> {
    Some(match name {
        operators::LESS => Order::Less,
        operators::LESS_EQUALS => Order::LessOrEqual,
        operators::GREATER => Order::Greater,
        operators::GREATER_EQUALS => Order::GreaterOrEqual,
        _ => return None,
    })
}

fn sum(name: &str) -> Option<Sum> {
    Some(match name {
        operators::ADD => Sum::Add,
        operators::SUBSTRACT => Sum::Subtract,
        operators::MULTIPLY => Sum::Multiply,
        operators::DIVIDE => Sum::Divide,
        operators::MODULO => Sum::Modulo,
        _ => return None,
    })
}
