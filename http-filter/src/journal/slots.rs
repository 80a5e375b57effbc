//! The requests in flight of one instance, in its own part of the journal: written by the one process that is this instance, read by its
//! next life.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::Release};

use common::journal::{HEAD, REGION, ROW, SHARED, SLOTS};

use super::fingerprint::TEXT;
use super::suspects::{read_text, write_text};

/// Milliseconds after which a request has shown that it does not kill.
pub const LONG: u64 = 30 * 1000;
/// State of an instance that has not said goodbye. Everything else: nothing can be told from what it left.
const LIVING: u64 = 1;

/// One instance's part.
#[derive(Debug)]
pub struct Slots<'a> {
    /// [`LIVING`] or not.
    state: &'a AtomicU64,
    /// The present, as of the last sweep.
    now: &'a AtomicU64,
    /// Number of the slot of the request that is at work in this instant, plus 1; 0: none.
    at_work: &'a AtomicU64,
    /// By helper thread: the fingerprint of the request for which it is at work in this instant; 0: none.
    helpers: &'a [AtomicU64],
    /// [`ROW`] words each: fingerprint (0: free), order of beginning, time of beginning, description.
    slots: &'a [[AtomicU64; ROW]],
}

/// A request that was in flight when a life ended.
#[derive(Debug, Clone)]
pub struct Charged {
    /// Never 0.
    pub fingerprint: u64,
    /// For people.
    pub text: [u8; TEXT],
    order: u64,
}

/// What a former life left behind.
#[derive(Debug, Default)]
pub struct Estate {
    /// It ended without goodbye.
    pub died: bool,
    /// Requests in flight.
    pub in_flight: usize,
    /// One of them, or one on each thread, was at work in that instant: only those are charged.
    pub caught: bool,
    /// Those that are charged, each once, the youngest first.
    pub charged: Vec<Charged>,
}

impl<'a> Slots<'a> {
    /// Of this instance, counted from 0; several share a part only where the starter made too few. `None`: the memory is too small.
    pub fn of(words: &'a [AtomicU64], instance: usize) -> Option<Self> {
        let parts = words.get(SHARED..)?.as_chunks::<REGION>().0;
        let part = parts.get(instance.checked_rem(parts.len())?)?;
        let (head, slots) = part.split_at_checked(HEAD)?;
        let [state, now, at_work, helpers @ ..] = head else { return None };
        Some(Self { state, now, at_work, helpers, slots: slots.as_chunks().0 })
    }

    /// Takes what the former life left, and begins another.
    pub fn inherit(&self, now: u64) -> Estate {
        let died = self.state.load(Relaxed) == LIVING;
        let mut estate = if died { self.estate() } else { Estate::default() };
        estate.charged.sort_by_key(|charged| Reverse(charged.order));
        let mut seen = std::collections::HashSet::new();
        estate.charged.retain(|charged| seen.insert(charged.fingerprint));
        self.slots.iter().for_each(|[fingerprint, ..]| fingerprint.store(0, Relaxed));
        self.at_work.store(0, Relaxed);
        self.helpers.iter().for_each(|helper| helper.store(0, Relaxed));
        self.tick(now);
        self.state.store(LIVING, Release);
        estate
    }

    fn estate(&self) -> Estate {
        let (died_at, at_work) = (self.now.load(Relaxed), self.at_work.load(Relaxed));
        let read = |slot: &[AtomicU64; ROW]| {
            let [fingerprint, order, begun, text @ ..] = slot;
            let fingerprint = Some(fingerprint.load(Relaxed)).filter(|fingerprint| *fingerprint != 0)?;
            let age = died_at.saturating_sub(begun.load(Relaxed));
            Some((Charged { fingerprint, order: order.load(Relaxed), text: read_text(text) }, age))
        };
        let at_work = usize::try_from(at_work).ok().and_then(|number| self.slots.get(number.checked_sub(1)?));
        let mut caught: Vec<Charged> = at_work.and_then(read).map(|(charged, _)| charged).into_iter().collect();
        let left: Vec<(Charged, u64)> = self.slots.iter().filter_map(read).collect();
        for fingerprint in self.helpers.iter().map(|helper| helper.load(Relaxed)).filter(|of| *of != 0) {
            let known = left.iter().map(|(charged, _)| charged).find(|charged| charged.fingerprint == fingerprint);
            // Its client may have left before.
            caught.push(known.cloned().unwrap_or(Charged { fingerprint, text: [0; TEXT], order: 0 }));
        }
        Estate {
            died: true,
            in_flight: left.len(),
            caught: !caught.is_empty(),
            charged: match caught.is_empty() {
                false => caught,
                true => left.into_iter().filter(|(_, age)| *age < LONG).map(|(charged, _)| charged).collect(),
            },
        }
    }

    /// From here on nothing can be told from the end of this process: it was told to finish, and may be killed for being slow.
    pub fn goodbye(&self) {
        self.state.store(0, Relaxed);
    }

    /// Notes the present.
    pub fn tick(&self, now: u64) {
        self.now.store(now, Relaxed);
    }

    /// A request is in flight.
    pub fn fill(&self, slot: u16, fingerprint: u64, order: u64, begun: u64, text: &[u8; TEXT]) {
        let Some([own, its_order, its_begun, its_text @ ..]) = self.slots.get(usize::from(slot)) else { return };
        its_order.store(order, Relaxed);
        its_begun.store(begun, Relaxed);
        write_text(its_text, text);
        own.store(fingerprint, Release);
    }

