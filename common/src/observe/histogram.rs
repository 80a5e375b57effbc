//! Durations counted in fixed buckets. One thread, so nothing is atomic; observing costs a short search and three additions.

use std::cell::Cell;
use std::time::Duration;

/// Upper bounds in microseconds, from a local answer to a slow report; one more bucket holds what is slower.
pub const BOUNDS: [u64; 15] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000,
];

/// See the module.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Cell<u64>; BOUNDS.len() + 1],
    sum: Cell<u64>,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        self.observe_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// Counts one duration in microseconds.
    pub fn observe_micros(&self, micros: u64) {
        let at = BOUNDS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = self.buckets.get(at) {
            bucket.set(bucket.get().saturating_add(1));
        }
        self.sum.set(self.sum.get().saturating_add(micros));
    }

    /// How many were at most as long as each bound, and how many there are in all.
    #[must_use]
    pub fn cumulated(&self) -> [u64; BOUNDS.len() + 1] {
        let mut sum = 0_u64;
        self.buckets.each_ref().map(|bucket| {
            sum = sum.saturating_add(bucket.get());
            sum
        })
    }

    /// Microseconds of all together.
    #[must_use]
    pub fn sum_micros(&self) -> u64 {
        self.sum.get()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let histogram = Histogram::default();
        for micros in [0, 500, 501, 1_000, 30_000_000, 30_000_001, u64::MAX] {
            histogram.observe_micros(micros);
        }
        let counts = histogram.cumulated();
        assert_eq!((counts[0], counts[1], counts[13], counts[14], counts[15]), (2, 4, 4, 5, 7));
        assert_eq!(histogram.sum_micros(), u64::MAX);
        assert!(BOUNDS.is_sorted());
    }
}
