//! What a connection's two halves know of each other: [`super::Guarded`] (below hyper) writes down what it lets pass, the service (above hyper)
//! takes one verdict per request, and [`super::Watch`] (beside both) looks at the stamps and says when time is up.
//!
//! hyper lies between them and wants its I/O to be `Send` for upgrades, so this is an `Arc` of atomics, although one thread uses it: every
//! access is a plain load or store. The only lock holds the waker and is taken when that changes or time is up.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Waker};

use super::clock::Clock;
use crate::framing::Violation;
use crate::h2_guard::Flood;

/// Where a connection stands, as the deadlines see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Accepted; nothing has come.
    FirstByte = 0,
    /// A head has begun and is not whole.
    Head = 1,
    /// A body is coming.
    Body = 2,
    /// Between requests, or a request is being answered.
    Between = 3,
    /// No longer HTTP/1: a tunnel, a WebSocket, or HTTP/2 under [`super::Guarded::h2`].
    Opaque = 4,
    /// Said good-bye; waiting a moment for the client to read it.
    Linger = 5,
    /// Gone.
    Closed = 6,
}

/// Which deadline a connection missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Expired {
    /// No first byte after accept.
    FirstByte = 1,
    /// The head was not whole in time (slowloris).
    Head = 2,
    /// The body stalled, or came too slowly.
    Body = 3,
    /// Idle between requests.
    Idle = 4,
    /// The client did not take our bytes.
    Write = 5,
    /// The client did not close after our good-bye.
    Linger = 6,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Switch {
    Undecided = 0,
    StayHttp = 1,
    Opaque = 2,
}

/// The verdict on one request head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadVerdict {
    /// The request is what the client sent; handle it.
    Accepted,
    /// The request hyper shows is a stand-in: answer with the violation's status and close.
    Refused(Violation),
}

/// Shared state of one client connection. See the module's words.
#[derive(Debug)]
pub struct Ledger {
    pub(super) clock: Clock,
    passed: AtomicU64,
    taken: AtomicU64,
    in_flight: AtomicU64,
    phase: AtomicU8,
    phase_since: AtomicU64,
    /// Milliseconds that the last head took to come.
    head_took: AtomicU64,
    /// Last byte in either direction, or end of an answer.
    active: AtomicU64,
    /// The reader waits for bytes that have not come (so a stall is the client's).
    pub(super) read_wanted: AtomicBool,
    /// Bytes of body since `body_window`.
    body_bytes: AtomicU64,
    body_window: AtomicU64,
    /// The connection has been idle for long enough to rest.
    rest: AtomicBool,
    /// The writer waits for the client to take bytes.
    write_wanted: AtomicBool,
    /// Bytes taken since `write_window`.
    write_bytes: AtomicU64,
    write_window: AtomicU64,
    /// Moment since when the client has not taken a byte, plus one; 0 = not blocked.
    write_blocked: AtomicU64,
    expired: AtomicU8,
    switch: AtomicU8,
    /// Ordinal of the request after which another protocol may begin; 0 = none.
    may_switch: AtomicU64,
    violation: OnceLock<Violation>,
    flood: OnceLock<Flood>,
    waker: Mutex<Option<Waker>>,
}

impl Ledger {
    pub(super) fn new(clock: Clock) -> Self {
        let now = clock.now();
        Ledger {
            clock,
            passed: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            phase: AtomicU8::new(Phase::FirstByte as u8),
            phase_since: AtomicU64::new(now),
            head_took: AtomicU64::new(0),
            active: AtomicU64::new(now),
            read_wanted: AtomicBool::new(false),
            body_bytes: AtomicU64::new(0),
            body_window: AtomicU64::new(now),
            rest: AtomicBool::new(false),
            write_wanted: AtomicBool::new(false),
            write_bytes: AtomicU64::new(0),
            write_window: AtomicU64::new(now),
            write_blocked: AtomicU64::new(0),
            expired: AtomicU8::new(0),
            switch: AtomicU8::new(Switch::Undecided as u8),
            may_switch: AtomicU64::new(0),
            violation: OnceLock::new(),
            flood: OnceLock::new(),
            waker: Mutex::new(None),
        }
    }

