//! Ordinary requests as browsers and libraries send them over HTTP/2.

use super::{Case, GET, with};
use crate::case::Sent;
use crate::requests::plain::{LINES, METHODS, TARGETS};

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (number, (lines, fields)) in LINES.iter().enumerate().filter(|(_, (lines, _))| !lines.starts_with("Connection"))
    {
        let method = METHODS[number % METHODS.len()];
        let pseudo: Vec<(&str, &str)> =
            GET.iter().map(|(name, value)| (*name, if *name == ":method" { method } else { *value })).collect();
        let mut sent = Sent::get().method(method);
        for (name, value) in *fields {
            sent = sent.with(name, value);
        }
        let body = matches!(method, "POST" | "PUT" | "PATCH");
        sent.body = if body { b"hello world".to_vec() } else { Vec::new() };
        let case = Case::sent(format!("plain: {method} {lines:?}"), &with(&pseudo, fields), sent).plain();
        cases.push(if body { case.data(&["hello", " ", "world"]) } else { case });
    }
    for target in TARGETS.iter().filter(|target| !target.contains("//..")) {
        let pseudo: Vec<(&str, &str)> =
            GET.iter().map(|(name, value)| (*name, if *name == ":path" { *target } else { *value })).collect();
        cases.push(Case::sent(format!("plain: target {target}"), &pseudo, Sent::get().to(target)).plain());
    }
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
        let pseudo: Vec<(&str, &str)> = order.iter().map(|at| GET[*at]).collect();
        cases.push(Case::sent(format!("plain: pseudo-header fields as {order:?}"), &pseudo, Sent::get()).plain());
    }
    cases
}
