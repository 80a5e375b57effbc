//! The deadline of one backend connection: a stamp, a limit and a waker, looked at by [`super::Pool::sweep`].

use std::cell::{Cell, RefCell};
use std::task::Waker;

use crate::guarded::Clock;

#[derive(Debug)]
pub(super) struct Watched {
    clock: Clock,
    /// Moment of the last sign of life.
    since: Cell<u64>,
    /// Milliseconds that may pass; 0 = not watched.
    limit: Cell<u64>,
    expired: Cell<bool>,
    /// Whoever uses the connection at the moment.
    user: RefCell<Option<Waker>>,
}

impl Watched {
    pub(super) fn new(clock: Clock) -> Self {
        let since = Cell::new(clock.now());
        Watched { clock, since, limit: Cell::new(0), expired: Cell::new(false), user: RefCell::new(None) }
    }

    /// From now on `limit` milliseconds may pass between signs of life.
    pub(super) fn start(&self, limit: u64) {
        self.limit.set(limit);
        self.touch();
    }

    pub(super) fn stop(&self) {
        self.limit.set(0);
        *self.user.borrow_mut() = None;
    }

    /// Whom to wake when the time is up.
    pub(super) fn wakes(&self, waker: &Waker) {
        let mut user = self.user.borrow_mut();
        if !user.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *user = Some(waker.clone());
        }
    }

    pub(super) fn touch(&self) {
        self.since.set(self.clock.now());
    }

    pub(super) fn expired(&self) -> bool {
        self.expired.get()
    }

    /// Returns whether this call found the deadline missed.
    pub(super) fn sweep(&self, now: u64) -> bool {
        let limit = self.limit.get();
        if limit == 0 || self.expired.get() || now.saturating_sub(self.since.get()) < limit {
            return false;
        }
        self.expired.set(true);
        if let Some(user) = self.user.borrow().as_ref() {
            user.wake_by_ref();
        }
        true
    }
}
