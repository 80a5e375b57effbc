//! HTTP/2 streams that make no progress although their connection lives: a client that never opens its window, or never ends its upload.
//!
//! hyper has no deadline for them, and a connection's deadlines do not see them. So every stream's task is polled through [`Executor`], which learns
//! from the bodies what the task waits for ([`note`]), and a task that has waited for the client for too long is dropped: its stream is reset
//! (CANCEL) and all that it holds is free. The others of the connection go on.
//!
//! A stream that never waits for its client costs two stores per poll; one that does has an entry in [`StreamWatch`], which the sweep looks at.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::observe::metrics::Figure;
use common_http::guarded::Clock;
use hyper::rt;

/// What a body tells of its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The answer's head has been given to hyper.
    Answered,
    /// The answer's body gave a piece, or its end: what happens next is up to the client.
    Gave,
    /// The answer's body is held back until the client has taken more ([`super::unsent`]).
    HeldBack,
    /// The answer's body waits for the backend.
    BackendPending,
    /// The request's body gave a piece, or its end: what happens next is up to the backend.
    Got,
    /// The request's body waits for the client.
    ClientPending,
}

/// What happened while one task was polled.
#[derive(Debug, Clone, Copy, Default)]
struct Noted {
    answered: bool,
    gave: bool,
    /// Whether the last look at the answer's body found it waiting for the backend.
    backend_pending: Option<bool>,
    got: bool,
    /// The same of the request's body and the client.
    client_pending: Option<bool>,
}

thread_local! {
    static NOTED: Cell<Noted> = const { Cell::new(Noted { answered: false, gave: false, backend_pending: None, got: false, client_pending: None }) };
}

/// Notes what a body of the task that is being polled does. Without a stream's task nothing comes of it.
pub fn note(event: Event) {
    let mut noted = NOTED.get();
    match event {
        Event::Answered => (noted.answered, noted.backend_pending) = (true, Some(false)),
        Event::Gave => (noted.gave, noted.backend_pending) = (true, Some(false)),
        Event::HeldBack => noted.backend_pending = Some(false),
        Event::BackendPending => noted.backend_pending = Some(true),
        Event::Got => (noted.got, noted.client_pending) = (true, Some(false)),
        Event::ClientPending => noted.client_pending = Some(true),
    }
    NOTED.set(noted);
}

/// How long a stream may wait for its client.
#[derive(Debug, Clone, Copy)]
pub struct StreamDeadlines {
    /// For a body's next piece, or for room for one.
    pub body: Duration,
    /// For the next piece of an upload while the answer is already coming (calls that stream both ways).
    pub both_ways: Duration,
}

/// Streams that wait for their clients.
#[derive(Debug)]
pub struct StreamWatch {
    clock: Clock,
    deadlines: Cell<StreamDeadlines>,
    waiting: RefCell<Vec<Rc<Wait>>>,
    timeouts: Figure,
}

impl StreamWatch {
    /// `clock` is moved on by whoever sweeps; `timeouts` counts what is reset.
    pub fn new(clock: Clock, deadlines: StreamDeadlines, timeouts: Figure) -> Self {
        Self { clock, deadlines: Cell::new(deadlines), waiting: RefCell::default(), timeouts }
    }

    /// Other deadlines from now on (reload).
    pub fn set_deadlines(&self, deadlines: StreamDeadlines) {
        self.deadlines.set(deadlines);
    }

    /// Wakes the tasks whose time is up.
    pub fn sweep(&self) {
        let (now, deadlines) = (self.clock.now(), self.deadlines.get());
        self.waiting.borrow_mut().retain(|wait| {
            if Rc::strong_count(wait) == 1 {
                return false;
            }
            if wait.is_over(now, &deadlines) && !wait.over.replace(true) {
                self.timeouts.up();
                if let Some(waker) = wait.waker.borrow().as_ref() {
                    waker.wake_by_ref();
                }
            }
            true
        });
    }
}

