//! All deadlines of all client connections, looked at together a few times a second: no timer per request, none per read.
//!
//! [`judge`] is the pure part: stamps in, missed deadline out. A sweep over ten thousand idle connections takes tens of microseconds.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use super::clock::{Clock, millis};
use super::ledger::{Expired, Ledger, Phase};

/// Time limits of client connections. Resolution is the sweep interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From accept to the first byte.
    pub first_byte: Duration,
    /// From the first byte of a head to its last (slowloris).
    pub head: Duration,
    /// Idle between requests.
    pub keep_alive: Duration,
    /// Length of one window of body time, see `body_bytes`. Counted only while *we* wait for the client.
    pub body_window: Duration,
    /// A body must bring this many bytes in each window.
    pub body_bytes: u64,
    /// How long the client may leave our bytes untaken; also the length of one window of waiting for it, see `write_bytes`.
    pub write: Duration,
    /// A client that is waited for all the time must take this many bytes in each window.
    pub write_bytes: u64,
    /// How long we wait for the client to close after a refusal.
    pub linger: Duration,
    /// Idle time between requests after which [`Ledger::may_rest`] says so; `None`: never.
    pub rest: Option<Duration>,
    /// Idle time of a tunnel or an HTTP/2 connection without open streams.
    pub opaque_idle: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Deadlines {
            first_byte: Duration::from_secs(10),
            head: Duration::from_secs(15),
            keep_alive: Duration::from_secs(60),
            body_window: Duration::from_secs(20),
            body_bytes: 1024,
            write: Duration::from_secs(30),
            write_bytes: 1,
            linger: Duration::from_secs(2),
            rest: None,
            opaque_idle: Duration::from_secs(300),
        }
    }
}

/// Good value for the interval between sweeps.
pub const SWEEP_INTERVAL: Duration = Duration::from_millis(250);

/// Every living client connection of this process.
#[derive(Debug)]
pub struct Watch {
    clock: Clock,
    deadlines: std::cell::Cell<Deadlines>,
    ledgers: RefCell<Vec<Arc<Ledger>>>,
}

impl Watch {
    /// `clock` must be moved on by the task that sweeps.
    #[must_use]
    pub fn new(clock: Clock, deadlines: Deadlines) -> Self {
        Watch { clock, deadlines: std::cell::Cell::new(deadlines), ledgers: RefCell::new(Vec::new()) }
    }

    /// A ledger for a new connection; give it to [`super::Guarded::new`]. It is forgotten by itself after the connection is gone.
    #[must_use]
    pub fn ledger(&self) -> Arc<Ledger> {
        let ledger = Arc::new(Ledger::new(self.clock.clone()));
        self.ledgers.borrow_mut().push(Arc::clone(&ledger));
        ledger
    }

    /// New limits for all connections from the next sweep on (reload).
    pub fn set_deadlines(&self, deadlines: Deadlines) {
        self.deadlines.set(deadlines);
    }

    /// Connections that are being watched (those gone since the last sweep included).
    #[must_use]
    pub fn len(&self) -> usize {
        self.ledgers.borrow().len()
    }

    /// No connection at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Looks at every connection once, wakes those whose time is up, forgets those that are gone. Returns how many expired.
    pub fn sweep(&self) -> usize {
        let now = self.clock.now();
        let deadlines = self.deadlines.get();
        let mut expired = 0;
        self.ledgers.borrow_mut().retain(|ledger| {
            // Nobody but us holds it: it was made and never used.
            if ledger.phase() == Phase::Closed || Arc::strong_count(ledger) == 1 {
                return false;
            }
            if let Some(missed) = judge(ledger, &deadlines, now) {
                ledger.expire(missed);
                expired += 1;
            } else if deadlines.rest.is_some_and(|rest| has_rested(ledger, now, millis(rest))) {
                ledger.let_rest();
            }
            true
        });
        expired
    }

    /// Closes idle keep-alive connections now and lets the others end with their present request: the drain of a stopping process.
    /// (hyper's `graceful_shutdown` does the rest.)
    pub fn expire_idle(&self) {
        for ledger in self.ledgers.borrow().iter().filter(|ledger| ledger.is_idle()) {
            ledger.expire(Expired::Idle);
        }
    }
}

/// Nothing has happened for so many milliseconds, and nothing is under way.
fn has_rested(ledger: &Ledger, now: u64, rest: u64) -> bool {
    ledger.is_idle() && ledger.idle(now).is_some_and(|idle| idle >= rest)
}

/// Which deadline has this connection missed?
fn judge(ledger: &Ledger, deadlines: &Deadlines, now: u64) -> Option<Expired> {
    let phase = ledger.phase();
    if phase != Phase::Linger && ledger.write_blocked(now).is_some_and(|t| t >= millis(deadlines.write)) {
        return Some(Expired::Write);
    }
    if phase != Phase::Linger
        && ledger.write_window(now, millis(deadlines.write)).is_some_and(|bytes| bytes < deadlines.write_bytes)
    {
        return Some(Expired::Write);
    }
    match phase {
        Phase::FirstByte => (ledger.in_phase(now) >= millis(deadlines.first_byte)).then_some(Expired::FirstByte),
        Phase::Head => (ledger.in_phase(now) >= millis(deadlines.head)).then_some(Expired::Head),
        Phase::Body => {
            let waiting = ledger.read_wanted.load(std::sync::atomic::Ordering::Relaxed);
            let window = if waiting { millis(deadlines.body_window) } else { 0 };
            let bytes = ledger.body_window(now, window)?;
            (waiting && bytes < deadlines.body_bytes).then_some(Expired::Body)
        }
        Phase::Between => (ledger.idle(now)? >= millis(deadlines.keep_alive)).then_some(Expired::Idle),
        Phase::Opaque => (ledger.idle(now)? >= millis(deadlines.opaque_idle)).then_some(Expired::Idle),
        Phase::Linger => (ledger.in_phase(now) >= millis(deadlines.linger)).then_some(Expired::Linger),
        Phase::Closed => None,
    }
}
