//! `@rx`: a pattern, and how it runs.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use regex_automata::Input;
use regex_automata::meta::Regex;

use super::caches::Caches;
use super::{Captures, GROUPS, pattern};
use crate::error::Mistake;

/// The next pattern's number.
static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// A pattern. It is compiled when it is first needed: at load for rules that are reached, never for most others, and a compiled pattern is large.
#[derive(Debug)]
pub(crate) struct Rx {
    /// In the syntax of `regex`.
    pub(crate) source: Box<str>,
    /// No other pattern of this process has it.
    number: u64,
    compiled: OnceLock<Option<Regex>>,
}

impl Rx {
    /// A pattern whose syntax has been checked.
    pub(crate) fn new(source: String) -> Self {
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        Self { source: source.into_boxed_str(), number, compiled: OnceLock::new() }
    }

    /// The compiled pattern; `None` if it is too large, which [`Rx::check`] tells at load.
    fn regex(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| pattern::compile_translated(&self.source).ok()).as_ref()
    }

    /// Compiles the pattern, for use or only to see whether that is possible.
    pub(crate) fn check(&self, keep: bool) -> Result<(), Mistake> {
        if self.compiled.get().is_some_and(Option::is_some) {
            return Ok(());
        }
        let regex = pattern::compile_translated(&self.source)?;
        if keep {
            let _ = self.compiled.set(Some(regex));
        }
        Ok(())
    }

    /// True if the pattern matches somewhere in the value.
    pub(crate) fn is_match(&self, value: &[u8], caches: &mut Caches) -> bool {
        let Some(regex) = self.regex() else { return false };
        let input = Input::new(value).earliest(true);
        caches.with(self.number, regex, |cache| regex.search_half_with(cache, &input).is_some())
    }

    /// What the groups of the leftmost match hold.
    pub(crate) fn capture(&self, value: &[u8], caches: &mut Caches, into: &mut Captures) {
        let Some(regex) = self.regex() else { return };
        let mut found = regex.create_captures();
        caches.with(self.number, regex, |cache| {
            regex.search_captures_with(cache, &Input::new(value), &mut found);
        });
        for number in 0..found.group_len().min(GROUPS) {
            let group = found.get_group(number).and_then(|span| value.get(span.range()));
            into.groups.extend(group.map(|group| (number, group.to_vec())));
        }
    }
}
