//! The one form of look-around that stays linear: a piece of fixed length that must not follow, or not be followed by, something of bounded
//! length. `(?<!&amp);|['"=]` and `<\?(?!xml)` are of this form; CRS 3.3 uses both.
//!
//! The pattern is cut at its outermost bars; each branch may begin with `(?<!...)` and end with `(?!...)`. The piece between is looked for at
//! every place, and the few bytes before or behind it are judged. Anything more general is refused.

use std::ops::Range;

use regex::bytes::Regex;

use super::pattern;

/// Bytes that a condition may look at.
const REACH: usize = 64;

/// A pattern with conditions on what surrounds its matches.
#[derive(Debug)]
pub(crate) struct Guarded {
    branches: Vec<Branch>,
}

#[derive(Debug)]
struct Branch {
    piece: Regex,
    /// Must not match at the end of what comes before.
    before: Option<Regex>,
    /// Must not match at the beginning of what follows.
    after: Option<Regex>,
}

impl Guarded {
    /// Reads a pattern of this form; `None` if it is not of this form.
    pub(crate) fn parse(source: &str) -> Option<Self> {
        let branches = branches(source)?.into_iter().map(Branch::parse).collect::<Option<_>>()?;
        Some(Self { branches })
    }

    /// The first match of the first branch that has one.
    pub(crate) fn find(&self, value: &[u8]) -> Option<Range<usize>> {
        self.branches.iter().find_map(|branch| branch.find(value))
    }
}

impl Branch {
    fn parse(source: &str) -> Option<Self> {
        let (before, rest) = match source.strip_prefix("(?<!") {
            Some(rest) => {
                let end = closing(rest)?;
                (Some(rest.get(..end)?), rest.get(end + 1..)?)
            }
            None => (None, source),
        };
        let (piece, after) = match rest.rfind("(?!") {
            Some(at) => {
                let inner = rest.get(at + 3..)?;
                let end = closing(inner)?;
                // Only at the very end.
                (rest.get(..at)?, Some(inner.get(..end).filter(|_| end + 1 == inner.len())?))
            }
            None => (rest, None),
        };
        if (before.is_some() || after.is_some()) && !fixed(piece) {
            return None;
        }
        let bounded = |text: &str| lengths(text).is_some_and(|(_, most)| most <= REACH);
        if !before.into_iter().chain(after).all(bounded) {
            return None;
        }
        Some(Self {
            piece: pattern::compile(piece).ok()?,
            before: before
                .map(|text| pattern::compile(&format!("(?:{text})\\z")).ok())
                .map_or(Some(None), |regex| regex.map(Some))?,
            after: after
                .map(|text| pattern::compile(&format!("\\A(?:{text})")).ok())
                .map_or(Some(None), |regex| regex.map(Some))?,
        })
    }

    fn find(&self, value: &[u8]) -> Option<Range<usize>> {
        let mut from = 0;
        while from <= value.len() {
            let found = self.piece.find_at(value, from)?.range();
            let head = value.get(found.start.saturating_sub(REACH)..found.start).unwrap_or_default();
            let tail = value.get(found.end..value.len().min(found.end + REACH)).unwrap_or_default();
            let barred = self.before.as_ref().is_some_and(|regex| regex.is_match(head))
                || self.after.as_ref().is_some_and(|regex| regex.is_match(tail));
            if !barred {
                return Some(found);
            }
            from = found.start + 1;
        }
        None
    }
}

/// The shortest and the longest match of a pattern; `None` if it cannot be read or has no longest.
fn lengths(source: &str) -> Option<(usize, usize)> {
    let translated = pattern::translate(source).ok()?;
    let hir = pattern::parser().parse(&translated).ok()?;
    Some((hir.properties().minimum_len()?, hir.properties().maximum_len()?))
}

/// True if all matches have the same length, so that each place has one match at most.
fn fixed(source: &str) -> bool {
    lengths(source).is_some_and(|(least, most)| least == most && least > 0)
}

/// Where the group that is open at the beginning of `rest` closes.
fn closing(rest: &str) -> Option<usize> {
    let mut open = 1_usize;
    for (at, byte) in plain_bytes(rest) {
        match byte {
            b'(' => open += 1,
            b')' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
    }
    None
}

/// The branches between the outermost bars.
fn branches(source: &str) -> Option<Vec<&str>> {
    let (mut list, mut open, mut start) = (Vec::new(), 0_usize, 0);
    for (at, byte) in plain_bytes(source) {
        match byte {
            b'(' => open += 1,
            b')' => open = open.checked_sub(1)?,
            b'|' if open == 0 => {
                list.push(source.get(start..at)?);
                start = at + 1;
            }
            _ => {}
        }
    }
    list.push(source.get(start..)?);
    Some(list)
}

/// The bytes that are neither escaped nor inside a class, with their places.
fn plain_bytes(source: &str) -> impl Iterator<Item = (usize, u8)> + '_ {
    let (mut escaped, mut class) = (false, false);
    source.bytes().enumerate().filter(move |(_, byte)| {
        let was = std::mem::replace(&mut escaped, false);
        match byte {
            _ if was => false,
            b'\\' => {
                escaped = true;
                false
            }
            b'[' if !class => {
                class = true;
                false
            }
            b']' if class => {
                class = false;
                false
            }
            _ => !class,
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_patterns_of_crs_3_3() {
        let entities = Guarded::parse(r#"(?<!&(?:[aA]uml)|&(?:amp)|&(?:apos));|['\"=]"#).unwrap();
        for (value, matches) in [
            ("a;b", true),
            ("a&amp;b", false),
            ("a&amp;b;", true),
            ("x'y", true),
            ("&Auml;", false),
            (";", true),
            ("", false),
        ] {
            assert_eq!(entities.find(value.as_bytes()).is_some(), matches, "{value}");
        }
        let php = Guarded::parse(r"<\?(?!xml)").unwrap();
        for (value, matches) in
            [("<?php", true), ("<?xml", false), ("<?xml ?><?= 1", true), ("<?", true), ("<?xm", true), ("<", false)]
        {
            assert_eq!(php.find(value.as_bytes()).is_some(), matches, "{value}");
        }
    }

    #[test]
    fn more_general_forms_are_refused() {
        for pattern in ["a+(?!b)", "(?=a)b", r"(?<!a)b+", "(?<!a*)b", r"(a)\1", "x(?!a)y", "(?:a(?!b))"] {
            assert!(Guarded::parse(pattern).is_none(), "{pattern}");
        }
    }
}
