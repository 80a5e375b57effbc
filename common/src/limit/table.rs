//! Many keys with one rate, in a fixed number of slots: the memory of a limit is decided when it is made, and what is never used is never touched.
//!
//! A key has eight slots it may lie in (its row). When all are taken by others, the one whose schedule ends first gives way: a key that has
//! run out loses nothing, and one that runs far ahead, which is what limits are for, is the last to be forgotten. No sweep, no list, no allocation.

use super::gcra::{Rate, Verdict};
use super::key::Key;

/// Slots of one row.
const WAYS: usize = 8;

/// Half of the key, other half, schedule. All zero: free. Plain numbers, so that a new table is fresh zero pages.
type Slot = [u64; 3];

/// Schedules of many keys.
#[derive(Debug)]
pub struct Table {
    rate: Rate,
    slots: Vec<Slot>,
    rows: u64,
    forgotten: u64,
}

impl Table {
    /// Room for about `keys` keys, of 24 bytes each.
    #[must_use]
    pub fn new(rate: Rate, keys: usize) -> Self {
        let rows = keys.div_ceil(WAYS).max(1);
        let slots = vec![[0u64; 3]; rows.saturating_mul(WAYS)];
        Table { rate, slots, rows: u64::try_from(rows).unwrap_or(1), forgotten: 0 }
    }

    /// Judges one request of `key`, and remembers it if it is within the rate.
    pub fn judge(&mut self, key: Key, now: u64) -> Verdict {
        let rate = self.rate;
        let row = self.row(key);
        if let Some([.., schedule]) = find(row, key) {
            let verdict = rate.judge(*schedule, now);
            if let Verdict::Within(next, _) = verdict {
                *schedule = next;
            }
            return verdict;
        }
        let verdict = rate.judge(0, now);
        let mut forgets = false;
        if let Verdict::Within(next, _) = verdict
            && let Some(slot) = row.iter_mut().min_by_key(|[.., schedule]| *schedule)
        {
            let [.., schedule] = *slot;
            forgets = schedule > now;
            *slot = [key.0, key.1, next];
        }
        self.forgotten = self.forgotten.saturating_add(u64::from(forgets));
        verdict
    }

    /// What [`Self::judge`] would say now; nothing is remembered.
    #[must_use]
    pub fn look(&mut self, key: Key, now: u64) -> Verdict {
        let rate = self.rate;
        let schedule = find(self.row(key), key).map_or(0, |[.., schedule]| *schedule);
        rate.judge(schedule, now)
    }

    /// The last request of `key` that was within the rate does not count after all.
    pub fn give_back(&mut self, key: Key) {
        let rate = self.rate;
        if let Some([.., schedule]) = find(self.row(key), key) {
            *schedule = rate.give_back(*schedule);
        }
    }

    /// Keys that were forgotten although their schedule had not run out: the table is too small for its visitors.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The slots a key may lie in.
    fn row(&mut self, key: Key) -> &mut [Slot] {
        // The upper half of the product is below `rows`, and even over it.
        let row = (u128::from(key.0) * u128::from(self.rows)) >> 64;
        let first = usize::try_from(row).unwrap_or(0).saturating_mul(WAYS);
        self.slots.get_mut(first..first.saturating_add(WAYS)).unwrap_or_default()
    }
}

fn find(row: &mut [Slot], key: Key) -> Option<&mut Slot> {
    row.iter_mut().find(|[one, other, _]| (*one, *other) == (key.0, key.1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::super::key::Keying;
    use super::*;

    fn key(keying: &Keying, number: u64) -> Key {
        let mut key = keying.begin();
        key.add(&number.to_be_bytes());
        key.finish()
    }

    fn within(verdict: Verdict) -> bool {
        matches!(verdict, Verdict::Within(..))
    }

    #[test]
    fn keys_count_apart() {
        let keying = Keying::default();
        let mut table = Table::new(Rate::new(1, Duration::from_secs(1), 1), 1000);
        for number in 0..100 {
            assert!(within(table.judge(key(&keying, number), 5)));
            assert!(!within(table.judge(key(&keying, number), 6)));
        }
        table.give_back(key(&keying, 7));
        assert!(within(table.judge(key(&keying, 7), 7)));
        assert!(!within(table.judge(key(&keying, 7), 8)));
        table.give_back(key(&keying, 1_000_000)); // unknown: nothing happens
    }

    #[test]
    fn who_runs_far_ahead_is_not_washed_out_by_a_crowd() {
        let keying = Keying::default();
        let mut table = Table::new(Rate::new(10, Duration::from_secs(1), 10), 64);
        let heavy = key(&keying, u64::MAX);
        while within(table.judge(heavy, 1)) {}
        for number in 0..100_000 {
            table.judge(key(&keying, number), 1);
        }
        assert!(!within(table.judge(heavy, 1)), "still known");
        assert_eq!(table.slots.len(), 64);
        assert!(table.forgotten() > 90_000);
    }

    #[test]
    fn a_full_table_of_idle_keys_takes_new_ones_without_forgetting() {
        let keying = Keying::default();
        let mut table = Table::new(Rate::new(10, Duration::from_secs(1), 1), 16);
        for number in 0..10_000 {
            // Each comes when all before it have run out.
            assert!(within(table.judge(key(&keying, number), number * 1_000_000_000)));
        }
        assert_eq!(table.forgotten(), 0);
    }
}
