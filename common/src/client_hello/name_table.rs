//! Which entry a name belongs to: exact names first, then the longest wildcard.
//!
//! Used for routes and for certificates. A wildcard here covers every name *below* its suffix, however deep, and
//! never the suffix itself: `*.example.org` takes `a.example.org` and `a.b.example.org`, not `example.org`. (That is
//! what routing wants; certificates cover one label only, RFC 9525 §6.3, and whoever checks them must know.)
//! Looking up costs one hash per label. Keys of the maps are randomly seeded, names come from strangers.

use super::{BadHostName, HostName};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

/// A name of the configuration: `shop.test`, or `*.shop.test`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum NamePattern {
    /// This name and no other.
    Exact(HostName),
    /// Every name below this one, at any depth, but not this one.
    Below(HostName),
}

/// Why text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNamePattern {
    /// `*` may stand only for everything left of a suffix.
    #[error("'*' may only be the whole first label, as in *.example.org")]
    Wildcard,
    /// The name, or the suffix behind `*.`, is no hostname.
    #[error("not a hostname: {0}")]
    Name(#[from] BadHostName),
}

impl NamePattern {
    /// Reads `name` or `*.suffix`; case and one final dot do not matter.
    ///
    /// # Errors
    /// [`BadNamePattern`], worded for whoever wrote the configuration.
    pub fn parse(text: &str) -> Result<Self, BadNamePattern> {
        let suffix = text.strip_prefix("*.");
        match suffix.unwrap_or(text) {
            rest if rest.contains('*') => Err(BadNamePattern::Wildcard),
            rest => {
                let name = HostName::parse(rest.as_bytes())?;
                Ok(if suffix.is_some() { Self::Below(name) } else { Self::Exact(name) })
            }
        }
    }

    /// Whether `name` is covered.
    #[must_use]
    pub fn matches(&self, name: &HostName) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Below(suffix) => {
                name.as_str().strip_suffix(suffix.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => name.fmt(f),
            Self::Below(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

impl std::str::FromStr for NamePattern {
    type Err = BadNamePattern;

    fn from_str(text: &str) -> Result<Self, BadNamePattern> {
        Self::parse(text)
    }
}

impl TryFrom<String> for NamePattern {
    type Error = BadNamePattern;

    fn try_from(text: String) -> Result<Self, BadNamePattern> {
        Self::parse(&text)
    }
}

impl From<NamePattern> for String {
    fn from(pattern: NamePattern) -> Self {
        pattern.to_string()
    }
}

/// Entries by name. At most one entry for a pattern.
#[derive(Clone, Debug)]
pub struct NameTable<T> {
    exact: HashMap<HostName, T>,
    below: HashMap<HostName, T>,
}

/// The pattern is in the table already.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is given twice")]
pub struct DuplicateName(pub NamePattern);

/// What a lookup found, and by what, so that it can be explained.
#[derive(Debug, PartialEq, Eq)]
pub struct Found<'a, T> {
    /// The entry.
    pub entry: &'a T,
    /// `None` if the name itself is in the table, else the suffix of the wildcard (`shop.test` for `*.shop.test`).
    pub wildcard: Option<&'a HostName>,
}

impl<T> NameTable<T> {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self { exact: HashMap::new(), below: HashMap::new() }
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// [`DuplicateName`] if the pattern has one already; the table is unchanged then.
    pub fn insert(&mut self, pattern: NamePattern, entry: T) -> Result<(), DuplicateName> {
        let (map, name) = match &pattern {
            NamePattern::Exact(name) => (&mut self.exact, name),
            NamePattern::Below(suffix) => (&mut self.below, suffix),
        };
        match map.entry(name.clone()) {
            Entry::Occupied(_) => Err(DuplicateName(pattern)),
            Entry::Vacant(vacant) => {
                vacant.insert(entry);
                Ok(())
            }
        }
    }

    /// The entry for `name`: its own, else that of the longest wildcard above it.
    #[must_use]
    pub fn get(&self, name: &HostName) -> Option<&T> {
        self.find(name).map(|found| found.entry)
    }

    /// Like [`Self::get`], and says by which pattern.
    #[must_use]
    pub fn find(&self, name: &HostName) -> Option<Found<'_, T>> {
        if let Some(entry) = self.exact.get(name) {
            return Some(Found { entry, wildcard: None });
        }
        if self.below.is_empty() {
            return None;
        }
        let (suffix, entry) = name.ancestors().find_map(|suffix| self.below.get_key_value(suffix))?;
        Some(Found { entry, wildcard: Some(suffix) })
    }

    /// Every pattern with its entry, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (NamePattern, &T)> {
        let exact = self.exact.iter().map(|(name, entry)| (NamePattern::Exact(name.clone()), entry));
        let below = self.below.iter().map(|(name, entry)| (NamePattern::Below(name.clone()), entry));
        exact.chain(below)
    }

    /// Number of patterns.
    #[must_use]
    pub fn len(&self) -> usize {
        self.exact.len() + self.below.len()
    }

    /// Whether no name can be found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Default for NameTable<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> HostName {
        text.parse().unwrap()
    }

