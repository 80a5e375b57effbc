//! What many rules have in common is kept once: patterns, lists of phrases, tags. CRS names some data files twice, and its 6,000 tags are 150 texts.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::operator::phrases::Phrases;
use crate::operator::rx::Rx;

/// The pieces of the rules loaded so far.
#[derive(Default)]
pub(super) struct Shared {
    patterns: HashMap<String, Arc<Rx>>,
    phrases: Vec<Arc<Phrases>>,
    tags: HashSet<Arc<str>>,
}

impl Shared {
    /// The pattern with this text (in the syntax of `regex`).
    pub(super) fn rx(&mut self, source: String) -> Arc<Rx> {
        if let Some(known) = self.patterns.get(&source) {
            return Arc::clone(known);
        }
        let new = Arc::new(Rx::new(source.clone()));
        self.patterns.insert(source, Arc::clone(&new));
        new
    }

    /// The list with these phrases.
    pub(super) fn phrases(&mut self, list: Phrases) -> Arc<Phrases> {
        if let Some(known) = self.phrases.iter().find(|known| known.as_ref() == &list) {
            return Arc::clone(known);
        }
        let new = Arc::new(list);
        self.phrases.push(Arc::clone(&new));
        new
    }

    /// The tag with this text.
    pub(super) fn tag(&mut self, text: &Arc<str>) -> Arc<str> {
        if let Some(known) = self.tags.get(text) {
            return Arc::clone(known);
        }
        self.tags.insert(Arc::clone(text));
        Arc::clone(text)
    }
}