    /// Called by the service once per request, in order, before anything else: is this request real?
    /// The [`Exchange`] must live until the answer's last byte has been given to hyper; it keeps the connection from counting as idle.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> Exchange {
        let taken = bump(&self.taken);
        bump(&self.in_flight);
        let verdict = match self.violation.get() {
            Some(violation) if taken > self.passed.load(Relaxed) => HeadVerdict::Refused(*violation),
            _ => HeadVerdict::Accepted,
        };
        Exchange { ledger: Arc::clone(self), verdict, ordinal: taken }
    }

    /// Keeps the connection from counting as idle as long as the returned value lives: one of its streams is a tunnel.
    #[must_use]
    pub fn hold(self: &Arc<Self>) -> Exchange {
        bump(&self.in_flight);
        Exchange { ledger: Arc::clone(self), verdict: HeadVerdict::Accepted, ordinal: u64::MAX }
    }

    /// The clock of its watch.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The violation that ended this connection's input, if any; also for those found where no request can be answered any more.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        self.violation.get().copied()
    }

    /// The deadline this connection missed, if any.
    #[must_use]
    pub fn expired(&self) -> Option<Expired> {
        Some(match self.expired.load(Relaxed) {
            1 => Expired::FirstByte,
            2 => Expired::Head,
            3 => Expired::Body,
            4 => Expired::Idle,
            5 => Expired::Write,
            6 => Expired::Linger,
            _ => return None,
        })
    }

    /// Number of requests whose head was let through.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.passed.load(Relaxed)
    }

    /// No request is being answered and none is arriving: may be closed at any moment without loss.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.in_flight.load(Relaxed) == 0 && matches!(self.phase(), Phase::FirstByte | Phase::Between)
    }

    /// The flood that ended this HTTP/2 connection, if any.
    #[must_use]
    pub fn flood(&self) -> Option<Flood> {
        self.flood.get().copied()
    }

    pub(super) fn flooded(&self, flood: Flood) {
        let _ = self.flood.set(flood);
    }

    /// The connection has been idle for a while and nothing waits to be written: whatever serves it may be dropped until bytes come.
    #[must_use]
    pub fn may_rest(&self) -> bool {
        self.rest.load(Relaxed) && self.is_idle() && !self.write_wanted.load(Relaxed)
    }

    /// Nothing of what has come so far waits for an answer, and no answer for the client: another process may go on with the connection.
    /// (A head that has begun to come waits in the guard and can go along.)
    #[must_use]
    pub fn may_move(&self) -> bool {
        self.in_flight.load(Relaxed) == 0
            && self.taken.load(Relaxed) == self.passed.load(Relaxed)
            && matches!(self.phase(), Phase::FirstByte | Phase::Head | Phase::Between)
            && !self.write_wanted.load(Relaxed)
            && self.violation.get().is_none()
            && self.expired().is_none()
    }

    /// The connection has brought so many requests already, in another process.
    pub fn go_on_after(&self, requests: u64) {
        self.passed.store(requests, Relaxed);
        self.taken.store(requests, Relaxed);
        if requests > 0 {
            self.enter(Phase::Between);
        }
    }

    /// The rest is over.
    pub fn resume(&self) {
        self.rest.store(false, Relaxed);
    }

    /// Tells the connection's task, once, that it may rest.
    pub(super) fn let_rest(&self) {
        if !self.rest.load(Relaxed) {
            self.rest.store(true, Relaxed);
            self.wake();
        }
    }

    pub(super) fn pass_head(&self) {
        bump(&self.passed);
        let took = if self.phase() == Phase::Head { self.in_phase(self.clock.now()) } else { 0 };
        self.head_took.store(took, Relaxed);
    }

    /// Milliseconds from the first byte of the last head to its end, by the coarse clock: 0 unless a sweep lay between.
    #[must_use]
    pub fn head_took(&self) -> u64 {
        self.head_took.load(Relaxed)
    }

    pub(super) fn refuse(&self, violation: Violation) {
        let _ = self.violation.set(violation);
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::FirstByte,
            1 => Phase::Head,
            2 => Phase::Body,
            3 => Phase::Between,
            4 => Phase::Opaque,
            5 => Phase::Linger,
            _ => Phase::Closed,
        }
    }

    pub(super) fn enter(&self, phase: Phase) {
        if self.phase.load(Relaxed) == phase as u8 {
            return;
        }
        let now = self.clock.now();
        self.phase.store(phase as u8, Relaxed);
        self.phase_since.store(now, Relaxed);
        if phase == Phase::Body {
            self.body_window.store(now, Relaxed);
            self.body_bytes.store(0, Relaxed);
        }
    }

    /// Milliseconds spent in the present phase.
    pub(super) fn in_phase(&self, now: u64) -> u64 {
        now.saturating_sub(self.phase_since.load(Relaxed))
    }

    /// Milliseconds without a byte in either direction; `None` while a request is being answered.
    pub(super) fn idle(&self, now: u64) -> Option<u64> {
        (self.in_flight.load(Relaxed) == 0).then(|| now.saturating_sub(self.active.load(Relaxed)))
    }

    pub(super) fn touch(&self) {
        self.active.store(self.clock.now(), Relaxed);
    }

    pub(super) fn add_body(&self, bytes: usize) {
        let sum = self.body_bytes.load(Relaxed).saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.body_bytes.store(sum, Relaxed);
    }

    /// Closes one window of `length` milliseconds: bytes that came in it, or `None` while it is not over.
    pub(super) fn body_window(&self, now: u64, length: u64) -> Option<u64> {
        if now.saturating_sub(self.body_window.load(Relaxed)) < length {
            return None;
        }
        self.body_window.store(now, Relaxed);
        let bytes = self.body_bytes.load(Relaxed);
        self.body_bytes.store(0, Relaxed);
        Some(bytes)
    }

    pub(super) fn write_progress(&self, bytes: usize) {
        self.write_wanted.store(false, Relaxed);
        self.write_blocked.store(0, Relaxed);
        let sum = self.write_bytes.load(Relaxed).saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.write_bytes.store(sum, Relaxed);
    }

    /// Nothing that was written waits for the client any more.
    pub(super) fn flushed(&self) {
        if self.write_wanted.load(Relaxed) {
            self.write_progress(0);
        }
    }

    /// Closes one window of `length` milliseconds in which the client was waited for: bytes that it took, or `None` while it is not over.
    /// It begins anew when nobody waits.
    pub(super) fn write_window(&self, now: u64, length: u64) -> Option<u64> {
        let waits = self.write_wanted.load(Relaxed);
        if waits && now.saturating_sub(self.write_window.load(Relaxed)) < length {
            return None;
        }
        self.write_window.store(now, Relaxed);
        let bytes = self.write_bytes.load(Relaxed);
        self.write_bytes.store(0, Relaxed);
        waits.then_some(bytes)
    }

    pub(super) fn write_blocks(&self) {
        self.write_wanted.store(true, Relaxed);
        if self.write_blocked.load(Relaxed) == 0 {
            self.write_blocked.store(self.clock.now().saturating_add(1), Relaxed);
        }
    }

    /// Milliseconds since the client last took a byte that we wanted to give.
    pub(super) fn write_blocked(&self, now: u64) -> Option<u64> {
        let since = self.write_blocked.load(Relaxed).checked_sub(1)?;
        Some(now.saturating_sub(since))
    }

    /// Time is up: notes it once and wakes the connection's task, which acts on it.
    pub(super) fn expire(&self, expired: Expired) {
        if self.expired.load(Relaxed) == 0 || expired == Expired::Linger {
            self.expired.store(expired as u8, Relaxed);
            self.wake();
        }
    }

    pub(super) fn switch(&self) -> Switch {
        match self.switch.load(Relaxed) {
            1 => Switch::StayHttp,
            2 => Switch::Opaque,
            _ => Switch::Undecided,
        }
    }

    /// The head just let through may switch protocols: its exchange decides.
    pub(super) fn await_switch(&self) {
        self.may_switch.store(self.passed.load(Relaxed), Relaxed);
        self.switch.store(Switch::Undecided as u8, Relaxed);
    }

    fn decide(&self, ordinal: u64, switch: Switch) {
        if self.may_switch.load(Relaxed) == ordinal && self.switch() == Switch::Undecided {
            self.switch.store(switch as u8, Relaxed);
            self.wake();
        }
    }

    /// `known` is the caller's own copy of the waker, so that the lock is taken only when the task changed.
    pub(super) fn register(&self, known: &mut Option<Waker>, cx: &Context<'_>) {
        if known.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return;
        }
        *known = Some(cx.waker().clone());
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
    }

    fn wake(&self) {
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = waker.as_ref() {
            waker.wake_by_ref();
        }
    }
}

