//! Operators: what a rule asks of a value. Each is a pure function of the value and the operator's argument.

pub(crate) mod around;
pub(crate) mod bytes;
pub(crate) mod caches;
mod matcher;
pub(crate) mod networks;
pub(crate) mod number;
pub(crate) mod pattern;
pub(crate) mod phrases;
pub(crate) mod rx;

use std::sync::Arc;

use regex::bytes::Regex;

use self::around::Guarded;
use self::bytes::ByteSet;
use self::caches::Caches;
use self::networks::Networks;
use self::number::Comparison;
use self::phrases::Phrases;
use self::rx::Rx;
use crate::mask::ByteMask;
use crate::text::Text;

/// What is done with a value. Arguments that hold macros are expanded by the caller, once per rule.
#[derive(Debug)]
pub(crate) enum Operator {
    /// `@rx`; its pattern in the syntax of `regex` besides.
    Rx(Arc<Rx>),
    /// `@rx` whose pattern holds a macro: compiled when it runs.
    RxMacro(Text),
    /// `@rx` with a look-around that stays linear.
    RxGuarded(Box<Guarded>),
    /// `@pm`, `@pmFromFile`.
    Pm(Arc<Phrases>),
    Within(Text),
    Contains(Text),
    ContainsWord(Text),
    StrEq(Text),
    BeginsWith(Text),
    EndsWith(Text),
    Compare(Comparison, Text),
    IpMatch(Networks),
    DetectSqli,
    DetectXss,
    ValidateByteRange(Box<ByteSet>),
    ValidateUrlEncoding,
    ValidateUtf8,
    /// `@unconditionalMatch`, and what `SecAction` has.
    Always,
    /// `@noMatch`, and the operators that need the network or a data base (`@rbl`, `@geoLookup`): this crate has neither.
    Never,
}

/// What `capture` puts into TX:0 to TX:9; a group that took no part is left as it was.
#[derive(Debug, Default)]
pub(crate) struct Captures {
    pub(crate) groups: Vec<(usize, Vec<u8>)>,
}

/// Groups of a pattern that `capture` takes.
const GROUPS: usize = 10;

impl Operator {
    /// The text whose macros the caller expands for [`Operator::matches`].
    pub(crate) fn argument(&self) -> Option<&Text> {
        match self {
            Self::RxMacro(text)
            | Self::Within(text)
            | Self::Contains(text)
            | Self::ContainsWord(text)
            | Self::StrEq(text)
            | Self::BeginsWith(text)
            | Self::EndsWith(text)
            | Self::Compare(_, text) => Some(text),
            _ => None,
        }
    }

    /// The same, for resolving what its macros name.
    pub(crate) fn argument_mut(&mut self) -> Option<&mut Text> {
        match self {
            Self::RxMacro(text)
            | Self::Within(text)
            | Self::Contains(text)
            | Self::ContainsWord(text)
            | Self::StrEq(text)
            | Self::BeginsWith(text)
            | Self::EndsWith(text)
            | Self::Compare(_, text) => Some(text),
            _ => None,
        }
    }

    /// True if the operator's answer about `value` is yes. `argument` is the expanded [`Operator::argument`].
    pub(crate) fn matches(&self, value: &[u8], argument: &[u8], caches: &mut Caches) -> bool {
        match self {
            Self::Rx(rx) => rx.is_match(value, caches),
            Self::RxMacro(_) => macro_pattern(argument).is_some_and(|regex| regex.is_match(value)),
            Self::RxGuarded(guarded) => guarded.find(value).is_some(),
            Self::Pm(phrases) => phrases.find(value).is_some(),
            Self::Within(_) => memchr::memmem::find(argument, value).is_some(),
            Self::Contains(_) => memchr::memmem::find(value, argument).is_some(),
            Self::ContainsWord(_) => contains_word(value, argument),
            Self::StrEq(_) => value == argument,
            Self::BeginsWith(_) => value.starts_with(argument),
            Self::EndsWith(_) => value.ends_with(argument),
            Self::Compare(comparison, _) => comparison.holds(number::parse(value), number::parse(argument)),
            Self::IpMatch(networks) => networks.contain(value),
            Self::DetectSqli => !value.is_empty() && libinjectionrs::detect_sqli(value).is_injection(),
            Self::DetectXss => libinjectionrs::detect_xss(value).is_injection(),
            Self::ValidateByteRange(set) => set.is_broken(value),
            Self::ValidateUrlEncoding => bytes::bad_url_encoding(value),
            Self::ValidateUtf8 => bytes::bad_utf8(value),
            Self::Always => true,
            Self::Never => false,
        }
    }

