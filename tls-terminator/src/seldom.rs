//! A log line that strangers can cause, at most every so often, with the number of those left out.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug)]
pub struct Seldom {
    pause: Duration,
    last: Cell<Option<Instant>>,
    left_out: Cell<u64>,
}

impl Seldom {
    /// At most once per `pause`.
    pub fn new(pause: Duration) -> Self {
        Self { pause, last: Cell::new(None), left_out: Cell::new(0) }
    }

    /// `Some(n)`: write it now; `n` others were left out since the last one.
    pub fn now(&self) -> Option<u64> {
        if self.last.get().is_some_and(|last| last.elapsed() < self.pause) {
            self.left_out.set(self.left_out.get().saturating_add(1));
            return None;
        }
        self.last.set(Some(Instant::now()));
        Some(self.left_out.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_written_and_the_next_one_counts_the_rest() {
        let seldom = Seldom::new(Duration::from_millis(30));
        assert_eq!((seldom.now(), seldom.now(), seldom.now()), (Some(0), None, None));
        std::thread::sleep(Duration::from_millis(35));
        assert_eq!(seldom.now(), Some(2));
    }
}
