//! Sets of rules of one phase, by their numbers in the plan.

/// Rules of one phase that the plan takes on; those beyond are evaluated one by one.
pub(crate) const MOST: usize = 64 * WORDS;
const WORDS: usize = 8;

/// A set of numbers below [`MOST`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Bits([u64; WORDS]);

impl Bits {
    /// Adds a number; one that is too large is not added.
    pub(crate) fn add(&mut self, number: usize) {
        if let Some(word) = self.0.get_mut(number / 64) {
            *word |= 1 << (number % 64);
        }
    }

    /// True if the number is in the set.
    pub(crate) fn has(&self, number: usize) -> bool {
        self.0.get(number / 64).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    /// True if nothing is in the set.
    pub(crate) fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    /// True if the sets share a number.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(one, other)| one & other != 0)
    }

    /// Both sets together.
    pub(crate) fn or(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(&other.0).for_each(|(one, other)| *one |= other);
        self
    }

    /// What both sets hold.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(&other.0).for_each(|(one, other)| *one &= other);
        self
    }

    /// What only this set holds.
    pub(crate) fn without(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(&other.0).for_each(|(one, other)| *one &= !other);
        self
    }

    /// The numbers, from the smallest.
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(word, bits)| {
            std::iter::successors((bits != 0).then_some(bits), |bits| Some(bits & (bits - 1)).filter(|bits| *bits != 0))
                .map(move |bits| word * 64 + bits.trailing_zeros() as usize)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        let mut set = Bits::default();
        for number in [0, 63, 64, 200, MOST - 1, MOST] {
            set.add(number);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 200, MOST - 1]);
        let mut other = Bits::default();
        other.add(64);
        assert!(set.meets(&other) && set.has(200) && !set.has(1) && !set.is_empty());
        assert_eq!(set.and(&other), other);
        assert_eq!(set.without(&other).or(&other), set);
    }
}
