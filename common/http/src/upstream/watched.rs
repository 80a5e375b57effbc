//! The deadline of one backend connection: a stamp, a limit and a waker, looked at by [`super::Pool::sweep`].

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use http_body::{Body, Frame, SizeHint};

use crate::guarded::Clock;

#[derive(Debug)]
pub(super) struct Watched {
    clock: Clock,
    /// Moment of the last sign of life.
    since: Cell<u64>,
    /// Milliseconds that may pass; 0 = not watched.
    limit: Cell<u64>,
    expired: Cell<bool>,
    /// The connection's own waker, which knows its present user.
    waker: Waker,
}

impl Watched {
    pub(super) fn new(clock: Clock, waker: Waker) -> Self {
        let since = Cell::new(clock.now());
        Watched { clock, since, limit: Cell::new(0), expired: Cell::new(false), waker }
    }

    /// From now on `limit` milliseconds may pass between signs of life.
    pub(super) fn start(&self, limit: u64) {
        self.limit.set(limit);
        self.touch();
    }

    pub(super) fn stop(&self) {
        self.limit.set(0);
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
        self.waker.wake_by_ref();
        true
    }
}

/// A request body whose progress counts as a sign of life, so that a long upload is not taken for a silent backend.
pub(super) struct Touching<B> {
    pub(super) inner: B,
    pub(super) watched: Rc<Watched>,
}

impl<B: Body + Unpin> Body for Touching<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        if frame.is_ready() {
            self.watched.touch();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