/// One thread writes; so no read-modify-write instruction is needed.
fn bump(counter: &AtomicU64) -> u64 {
    let next = counter.load(Relaxed).saturating_add(1);
    counter.store(next, Relaxed);
    next
}

/// One request from its head to the last byte of its answer. Dropping it says "answered".
#[derive(Debug)]
pub struct Exchange {
    ledger: Arc<Ledger>,
    verdict: HeadVerdict,
    ordinal: u64,
}

impl Exchange {
    /// What the framing said about the head.
    #[must_use]
    pub fn verdict(&self) -> HeadVerdict {
        self.verdict
    }

    /// Which request of its connection it is, from 1.
    #[must_use]
    pub fn ordinal(&self) -> u64 {
        self.ordinal
    }

    /// The connection's ledger.
    #[must_use]
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// The answer switches protocols (101, or 2xx to CONNECT): from here on all bytes pass unread. Call it before giving the answer to hyper.
    pub fn switch_protocols(&self) {
        self.ledger.decide(self.ordinal, Switch::Opaque);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let left = self.ledger.in_flight.load(Relaxed).saturating_sub(1);
        self.ledger.in_flight.store(left, Relaxed);
        self.ledger.touch();
        self.ledger.decide(self.ordinal, Switch::StayHttp);
    }
}