    fn pattern(text: &str) -> NamePattern {
        NamePattern::parse(text).unwrap()
    }

    #[test]
    fn patterns_and_what_they_cover() {
        let wildcard = pattern("*.Example.org.");
        assert_eq!(wildcard.to_string(), "*.example.org");
        for (covered, text) in [
            (true, "a.example.org"),
            (true, "a.b.example.org"),
            (false, "example.org"),
            (false, "badexample.org"),
            (false, "example.org.evil.test"),
        ] {
            assert_eq!(wildcard.matches(&name(text)), covered, "{text}");
        }
        assert!(pattern("Shop.test").matches(&name("shop.test")));
        assert!(!pattern("shop.test").matches(&name("a.shop.test")));
    }

    #[test]
    fn patterns_that_are_none() {
        for text in ["*", "a.*.test", "*a.test", "a*", "*.*.test"] {
            assert_eq!(NamePattern::parse(text), Err(BadNamePattern::Wildcard), "{text}");
        }
        assert_eq!(NamePattern::parse("*."), Err(BadNamePattern::Name(BadHostName::Empty)));
        assert_eq!(NamePattern::parse(""), Err(BadNamePattern::Name(BadHostName::Empty)));
        assert_eq!(NamePattern::parse("*.1"), Err(BadNamePattern::Name(BadHostName::Address)));
    }

    #[test]
    fn exact_before_longest_wildcard() {
        let mut table = NameTable::new();
        for text in ["shop.test", "*.shop.test", "*.eu.shop.test", "api.eu.shop.test", "*.test"] {
            table.insert(pattern(text), text).unwrap();
        }
        for (asked, expected) in [
            ("shop.test", "shop.test"),
            ("www.shop.test", "*.shop.test"),
            ("eu.shop.test", "*.shop.test"),
            ("x.eu.shop.test", "*.eu.shop.test"),
            ("api.eu.shop.test", "api.eu.shop.test"),
            ("x.api.eu.shop.test", "*.eu.shop.test"),
            ("other.test", "*.test"),
        ] {
            assert_eq!(table.get(&name(asked)), Some(&expected), "{asked}");
        }
        assert_eq!(table.get(&name("test")), None);
        assert_eq!(table.get(&name("shop.example")), None);
        assert_eq!(table.find(&name("a.shop.test")).unwrap().wildcard, Some(&name("shop.test")));
        assert_eq!(table.len(), 5);
    }

    #[test]
    fn a_pattern_twice_is_refused_and_changes_nothing() {
        let mut table = NameTable::new();
        table.insert(pattern("*.shop.test"), 1).unwrap();
        table.insert(pattern("shop.test"), 2).unwrap();
        let refused = table.insert(pattern("*.SHOP.test."), 3).unwrap_err();
        assert_eq!(refused.to_string(), "*.shop.test is given twice");
        assert_eq!(table.get(&name("a.shop.test")), Some(&1));
    }

    proptest! {
        #[test]
        fn the_table_agrees_with_trying_every_pattern(
            patterns in prop::collection::btree_set("(\\*\\.)?[ab](\\.[ab]){0,3}", 0..12),
            asked in "[ab](\\.[ab]){0,5}",
        ) {
            let patterns: Vec<NamePattern> = patterns.iter().map(|text| pattern(text)).collect();
            let asked = name(&asked);
            let mut table = NameTable::new();
            for each in &patterns {
                table.insert(each.clone(), each.clone()).unwrap();
            }
            let exact = patterns.iter().find(|each| **each == NamePattern::Exact(asked.clone()));
            let longest = patterns.iter().filter(|each| each.matches(&asked)).max_by_key(|each| each.to_string().len());
            prop_assert_eq!(table.get(&asked), exact.or(longest));
        }
    }
}
