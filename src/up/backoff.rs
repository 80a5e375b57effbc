//! How long to wait before a process that ended is started again. Pure: times in, times out.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// Who has lived so long has proved that it can.
pub const PROVED: Duration = Duration::from_secs(30);

/// Counts the early deaths of one process.
#[derive(Debug, Default)]
pub struct Backoff {
    in_a_row: u32,
    /// Short lives that ended as if told to.
    in_peace: u32,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub struct Next {
    /// Early deaths without a long life between them, this one included.
    pub in_a_row: u32,
    /// How long to wait: not at all the first time, then 100 ms, doubling to 10 s.
    pub pause: Duration,
}

/// Who ends in peace earlier than this would spin.
const PEACEFUL: Duration = Duration::from_millis(100);
/// Nobody tells a process to finish so many times in a row; from here on it counts as if it crashed.
const MOST_IN_PEACE: u32 = 16;

impl Backoff {
    /// The process has ended as if told to (exit code 0, which ours have only then): somebody asked it to make room for its next
    /// incarnation.
    pub fn ended_in_peace(&mut self, lived: Duration) -> Next {
        self.in_peace = if lived < PROVED { self.in_peace.saturating_add(1) } else { 1 };
        if lived < PEACEFUL || self.in_peace > MOST_IN_PEACE {
            return self.ended(lived);
        }
        self.in_a_row = 0;
        Next { in_a_row: 0, pause: Duration::ZERO }
    }

    /// The process has ended after this life.
    pub fn ended(&mut self, lived: Duration) -> Next {
        if lived >= PROVED {
            self.in_a_row = 0;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        let pause = match self.in_a_row.checked_sub(2) {
            None => Duration::ZERO,
            Some(doublings) => FIRST.saturating_mul(2u32.saturating_pow(doublings)).min(LONGEST),
        };
        Next { in_a_row: self.in_a_row, pause }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn at_once_then_doubling_to_ten_seconds() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..10).map(|_| backoff.ended(Duration::from_millis(5)).pause.as_millis()).collect();
        assert_eq!(pauses, [0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        backoff.in_a_row = u32::MAX;
        assert_eq!(backoff.ended(Duration::ZERO).pause, LONGEST);
    }

    #[test]
    fn who_was_told_to_finish_comes_back_at_once_but_does_not_spin() {
        let mut backoff = Backoff::default();
        backoff.ended(Duration::ZERO);
        assert_eq!(backoff.ended_in_peace(Duration::from_millis(100)), Next { in_a_row: 0, pause: Duration::ZERO });
        backoff.ended_in_peace(Duration::ZERO);
        assert_eq!(backoff.ended_in_peace(Duration::ZERO).pause, FIRST);
    }

    #[test]
    fn who_keeps_ending_in_peace_was_not_told_to() {
        let mut backoff = Backoff::default();
        let mut end = |seconds| backoff.ended_in_peace(Duration::from_secs(seconds));
        let pauses: Vec<u128> = (0..20).map(|_| end(1).pause.as_millis()).collect();
        assert_eq!((&pauses[..16], &pauses[16..]), ([0; 16].as_slice(), [0, 100, 200, 400].as_slice()));
        assert_eq!(end(1).in_a_row, 5);
        assert_eq!(end(30), Next { in_a_row: 0, pause: Duration::ZERO });
        assert_eq!(end(1), Next { in_a_row: 0, pause: Duration::ZERO });
    }

    #[test]
    fn a_long_life_wipes_the_slate() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.ended(Duration::from_secs(29));
        }
        assert_eq!(backoff.ended(Duration::from_secs(30)), Next { in_a_row: 1, pause: Duration::ZERO });
        assert_eq!(backoff.ended(Duration::ZERO).pause, FIRST);
    }
}
