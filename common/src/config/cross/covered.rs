//! Whether a name is covered by one of many patterns, without asking each of them: a file may have thousands of routes and
//! sites, and every route is held against the sites and every site against the routes. Agrees with [`NamePattern::covers`].

use crate::config::pattern::NamePattern;
use std::collections::HashSet;

/// Many patterns.
#[derive(Debug, Default)]
pub(super) struct Covered<'a> {
    exact: HashSet<&'a str>,
    /// What follows `*.` in wildcards.
    suffixes: HashSet<&'a str>,
    /// What would have to follow `*.` in a wildcard that covers one of the patterns.
    above: HashSet<&'a str>,
}

impl<'a> FromIterator<&'a NamePattern> for Covered<'a> {
    fn from_iter<I: IntoIterator<Item = &'a NamePattern>>(patterns: I) -> Self {
        let mut covered = Self::default();
        for pattern in patterns {
            match pattern {
                NamePattern::Exact(name) => covered.exact.insert(&**name),
                NamePattern::Suffix(_) => covered.suffixes.insert(suffix(pattern)),
            };
            covered.above.extend(ancestors(pattern.as_str()));
        }
        covered
    }
}

impl Covered<'_> {
    /// Whether one of the patterns covers `name`.
    pub(super) fn covers(&self, name: &NamePattern) -> bool {
        let exact = matches!(name, NamePattern::Exact(name) if self.exact.contains(&**name));
        exact || ancestors(name.as_str()).any(|above| self.suffixes.contains(above))
    }

    /// Whether one of the patterns covers `name` or is covered by it.
    pub(super) fn touches(&self, name: &NamePattern) -> bool {
        self.covers(name) || (matches!(name, NamePattern::Suffix(_)) && self.above.contains(suffix(name)))
    }
}

fn suffix(pattern: &NamePattern) -> &str {
    let text = pattern.as_str();
    text.strip_prefix("*.").unwrap_or(text)
}

/// What follows the first dot, the second, and so on: for a wildcard its suffix first.
fn ancestors(text: &str) -> impl Iterator<Item = &str> {
    let parent = |text: &str| text.split_once('.').map(|(_, rest)| rest.len()).unwrap_or_default();
    std::iter::successors(Some(text), move |text| text.get(text.len() - parent(text)..).filter(|rest| !rest.is_empty()))
        .skip(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> NamePattern {
        NamePattern::parse(text).unwrap()
    }

    proptest! {
        #[test]
        fn it_agrees_with_asking_every_pattern(
            patterns in prop::collection::vec("(\\*\\.)?[ab](\\.[ab]){0,3}", 0..8),
            asked in "(\\*\\.)?[ab](\\.[ab]){0,4}",
        ) {
            let patterns: Vec<NamePattern> = patterns.iter().map(|text| pattern(text)).collect();
            let asked = pattern(&asked);
            let covered: Covered<'_> = patterns.iter().collect();
            prop_assert_eq!(covered.covers(&asked), patterns.iter().any(|own| own.covers(&asked)));
            let touches = patterns.iter().any(|own| own.covers(&asked) || asked.covers(own));
            prop_assert_eq!(covered.touches(&asked), touches);
        }
    }
}