/// What one stream waits for, each since when (milliseconds).
#[derive(Debug, Default)]
struct Wait {
    for_room: Cell<Option<u64>>,
    for_upload: Cell<Option<u64>>,
    answered: Cell<bool>,
    over: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Wait {
    fn is_over(&self, now: u64, deadlines: &StreamDeadlines) -> bool {
        let upload = if self.answered.get() { deadlines.both_ways } else { deadlines.body };
        let missed = |since: Option<u64>, limit: Duration| {
            since.is_some_and(|since| u128::from(now.saturating_sub(since)) >= limit.as_millis())
        };
        missed(self.for_room.get(), deadlines.body) || missed(self.for_upload.get(), upload)
    }

    /// Whether it waits for the client at all after what was noted in a poll that came to no end.
    fn update(&self, noted: Noted, now: u64) -> bool {
        if noted.answered {
            self.answered.set(true);
        }
        match noted.backend_pending {
            Some(true) => self.for_room.set(None),
            Some(false) => self.for_room.set(Some(now)),
            None => {}
        }
        match noted.client_pending {
            Some(true) if noted.got || self.for_upload.get().is_none() => self.for_upload.set(Some(now)),
            Some(false) => self.for_upload.set(None),
            // Who is sent an answer meanwhile is not idle.
            _ if noted.gave && self.for_upload.get().is_some() => self.for_upload.set(Some(now)),
            _ => {}
        }
        self.for_room.get().is_some() || self.for_upload.get().is_some()
    }
}

/// Runs hyper's HTTP/2 streams on this thread, under watch.
#[derive(Debug, Clone)]
pub struct Executor(pub Rc<StreamWatch>);

impl<F: Future<Output = ()> + 'static> rt::Executor<F> for Executor {
    fn execute(&self, future: F) {
        let watch = Rc::clone(&self.0);
        tokio::task::spawn_local(Watched { future: Box::pin(future), watch, wait: None, answered: false });
    }
}

struct Watched<F> {
    future: Pin<Box<F>>,
    watch: Rc<StreamWatch>,
    wait: Option<Rc<Wait>>,
    answered: bool,
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        if me.wait.as_ref().is_some_and(|wait| wait.over.get()) {
            return Poll::Ready(());
        }
        NOTED.set(Noted::default());
        if me.future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        me.note(NOTED.get(), cx);
        Poll::Pending
    }
}

impl<F> Watched<F> {
    fn note(&mut self, noted: Noted, cx: &Context<'_>) {
        self.answered |= noted.answered;
        let now = self.watch.clock.now();
        let wait = match &self.wait {
            Some(wait) => wait,
            None if noted.backend_pending == Some(false) || noted.client_pending == Some(true) => {
                let wait = Rc::new(Wait { answered: Cell::new(self.answered), ..Wait::default() });
                self.watch.waiting.borrow_mut().push(Rc::clone(&wait));
                self.wait.insert(wait)
            }
            None => return,
        };
        let mut waker = wait.waker.borrow_mut();
        if wait.update(noted, now) && !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINES: StreamDeadlines =
        StreamDeadlines { body: Duration::from_millis(100), both_ways: Duration::from_millis(1000) };

    fn noted(events: &[Event]) -> Noted {
        NOTED.set(Noted::default());
        events.iter().for_each(|event| note(*event));
        NOTED.get()
    }

    #[test]
    fn a_client_without_room_is_waited_for_only_so_long() {
        let wait = Wait::default();
        assert!(!wait.update(noted(&[]), 0), "the service is still at work");
        assert!(wait.update(noted(&[Event::Answered]), 10));
        assert!(!wait.is_over(109, &DEADLINES) && wait.is_over(110, &DEADLINES));
        assert!(wait.update(noted(&[Event::Gave]), 105), "progress");
        assert!(wait.update(noted(&[]), 150), "a poll without any");
        assert!(!wait.is_over(204, &DEADLINES) && wait.is_over(205, &DEADLINES));
    }

    #[test]
    fn a_slow_backend_is_not_the_clients_fault() {
        let wait = Wait::default();
        assert!(!wait.update(noted(&[Event::Answered, Event::Gave, Event::BackendPending]), 0));
        assert!(!wait.is_over(1_000_000, &DEADLINES));
    }

    #[test]
    fn uploads_have_a_deadline_and_calls_both_ways_a_longer_one() {
        let wait = Wait::default();
        assert!(wait.update(noted(&[Event::ClientPending]), 0));
        assert!(wait.update(noted(&[Event::ClientPending]), 50), "polled again, still nothing");
        assert!(wait.is_over(100, &DEADLINES));
        wait.update(noted(&[Event::Got, Event::ClientPending]), 90);
        assert!(!wait.is_over(189, &DEADLINES) && wait.is_over(190, &DEADLINES));
        wait.update(noted(&[Event::Answered, Event::BackendPending]), 90);
        assert!(!wait.is_over(1089, &DEADLINES) && wait.is_over(1090, &DEADLINES));
        wait.update(noted(&[Event::Gave, Event::BackendPending]), 500);
        assert!(!wait.is_over(1490, &DEADLINES), "the answer goes on");
        assert!(!wait.update(noted(&[Event::Got]), 600), "the backend's turn");
        assert!(!wait.is_over(1_000_000, &DEADLINES));
    }
}
