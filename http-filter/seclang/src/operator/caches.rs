//! What patterns remember while they run: the states of their automata, built as values need them, and room to work in. It belongs to a thread, is
//! found by the automaton's number, and is bounded as a whole: what was not used for longest goes first, and is built again when it is needed.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use regex_automata::hybrid::dfa::{Cache, DFA};

use crate::plan::state::Same;

/// The part of the bound that is left when it was exceeded.
const LEFT: (usize, usize) = (3, 4);

/// The caches of one thread.
#[derive(Debug, Default)]
pub(crate) struct Caches {
    entries: HashMap<u64, Entry, BuildHasherDefault<Same>>,
    /// Bytes that all entries take, and may take.
    size: usize,
    limit: usize,
    /// Counts the phases run.
    now: u64,
    /// Bytes of entries that were made, until [`Caches::made`] asks.
    made: usize,
}

#[derive(Debug)]
struct Entry {
    cache: Box<Cache>,
    size: usize,
    used: u64,
    /// Bytes of values since `size` was taken.
    since: usize,
}

/// Bytes of values that a cache may see before its size is taken again: it may have grown by a state for each of them.
const UNSEEN: usize = 256;

impl Caches {
    /// A phase begins, in which the caches together may take `limit` bytes and a little.
    pub(crate) fn begin(&mut self, limit: usize) {
        self.limit = limit;
        self.now += 1;
    }

    /// Lets an automaton run over `bytes` bytes with its cache, which is found by `number`.
    pub(crate) fn with<R>(
        &mut self,
        number: u64,
        automaton: &DFA,
        bytes: usize,
        run: impl FnOnce(&mut Cache) -> R,
    ) -> R {
        // The table takes its keys as hashes, and numbers that follow one another are bad ones.
        let key = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let entry = self.entries.entry(key).or_insert_with(|| {
            let cache = Box::new(automaton.create_cache());
            self.made += cache.memory_usage();
            Entry { cache, size: 0, used: 0, since: UNSEEN }
        });
        entry.used = self.now;
        let result = run(&mut entry.cache);
        entry.since = entry.since.saturating_add(bytes);
        if entry.since < UNSEEN {
            return result;
        }
        entry.since = 0;
        let size = entry.cache.memory_usage() + size_of::<Cache>();
        self.size = self.size.saturating_sub(entry.size).saturating_add(size);
        entry.size = size;
        if self.size > self.limit {
            self.make_room();
        }
        result
    }

    /// How many bytes of caches were made since it was asked last: making them is work as well.
    pub(crate) fn made(&mut self) -> usize {
        std::mem::take(&mut self.made)
    }

    /// Lets the caches go that were not used for longest.
    fn make_room(&mut self) {
        let target = self.limit / LEFT.1 * LEFT.0;
        let mut order: Vec<(u64, u64)> = self.entries.iter().map(|(number, entry)| (entry.used, *number)).collect();
        order.sort_unstable();
        for (_, number) in order {
            if self.size <= target {
                break;
            }
            let gone = self.entries.remove(&number).map_or(0, |entry| entry.size);
            self.size = self.size.saturating_sub(gone);
        }
        self.entries.shrink_to(self.entries.len() * 2);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn caches_are_bounded_and_the_oldest_goes_first() {
        let automata: Vec<DFA> = (0..50).map(|n| DFA::new(&format!("[a-f]{{{n},60}}x[0-9]+y")).unwrap()).collect();
        let mut caches = Caches::default();
        let limit = 400_000;
        for round in 0..3 {
            for (number, automaton) in (0..).zip(&automata) {
                caches.begin(limit);
                let text = format!("{}x12y", "abcdef".repeat(50));
                let input = regex_automata::Input::new(&text);
                let found = caches.with(number, automaton, text.len(), |cache| automaton.try_search_fwd(cache, &input));
                assert!(found.unwrap().is_some());
                let sum: usize = caches.entries.values().map(|entry| entry.size).sum();
                assert!(sum == caches.size && sum <= limit, "{sum}");
                assert!(round == 0 || caches.entries.len() > 2, "not all go at once");
                assert!(caches.entries.values().any(|entry| entry.used == caches.now), "the one in use stays");
            }
        }
        assert!(caches.made() > 0 && caches.made() == 0);
    }
}
