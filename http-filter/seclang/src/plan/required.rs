//! What a value must hold for a pattern to match it: strings of which one must occur, and kinds of bytes that must all be there.
//!
//! Both are read off the pattern's structure and may only err on the side of "it may match". Strings are compared in lower case. The
//! analysis can be narrowed to values that lack some bytes: patterns that allow for `c'a''t` or `c\at` say `c[\\']*a[\\']*t`, and for a value
//! without quotes and backslashes that is the plain string `cat`.

use regex_syntax::hir::{Class, Hir, HirKind};

use crate::mask::ByteMask;
use crate::operator::pattern;

/// Strings of one set; above, the set is given up.
const STRINGS: usize = 3000;
/// Strings that putting pieces together may make.
const PRODUCT: usize = 64;
/// Bytes of a string that are of use; more are cut off.
const LENGTH: usize = 24;
/// Members up to which a class of bytes is spelt out.
const SPELT: usize = 12;
/// Clauses that are kept.
const CLAUSES: usize = 6;

/// What every match holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Required {
    /// One of these strings, in lower case; `None`: nothing is known. Empty: nothing can match.
    pub(crate) strings: Option<Vec<Vec<u8>>>,
    /// A byte of each of these sets of kinds.
    pub(crate) clauses: Vec<ByteMask>,
}

impl Required {
    /// Reads a pattern (in the syntax of `regex`, with ModSecurity's flags). `without`: kinds of bytes that the values lack.
    pub(crate) fn of(source: &str, without: ByteMask) -> Self {
        let Ok(hir) = pattern::parser().parse(source) else { return Self::default() };
        let analysis = Analysis { without };
        let strings = analysis.strings(&hir).best();
        let clauses = analysis.clauses(&hir).unwrap_or_default();
        Self { strings: strings.filter(|set| set.iter().all(|string| string.len() > 1)), clauses }
    }

    /// False only if no value with exactly these kinds of bytes matches.
    #[cfg(test)]
    pub(crate) fn allows(&self, mask: ByteMask) -> bool {
        self.clauses.iter().all(|clause| clause.intersects(mask))
    }
}

/// What is known about the matches of a piece of pattern.
enum Known {
    /// They are exactly these strings (in lower case). An empty list: there are none.
    Exactly(Vec<Vec<u8>>),
    /// Each holds one of these.
    Holding(Vec<Vec<u8>>),
    Nothing,
}

impl Known {
    fn best(self) -> Option<Vec<Vec<u8>>> {
        match self {
            Self::Exactly(set) | Self::Holding(set) if !set.iter().any(Vec::is_empty) => Some(reduced(set)),
            _ => None,
        }
    }
}

/// Without the strings that hold another of the set: who holds them holds that.
fn reduced(mut set: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    set.sort_by_key(Vec::len);
    set.dedup();
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for string in set {
        if !kept.iter().any(|short| memchr::memmem::find(&string, short).is_some()) {
            kept.push(string);
        }
    }
    kept
}

/// How well a set tells values apart: by its shortest string, then by how few there are.
fn worth(set: &[Vec<u8>]) -> (usize, usize) {
    let shortest = set.iter().map(Vec::len).min().unwrap_or(LENGTH);
    (shortest.min(5), STRINGS.saturating_sub(set.len()))
}

fn better(one: Option<Vec<Vec<u8>>>, other: Option<Vec<Vec<u8>>>) -> Option<Vec<Vec<u8>>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if worth(&other) > worth(&one) { other } else { one }),
        (one, other) => one.or(other),
    }
}

struct Analysis {
    without: ByteMask,
}

impl Analysis {
    fn lacks(&self, byte: u8) -> bool {
        self.without.intersects(ByteMask::byte(byte))
    }