    /// What `capture` takes of a value that matched.
    pub(crate) fn capture(&self, value: &[u8], argument: &[u8], caches: &mut Caches, into: &mut Captures) {
        into.groups.clear();
        match self {
            Self::Rx(rx) => rx.capture(value, caches, into),
            Self::RxMacro(_) => {
                if let Some(regex) = macro_pattern(argument) {
                    groups(&regex, value, into);
                }
            }
            Self::RxGuarded(guarded) => {
                let found = guarded.find(value).and_then(|range| value.get(range));
                into.groups.extend(found.map(|found| (0, found.to_vec())));
            }
            Self::Pm(phrases) => into.groups.extend(phrases.find(value).map(|phrase| (0, phrase.to_vec()))),
            Self::DetectSqli => {
                let fingerprint = libinjectionrs::detect_sqli(value).fingerprint;
                into.groups.extend(
                    fingerprint.map(|fingerprint| (0, fingerprint.as_str().trim_end_matches('\0').as_bytes().to_vec())),
                );
            }
            Self::DetectXss => into.groups.push((0, value.to_vec())),
            _ => {}
        }
    }

    /// How many units of work a byte costs, roughly.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::DetectSqli => 16,
            Self::DetectXss => 8,
            Self::Rx(_) | Self::RxMacro(_) | Self::RxGuarded(_) => 2,
            _ => 1,
        }
    }

    /// False only if no value with exactly these kinds of bytes matches.
    pub(crate) fn may_match(&self, mask: ByteMask) -> bool {
        match self {
            Self::ValidateByteRange(set) => set.may_be_broken(mask),
            Self::ValidateUrlEncoding => mask.intersects(ByteMask::byte(b'%')),
            Self::ValidateUtf8 => mask.intersects(ByteMask::HIGH),
            // Every way into a tag begins with `<`; an attribute does harm by its value only, behind `=`.
            Self::DetectXss => mask.intersects(ByteMask::bytes(b"<=")),
            Self::Never => false,
            _ => true,
        }
    }
}

fn macro_pattern(argument: &[u8]) -> Option<Regex> {
    pattern::compile(std::str::from_utf8(argument).ok()?).ok()
}

fn groups(regex: &Regex, value: &[u8], into: &mut Captures) {
    let Some(found) = regex.captures(value) else { return };
    for (number, group) in found.iter().enumerate().take(GROUPS) {
        into.groups.extend(group.map(|group| (number, group.as_bytes().to_vec())));
    }
}

fn contains_word(value: &[u8], word: &[u8]) -> bool {
    let part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    memchr::memmem::find_iter(value, word).any(|at| {
        let before = at.checked_sub(1).and_then(|at| value.get(at));
        !part(before) && !part(value.get(at + word.len()))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn texts() {
        let text = |text: &str| Text::parse(text).unwrap();
        for (operator, value, expected) in [
            (Operator::Within(text("GET POST")), "POST", true),
            (Operator::Within(text("GET POST")), "", true),
            (Operator::Within(text("GET POST")), "PUT", false),
            (Operator::ContainsWord(text("or")), "for or", true),
            (Operator::ContainsWord(text("or")), "for", false),
            (Operator::EndsWith(text(".php")), "a.php", true),
            (Operator::Compare(Comparison::Ge, text("5")), "12", true),
            (Operator::Compare(Comparison::Lt, text("5")), "", true),
        ] {
            let argument = operator.argument().unwrap().constant().unwrap();
            assert_eq!(
                operator.matches(value.as_bytes(), argument, &mut Caches::default()),
                expected,
                "{operator:?} {value}"
            );
        }
    }

    #[test]
    fn validating_operators_are_true_of_what_is_broken() {
        let set = Operator::ValidateByteRange(Box::new(ByteSet::parse("9,10,13,32-126,128-255").unwrap()));
        assert!(
            set.matches(b"a\0", b"", &mut Caches::default()) && !set.matches(b"a\n\xff", b"", &mut Caches::default())
        );
        assert!(!set.may_match(ByteMask::of(b"abc \xff")) && set.may_match(ByteMask::of(b"\x01")));
        assert!(
            Operator::ValidateUrlEncoding.matches(b"%4", b"", &mut Caches::default())
                && !Operator::ValidateUrlEncoding.matches(b"%41%42", b"", &mut Caches::default())
        );
        assert!(
            Operator::ValidateUtf8.matches(b"\xc0\x80", b"", &mut Caches::default())
                && !Operator::ValidateUtf8.matches("\u{e9}".as_bytes(), b"", &mut Caches::default())
        );
    }

    #[test]
    fn injections_are_captured() {
        let mut captures = Captures::default();
        assert!(Operator::DetectSqli.matches(b"1' or '1'='1", b"", &mut Caches::default()));
        Operator::DetectSqli.capture(b"1' or '1'='1", b"", &mut Caches::default(), &mut captures);
        assert_eq!(captures.groups, vec![(0, b"s&sos".to_vec())]);
        assert!(Operator::DetectXss.matches(b"<script>alert(1)</script>", b"", &mut Caches::default()));
    }
}