    /// It no longer is.
    pub fn empty(&self, slot: u16) {
        if let Some([fingerprint, ..]) = self.slots.get(usize::from(slot)) {
            fingerprint.store(0, Relaxed);
        }
    }

    /// Its own code runs from here on; what ran before is what [`Self::rests`] is to be given.
    pub fn works(&self, slot: u16) -> u64 {
        let before = self.at_work.load(Relaxed);
        self.at_work.store(u64::from(slot) + 1, Relaxed);
        before
    }

    /// Its own code has stopped.
    pub fn rests(&self, before: u64) {
        self.at_work.store(before, Relaxed);
    }

    /// Where helper threads say what they are at work for.
    pub fn helpers(&self) -> &'a [AtomicU64] {
        self.helpers
    }

    /// Fingerprints of requests that have lived long.
    pub fn old(&self, now: u64) -> impl Iterator<Item = u64> {
        self.slots.iter().filter_map(move |[fingerprint, _, begun, ..]| {
            let fingerprint = fingerprint.load(Relaxed);
            (fingerprint != 0 && now.saturating_sub(begun.load(Relaxed)) >= LONG).then_some(fingerprint)
        })
    }
}

/// Numbers of all slots; the first are taken first, so that little memory is touched.
pub fn all_free() -> Vec<u16> {
    (0..u16::try_from(SLOTS).unwrap_or(u16::MAX)).rev().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn memory(parts: usize) -> Vec<AtomicU64> {
        (0..SHARED + parts * REGION).map(|_| AtomicU64::new(0)).collect()
    }

    fn fingerprints(estate: &Estate) -> Vec<u64> {
        estate.charged.iter().map(|charged| charged.fingerprint).collect()
    }

    #[test]
    fn what_was_in_flight_at_a_death_is_known_afterwards() {
        let words = memory(2);
        let slots = Slots::of(&words, 1).unwrap();
        assert!(!slots.inherit(100).died, "the first life");
        let text = [b'k'; TEXT];
        slots.fill(0, 10, 1, 100, &text);
        slots.fill(1, 20, 2, 100, &[b'x'; TEXT]);
        slots.fill(2, 20, 3, 100, &text);
        slots.fill(3, 30, 4, 100, &text);
        slots.empty(3);
        slots.tick(200);
        let estate = Slots::of(&words, 1).unwrap().inherit(300);
        assert!(estate.died && !estate.caught);
        assert_eq!((estate.in_flight, fingerprints(&estate)), (3, vec![20, 10]), "each once, the youngest first");
        assert_eq!(estate.charged[0].text, text);
        assert!(Slots::of(&words, 1).unwrap().inherit(300).charged.is_empty(), "once");
        assert!(!Slots::of(&words, 0).unwrap().inherit(300).died, "another instance");
    }

    #[test]
    fn who_was_at_work_is_charged_alone() {
        let words = memory(1);
        let slots = Slots::of(&words, 0).unwrap();
        slots.inherit(0);
        slots.fill(0, 10, 1, 0, &[0; TEXT]);
        slots.fill(1, 20, 2, 0, &[0; TEXT]);
        let before = slots.works(0);
        let outer = slots.works(1);
        slots.rests(outer);
        let estate = slots.inherit(10);
        assert!(estate.caught);
        assert_eq!(fingerprints(&estate), [10]);
        slots.rests(before);
        slots.fill(0, 10, 1, 0, &[0; TEXT]);
        assert!(!slots.inherit(10).caught);
        words[SHARED + 2].store(u64::MAX, Relaxed);
        assert!(!slots.inherit(10).caught, "nonsense is nobody");
    }

    #[test]
    fn helpers_are_at_work_too() {
        let words = memory(1);
        let slots = Slots::of(&words, 0).unwrap();
        slots.inherit(0);
        let text = [b'h'; TEXT];
        slots.fill(0, 10, 1, 0, &text);
        slots.fill(1, 20, 2, 0, &text);
        slots.fill(2, 30, 3, 0, &text);
        slots.works(0);
        slots.helpers()[0].store(20, Relaxed);
        slots.helpers()[5].store(99, Relaxed);
        let estate = slots.inherit(10);
        assert_eq!((estate.caught, fingerprints(&estate)), (true, vec![20, 10, 99]));
        assert_eq!((estate.charged[0].text, estate.charged[2].text), (text, [0; TEXT]), "one has left");
        assert!(slots.helpers().iter().all(|helper| helper.load(Relaxed) == 0));
    }

    #[test]
    fn who_had_lived_long_or_was_told_to_finish_is_not_charged() {
        let words = memory(1);
        let slots = Slots::of(&words, 0).unwrap();
        slots.inherit(0);
        slots.fill(0, 10, 1, 0, &[0; TEXT]);
        slots.fill(1, 20, 2, 10, &[0; TEXT]);
        slots.tick(LONG);
        assert_eq!(slots.old(LONG).collect::<Vec<_>>(), [10]);
        assert_eq!(fingerprints(&slots.inherit(LONG)), [20]);
        slots.fill(0, 10, 1, LONG, &[0; TEXT]);
        slots.goodbye();
        let estate = slots.inherit(LONG);
        assert!(!estate.died && estate.charged.is_empty());
    }

    #[test]
    fn memory_of_another_size_is_no_journal() {
        assert!(Slots::of(&[], 0).is_none());
        assert!(Slots::of(&memory(1)[1..], 0).is_none());
        assert!(Slots::of(&memory(1), 63).is_some(), "a unit's own file has one part, whatever its number");
        assert_eq!(all_free().len(), SLOTS);
        assert_eq!(all_free().last(), Some(&0));
    }
}