    fn strings(&self, hir: &Hir) -> Known {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Known::Exactly(vec![Vec::new()]),
            HirKind::Literal(literal) => {
                if literal.0.iter().any(|byte| self.lacks(*byte)) {
                    return Known::Exactly(Vec::new());
                }
                Known::Exactly(vec![literal.0.iter().take(LENGTH).map(u8::to_ascii_lowercase).collect()])
                    .shortened(literal.0.len() > LENGTH)
            }
            HirKind::Class(class) => {
                let mut members: Vec<Vec<u8>> = Vec::new();
                for byte in self.members(class) {
                    let member = vec![byte.to_ascii_lowercase()];
                    if !members.contains(&member) {
                        members.push(member);
                    }
                    if members.len() > SPELT {
                        return Known::Nothing;
                    }
                }
                Known::Exactly(members)
            }
            HirKind::Capture(capture) => self.strings(&capture.sub),
            HirKind::Repetition(repetition) => {
                let inner = self.strings(&repetition.sub);
                match (repetition.min, repetition.max, inner) {
                    (0, _, Known::Exactly(set)) if set.is_empty() => Known::Exactly(vec![Vec::new()]),
                    (0, Some(1), Known::Exactly(mut set)) if set.len() < PRODUCT => {
                        set.push(Vec::new());
                        Known::Exactly(set)
                    }
                    (0, _, _) => Known::Nothing,
                    (1, Some(1), inner) => inner,
                    (least, most, Known::Exactly(set)) => {
                        let mut all = vec![Vec::new()];
                        let times = least.min(4);
                        for _ in 0..times {
                            match product(&all, &set) {
                                Some(next) => all = next,
                                None => return inexact(set),
                            }
                        }
                        if Some(times) == most { Known::Exactly(all) } else { inexact(all) }
                    }
                    (_, _, inner) => inner,
                }
            }
            HirKind::Concat(pieces) => self.concat(pieces),
            HirKind::Alternation(branches) => {
                let mut exact = true;
                let mut union = Vec::new();
                for branch in branches {
                    let set = match self.strings(branch) {
                        Known::Exactly(set) => set,
                        Known::Holding(set) => {
                            exact = false;
                            set
                        }
                        Known::Nothing => return Known::Nothing,
                    };
                    union.extend(set);
                    if union.len() > STRINGS {
                        return Known::Nothing;
                    }
                }
                union.sort();
                union.dedup();
                if exact { Known::Exactly(union) } else { Known::Holding(union).checked() }
            }
        }
    }

    fn concat(&self, pieces: &[Hir]) -> Known {
        let mut run = vec![Vec::new()];
        let mut best: Option<Vec<Vec<u8>>> = None;
        let mut exact = true;
        for piece in pieces {
            match self.strings(piece) {
                // A piece that cannot match: neither can the whole.
                Known::Exactly(set) if set.is_empty() => return Known::Exactly(Vec::new()),
                Known::Exactly(set) => match product(&run, &set) {
                    Some(next) => run = next,
                    None => {
                        exact = false;
                        best = better(best, Known::Exactly(std::mem::replace(&mut run, set)).best());
                    }
                },
                other => {
                    exact = false;
                    best = better(best, Known::Exactly(std::mem::replace(&mut run, vec![Vec::new()])).best());
                    best = better(best, other.best());
                }
            }
        }
        if exact {
            return Known::Exactly(run);
        }
        better(best, Known::Exactly(run).best()).map_or(Known::Nothing, Known::Holding)
    }

    fn members<'a>(&'a self, class: &'a Class) -> impl Iterator<Item = u8> + 'a {
        let ranges: Vec<(u8, u8)> = match class {
            Class::Bytes(class) => class.iter().map(|range| (range.start(), range.end())).collect(),
            // Only ASCII comes as characters when Unicode is off.
            Class::Unicode(class) => class
                .iter()
                .map(|range| (u8::try_from(range.start()).unwrap_or(0), u8::try_from(range.end()).unwrap_or(u8::MAX)))
                .collect(),
        };
        ranges.into_iter().flat_map(|(first, last)| first..=last).filter(|byte| !self.lacks(*byte))
    }

    /// Sets of kinds, of each of which a match holds a byte; `None`: there is no match.
    fn clauses(&self, hir: &Hir) -> Option<Vec<ByteMask>> {
        let mut list = Vec::new();
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => {
                for byte in &literal.0 {
                    if self.lacks(*byte) {
                        return None;
                    }
                    list.push(ByteMask::byte(*byte));
                }
            }
            HirKind::Class(class) => {
                let kinds = self.members(class).fold(ByteMask::NONE, |kinds, byte| kinds.union(ByteMask::byte(byte)));
                if kinds == ByteMask::NONE {
                    return None;
                }
                list.push(kinds);
            }
            HirKind::Capture(capture) => list = self.clauses(&capture.sub)?,
            HirKind::Repetition(repetition) if repetition.min == 0 => {}
            HirKind::Repetition(repetition) => list = self.clauses(&repetition.sub)?,
            HirKind::Concat(pieces) => {
                for piece in pieces {
                    list.extend(self.clauses(piece)?);
                }
            }
            HirKind::Alternation(branches) => {
                let branches: Vec<Vec<ByteMask>> = branches.iter().filter_map(|branch| self.clauses(branch)).collect();
                if branches.is_empty() {
                    return None;
                }
                let most = branches.iter().map(Vec::len).max().unwrap_or(0);
                // Whatever one takes from each branch, a match holds a byte of the union.
                for at in 0..most {
                    let picked = branches.iter().map(|branch| branch.get(at).or(branch.last()).copied());
                    list.extend(picked.reduce(|one, other| Some(one?.union(other?))).flatten());
                }
            }
        }
        list.sort_by_key(|clause| (commonness(*clause), clause.bits()));
        list.dedup();
        list.truncate(CLAUSES);
        Some(list)
    }
}

/// How likely a value is to hold one of these kinds; the numbers only order them.
fn commonness(kinds: ByteMask) -> u32 {
    let common = [
        (ByteMask::LOWER, 100),
        (ByteMask::DIGIT, 60),
        (ByteMask::UPPER, 50),
        (ByteMask::bytes(b"/.-=_"), 20),
        (ByteMask::SPACE, 30),
    ];
    let extra: u32 = common.iter().filter(|(kind, _)| kind.intersects(kinds)).map(|(_, cost)| cost).sum();
    kinds.bits().count_ones() + extra
}

