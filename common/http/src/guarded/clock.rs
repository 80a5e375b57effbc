//! A coarse clock: one number that one task moves on a few times a second and everybody else only reads.
//!
//! Why: a deadline per request would cost a timer entry per request. With this, stamping a moment is one load, and all deadlines of all
//! connections are looked at together ([`super::Watch::sweep`]). Resolution is the sweep interval, which is fine for deadlines of seconds;
//! never use it to measure a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Milliseconds since the clock was made. Cloning shares the clock.
#[derive(Debug, Clone)]
pub struct Clock {
    now: Arc<AtomicU64>,
    origin: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that starts at zero.
    #[must_use]
    pub fn new() -> Self {
        Clock { now: Arc::new(AtomicU64::new(0)), origin: Instant::now() }
    }

    /// The moment of the last [`Clock::advance`], in milliseconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// The same as a point in time, for what compares such points.
    #[must_use]
    pub fn instant(&self) -> Instant {
        self.origin.checked_add(Duration::from_millis(self.now())).unwrap_or(self.origin)
    }

    /// Moves the clock to the present. Called by the one sweeping task.
    pub fn advance(&self) {
        self.set(self.origin.elapsed());
    }

    /// Moves the clock to a chosen moment: for tests of deadlines.
    pub fn set(&self, since_start: Duration) {
        self.now.store(millis(since_start), Ordering::Relaxed);
    }
}

/// A duration in whole milliseconds, saturating.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
