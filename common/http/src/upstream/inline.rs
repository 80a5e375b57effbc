//! The waker of a connection that is driven inline by the request using it.
//!
//! hyper's two halves of a connection wake each other through the task's waker, although here both are polled one after the other in the
//! same task anyway: each such wake would cost a whole turn of the client's task (two of four per request, counted). So a connection has a waker of its
//! own, which only remembers being woken while we are inside, and passes on what comes from outside (the socket, the sweep) to whoever uses
//! the connection at the moment. Idle connections wake nobody.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Shared with hyper, the reactor and the sweep.
#[derive(Debug, Default)]
struct Relay {
    inside: AtomicBool,
    again: AtomicBool,
    user: Mutex<Option<Waker>>,
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.inside.load(Relaxed) {
            self.again.store(true, Relaxed);
        } else if let Some(user) = self.user.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            user.wake_by_ref();
        }
    }
}

/// More turns than this are left to the scheduler: a connection may also wake itself to give others their share.
const TURNS: usize = 3;

#[derive(Debug)]
pub(super) struct Inline {
    relay: Arc<Relay>,
    waker: Waker,
    /// Our copy of the user's waker, to see without the lock whether it changed.
    user: Option<Waker>,
}

impl Inline {
    pub(super) fn new() -> Self {
        let relay = Arc::new(Relay::default());
        Inline { waker: Waker::from(Arc::clone(&relay)), relay, user: None }
    }

    /// What the connection is polled with.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// From now on wakes are remembered only; until [`Inline::run`] is done with its first turn.
    pub(super) fn enter(&self) {
        self.relay.inside.store(true, Relaxed);
    }

    /// Nobody uses the connection any more.
    pub(super) fn forget_user(&mut self) {
        if self.user.take().is_some() {
            *self.relay.user.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.relay.inside.store(false, Relaxed);
    }

    /// Starts a poll on behalf of `cx`'s task. Everything until [`Turn::end`] counts as inside.
    pub(super) fn begin(&mut self, cx: &Context<'_>) -> Turn {
        if !self.user.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            self.user = Some(cx.waker().clone());
            *self.relay.user.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        }
        self.enter();
        Turn { relay: Arc::clone(&self.relay), turns: 0 }
    }
}

/// One poll in progress.
pub(super) struct Turn {
    relay: Arc<Relay>,
    turns: usize,
}

impl Turn {
    /// Asked after a turn that made no progress for the user: true if the connection woke itself meanwhile and should be tried again at once.
    pub(super) fn again(&mut self) -> bool {
        self.turns += 1;
        self.turns < TURNS && self.relay.again.swap(false, Relaxed)
    }

    /// Ends the poll; a self-wake that was not followed is passed on, unless the user is going to ask again anyway (`Ready`).
    pub(super) fn end<T>(self, outcome: Poll<T>, cx: &Context<'_>) -> Poll<T> {
        self.relay.inside.store(false, Relaxed);
        if self.relay.again.swap(false, Relaxed) && outcome.is_pending() {
            cx.waker().wake_by_ref();
        }
        outcome
    }
}
