//! The functions of expressions: which there are, on what they are called, and what they give.

use cel::IdedExpr;
use cel::common::ast::{Expr, LiteralValue};
use common::config::nearest;

use super::Problem;
use super::check::{Checker, Typed};
use super::evaluate::{Ask, Make, Node};
use super::names::Type;
use crate::networks::Networks;

/// Largest compiled regular expression, in bytes.
const REGEX_SIZE: usize = 256 << 10;

impl Checker<'_> {
    pub(super) fn function(
        &mut self,
        tree: &IdedExpr,
        name: &str,
        target: Option<&IdedExpr>,
        arguments: &[IdedExpr],
    ) -> Typed {
        match (name, target, arguments) {
            ("size", Some(a), []) | ("size", None, [a]) => self.size(a),
            ("contains", Some(a), [b]) => self.ask(Ask::Contains, a, b),
            ("startsWith", Some(a), [b]) => self.ask(Ask::StartsWith, a, b),
            ("endsWith", Some(a), [b]) => self.ask(Ask::EndsWith, a, b),
            ("lowerAscii", Some(a), []) => Ok((Node::Make(Make::Lower, self.of(a, &Type::Text)?), Type::Text)),
            ("upperAscii", Some(a), []) => Ok((Node::Make(Make::Upper, self.of(a, &Type::Text)?), Type::Text)),
            ("int", None, [a]) => Ok((Node::Make(Make::Int, self.of(a, &Type::Text)?), Type::Int)),
            ("string", None, [a]) => Ok((Node::Make(Make::Text, self.of(a, &Type::Int)?), Type::Text)),
            ("matches", Some(a), [pattern]) | ("matches", None, [a, pattern]) => self.matches(a, pattern),
            ("inNetwork", Some(a), networks) if !networks.is_empty() => self.in_network(a, networks),
            _ => Err(self.no_function(tree, name, target.is_some(), arguments.len())),
        }
    }

    fn no_function(&self, tree: &IdedExpr, name: &str, method: bool, given: usize) -> Problem {
        const SHAPES: [(&str, &str); 15] = [
            ("size", "x.size()"),
            ("contains", "text.contains(\"part\")"),
            ("startsWith", "text.startsWith(\"beginning\")"),
            ("endsWith", "text.endsWith(\"end\")"),
            ("lowerAscii", "text.lowerAscii()"),
            ("upperAscii", "text.upperAscii()"),
            ("int", "int(text)"),
            ("string", "string(number)"),
            ("matches", "text.matches(\"regular expression\")"),
            ("inNetwork", "address.inNetwork(\"192.0.2.0/24\", …)"),
            ("has", "has(request.headers.name)"),
            ("all", "list.all(x, condition)"),
            ("exists", "list.exists(x, condition)"),
            ("filter", "list.filter(x, condition)"),
            ("map", "list.map(x, value)"),
        ];
        if let Some((_, shape)) = SHAPES.iter().find(|(known, _)| *known == name) {
            let problem = self.problem(tree, format!("`{name}` is not called like this"));
            let found =
                if method { format!("on a value, with {given} arguments") } else { format!("with {given} arguments") };
            return problem.label(found).help(format!("write `{shape}`"));
        }
        let problem = self.problem(tree, format!("there is no function `{name}`")).label("unknown function");
        match nearest(name, SHAPES.iter().map(|(known, _)| *known)) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => {
                let known: Vec<&str> = SHAPES.iter().map(|(known, _)| *known).collect();
                problem.help(format!("known: {}", known.join(", ")))
            }
        }
    }

    fn size(&mut self, tree: &IdedExpr) -> Typed {
        if let Some(map) = self.map(tree)? {
            return Ok((Node::Make(Make::Size, Box::new(Node::Keys(map))), Type::Int));
        }
        match self.node(tree)? {
            (node, Type::Text | Type::List(_)) => Ok((Node::Make(Make::Size, Box::new(node)), Type::Int)),
            (_, kind) => Err(self.problem(tree, format!("a value of type {kind} has no size"))),
        }
    }

    fn ask(&mut self, ask: Ask, a: &IdedExpr, b: &IdedExpr) -> Typed {
        Ok((Node::Ask(ask, self.of(a, &Type::Text)?, self.of(b, &Type::Text)?), Type::Bool))
    }

    /// The pattern is compiled here, so it has to stand in the expression.
    fn matches(&mut self, text: &IdedExpr, pattern: &IdedExpr) -> Typed {
        let subject = self.of(text, &Type::Text)?;
        let Expr::Literal(LiteralValue::String(literal)) = &pattern.expr else {
            return Err(
                self.problem(pattern, "the regular expression must stand here as a text: it is compiled in advance")
            );
        };
        let regex = regex::RegexBuilder::new(literal.inner()).size_limit(REGEX_SIZE).build();
        let regex = regex.map_err(|error| self.problem(pattern, regex_problem(&error)))?;
        Ok((Node::Matches(subject, Box::new(regex)), Type::Bool))
    }

    fn in_network(&mut self, address: &IdedExpr, networks: &[IdedExpr]) -> Typed {
        let subject = self.of(address, &Type::Text)?;
        let mut nets = Vec::new();
        for network in networks {
            let Expr::Literal(LiteralValue::String(literal)) = &network.expr else {
                return Err(self.problem(network, "the network must stand here as a text"));
            };
            let text = literal.inner();
            let single = || text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from);
            let net = text.parse::<ipnet::IpNet>().or_else(|_| single());
            nets.push(net.map_err(|_| self.problem(network, format!("`{text}` is not a network")))?);
        }
        let networks: Networks = nets.into_iter().collect();
        Ok((Node::InNetworks(subject, Box::new(networks)), Type::Bool))
    }
}

/// One line of what the regex crate draws over several.
pub(crate) fn regex_problem(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    format!("this is not a regular expression: {}", last.trim().trim_start_matches("error: "))
}
