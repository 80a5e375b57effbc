//! What the plan finds out about one transaction, in memory that is kept from one to the next.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

use super::bits::Bits;
use crate::mask::ByteMask;
use crate::rule::Phase;
use crate::transaction::values::{Span, Values};

/// Masks of a phase whose rules are remembered, one for each of as many places; a newer one takes the place of an older one.
const MASKS: usize = 1024;
/// Entries of the larger lists that are kept between transactions.
const KEPT: usize = 1 << 15;

/// No string, no value.
pub(crate) const NONE: u32 = u32::MAX;

/// A distinct string: a value, or what transformations made of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    pub(crate) span: Span,
    pub(crate) mask: ByteMask,
    /// The rules that want to look at it.
    pub(crate) want: Bits,
    /// The next string with the same hash.
    next: u32,
    /// Its place among the values as they came, or [`NONE`].
    pub(crate) base: u32,
}

/// A distinct value before any transformation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base {
    pub(crate) text: u32,
    pub(crate) want: Bits,
}

/// Takes the hash that it is given: the keys are hashes already, made with a secret of this process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// The plan's memory of a transaction.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The phase that all this is about.
    pub(crate) phase: Option<Phase>,
    /// The rules that the transaction may reach in it; all others are evaluated without the plan.
    pub(crate) live: Bits,
    pub(crate) texts: Vec<Text>,
    pub(crate) bases: Vec<Base>,
    /// By base and node of the tree of transformations: the string that comes out, [`NONE`] if nobody asked.
    pub(crate) outcomes: Vec<u32>,
    /// By rule: the strings that the operator has to be asked about.
    pub(crate) candidates: Vec<Vec<u32>>,
    /// The rules that have any.
    pub(crate) possible: Bits,
    /// The strings that the current rule's operator matches.
    pub(crate) matched: Vec<u32>,
    /// By phase and place: a mask, and the rules whose operator may match strings that have it.
    masks: [Vec<Option<(ByteMask, Bits)>>; Phase::COUNT],
    pub(crate) scratch: Vec<u8>,
    index: HashMap<u64, u32, BuildHasherDefault<Same>>,
    secret: RandomState,
}

impl State {
    /// Makes room for another phase; what is known about masks stays.
    pub(crate) fn forget(&mut self) {
        self.texts.clear();
        self.texts.shrink_to(KEPT / 16);
        self.bases.clear();
        self.bases.shrink_to(KEPT / 16);
        self.outcomes.clear();
        self.outcomes.shrink_to(KEPT);
        for number in self.possible.iter() {
            if let Some(list) = self.candidates.get_mut(number) {
                list.clear();
                list.shrink_to(64);
            }
        }
        self.possible = Bits::default();
        self.matched.clear();
        self.index.clear();
        self.index.shrink_to(KEPT / 16);
        self.scratch.shrink_to(KEPT);
    }

    /// The number of the string, a new one if it was not seen before.
    pub(crate) fn intern(&mut self, values: &Values, span: Span) -> u32 {
        let bytes = values.get(span);
        let hash = self.secret.hash_one(bytes);
        let first = self.index.get(&hash).copied().unwrap_or(NONE);
        let found = self.chain(first, values, bytes);
        if found != NONE {
            return found;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(NONE);
        self.texts.push(Text { span, mask: ByteMask::of(bytes), want: Bits::default(), next: first, base: NONE });
        self.index.insert(hash, number);
        number
    }

    /// The number of a string that was seen before.
    pub(crate) fn find(&self, values: &Values, bytes: &[u8]) -> u32 {
        let first = self.index.get(&self.secret.hash_one(bytes)).copied().unwrap_or(NONE);
        self.chain(first, values, bytes)
    }

    fn chain(&self, first: u32, values: &Values, bytes: &[u8]) -> u32 {
        let mut number = first;
        while let Some(text) = self.text(number) {
            if values.get(text.span) == bytes {
                return number;
            }
            number = text.next;
        }
        NONE
    }

    pub(crate) fn text(&self, number: u32) -> Option<&Text> {
        self.texts.get(number as usize)
    }

    /// Adds rules to those that want to look at a string.
    pub(crate) fn want(&mut self, number: u32, rules: &Bits) {
        if let Some(text) = self.texts.get_mut(number as usize) {
            text.want = text.want.or(rules);
        }
    }

    /// The rules that may match strings with this mask, remembered.
    pub(crate) fn by_mask(&mut self, phase: Phase, mask: ByteMask, make: impl FnOnce() -> Bits) -> Bits {
        let Some(known) = self.masks.get_mut(phase.index()) else { return make() };
        known.resize(MASKS, None);
        let Some(slot) = known.get_mut(place(mask)) else { return make() };
        match slot {
            Some((own, rules)) if *own == mask => *rules,
            _ => slot.insert((mask, make())).1,
        }
    }
}

/// The place of a mask.
fn place(mask: ByteMask) -> usize {
    let mixed = (mask.bits() ^ (mask.bits() >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> 40).unwrap_or(0) % MASKS
}
