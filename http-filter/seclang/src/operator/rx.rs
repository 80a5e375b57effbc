//! `@rx`: a pattern, compiled when it is needed.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::caches::Caches;
use super::matcher::{Matcher, PROGRAM};
use super::{Captures, GROUPS};
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
    /// `None`: it is too large.
    compiled: OnceLock<Option<Matcher>>,
}

impl Rx {
    /// A pattern whose syntax has been checked.
    pub(crate) fn new(source: String) -> Self {
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        Self { source: source.into_boxed_str(), number, compiled: OnceLock::new() }
    }

    fn matcher(&self) -> Option<&Matcher> {
        self.compiled.get_or_init(|| Matcher::new(&self.source).ok()).as_ref()
    }

    /// Compiles the pattern at load, for use or only to see whether that is possible.
    pub(crate) fn check(&self, keep: bool) -> Result<(), Mistake> {
        if self.compiled.get().is_some_and(Option::is_some) {
            return Ok(());
        }
        match Matcher::new(&self.source) {
            Ok(matcher) if keep => {
                let _ = self.compiled.set(Some(matcher));
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(_) => Err(Mistake::new(&self.source, "the pattern is too large")
                .allowed(format!("{} MiB when it is compiled", PROGRAM >> 20))),
        }
    }

    /// Lets the pattern run over ordinary values, so that its cache is there. Not if it has not been compiled: then nobody expects it to run.
    pub(crate) fn warm(&self, values: &[&[u8]], caches: &mut Caches) {
        if let Some(Some(matcher)) = self.compiled.get() {
            for value in values {
                let _ = matcher.is_match(value, self.number, caches);
            }
        }
    }

    /// True if the pattern matches somewhere in the value.
    pub(crate) fn is_match(&self, value: &[u8], caches: &mut Caches) -> bool {
        self.matcher().is_some_and(|matcher| matcher.is_match(value, self.number, caches))
    }

    /// What the groups of the leftmost match hold.
    pub(crate) fn capture(&self, value: &[u8], caches: &mut Caches, into: &mut Captures) {
        let Some(matcher) = self.matcher() else { return };
        matcher.captures(&self.source, value, self.number, caches, &mut |number, range| {
            if number < GROUPS
                && let Some(group) = value.get(range)
            {
                into.groups.push((number, group.to_vec()));
            }
        });
    }
}