impl Known {
    /// Strings that were cut are only held, not the whole match.
    fn shortened(self, cut: bool) -> Self {
        match self {
            Self::Exactly(set) if cut => Self::Holding(set),
            other => other,
        }
    }

    /// Holding an empty string says nothing.
    fn checked(self) -> Self {
        match self {
            Self::Holding(set) if set.iter().any(Vec::is_empty) => Self::Nothing,
            other => other,
        }
    }
}

fn inexact(set: Vec<Vec<u8>>) -> Known {
    Known::Holding(set).checked()
}

/// Every string of `one` followed by every string of `other`; `None` if that is too many or too long.
fn product(one: &[Vec<u8>], other: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    if one.len().saturating_mul(other.len()) > PRODUCT && one.len() > 1 && other.len() > 1 {
        return None;
    }
    let mut all = Vec::with_capacity(one.len() * other.len());
    for head in one {
        for tail in other {
            if head.len() + tail.len() > LENGTH {
                return None;
            }
            all.push([head.as_slice(), tail.as_slice()].concat());
        }
    }
    all.sort();
    all.dedup();
    (all.len() <= STRINGS).then_some(all)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::operator::pattern;

    fn strings(source: &str) -> Option<Vec<String>> {
        let required = Required::of(&pattern::translate(source).unwrap(), ByteMask::NONE);
        required.strings.map(|set| set.into_iter().map(|string| String::from_utf8(string).unwrap()).collect())
    }

    #[test]
    fn strings_of_patterns() {
        let set = |list: &[&str]| Some(list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(strings("(?i)union.*?select"), set(&["union"]));
        assert_eq!(strings("a(?:bc|de)f"), set(&["abcf", "adef"]));
        assert_eq!(strings(r"\bfoo(?:bar)?.*"), set(&["foo"]));
        assert_eq!(strings("[0-9a-f]+"), None);
        assert_eq!(strings("(?:abc|x*)"), None);
        assert_eq!(strings(".*"), None);
        assert_eq!(strings("(?:ab){2,}"), set(&["abab"]));
    }

    #[test]
    fn values_without_quotes_need_the_plain_word() {
        let source = pattern::translate(r#"c[\\'"]*a[\\'"]*t[\s<>]"#).unwrap();
        assert!(Required::of(&source, ByteMask::NONE).strings.unwrap().iter().all(|string| string.len() == 2));
        let plain = Required::of(&source, ByteMask::bytes(b"\\'\""));
        assert!(plain.strings.unwrap().iter().all(|string| string.starts_with(b"cat")));
        let quoted = pattern::translate("'[a-z]+'").unwrap();
        assert_eq!(
            Required::of(&quoted, ByteMask::byte(b'\'')).strings,
            Some(Vec::new()),
            "cannot match without a quote"
        );
    }

    #[test]
    fn clauses_of_patterns() {
        let required = Required::of(r"\(.*\)|\[x\]", ByteMask::NONE);
        assert!(required.allows(ByteMask::of(b"a(b)")) && required.allows(ByteMask::of(b"[x]")));
        assert!(!required.allows(ByteMask::of(b"ab")) && !required.allows(ByteMask::of(b"{x}")));
    }

    /// What is required of a match is there, whatever the pattern and the value.
    #[test]
    fn no_match_lacks_what_is_required() {
        use proptest::prelude::*;
        let piece = prop_oneof![
            Just("a"),
            Just("b+"),
            Just("[ab]"),
            Just("c*"),
            Just("(?:ab|c)"),
            Just("(?:a|b|)"),
            Just("."),
            Just("(?i:Ab)"),
            Just("\\s"),
            Just("(?:ab){2}"),
            Just("^"),
            Just("$"),
            Just("\\b"),
            Just("'?"),
            Just("['x]"),
            Just("[^a]"),
            Just("|"),
            Just("(?:'|ab)c")
        ];
        let pattern = prop::collection::vec(piece, 1..7).prop_map(|list| list.concat());
        let value = prop::collection::vec(prop::sample::select(b"aAbBc' x\n".to_vec()), 0..14);
        proptest!(ProptestConfig::with_cases(4000), |(pattern in pattern, value in value)| {
            let regex = pattern::compile(&pattern).unwrap();
            if regex.is_match(&value) {
                let mask = ByteMask::of(&value);
                for without in [ByteMask::NONE, ByteMask::byte(b'\'')] {
                    if without.intersects(mask) {
                        continue;
                    }
                    let required = Required::of(&pattern::translate(&pattern).unwrap(), without);
                    prop_assert!(required.allows(mask), "{pattern} {value:?} {required:?}");
                    let lower = value.to_ascii_lowercase();
                    let held = required.strings.as_ref().is_none_or(|set| set.iter().any(|string| memchr::memmem::find(&lower, string).is_some()));
                    prop_assert!(held, "{pattern} {value:?} {required:?}");
                }
            }
        });
    }
}
