//! What is known of one server of a pool, and what follows from it: may it be used, and for how much of its weight.
//!
//! Three judgements stand side by side and any of them takes a server out: *ejected* (it failed several times in a row; ends by itself),
//! *down* (health checks fail; ends when they pass) and *draining* (an operator's word; ends by another).

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{EjectionOptions, Options, hash};

/// Open connections.
#[derive(Debug, Default)]
pub(super) struct Load(Cell<usize>);

impl Load {
    pub(super) fn get(&self) -> usize {
        self.0.get()
    }

    pub(super) fn take(&self) {
        self.0.set(self.0.get().saturating_add(1));
    }

    pub(super) fn give_back(&self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) label: Box<str>,
    /// What the consistent hash knows it by: made of the label, so that neither order nor number of servers matters.
    pub(super) id: u64,
    pub(super) weight: u64,
    pub(super) load: Rc<Load>,
    /// Smooth round robin: how much this server is owed.
    pub(super) credit: Cell<i64>,
    health: Cell<Health>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Health {
    failures_in_a_row: u32,
    /// How often it was ejected since it last worked.
    ejections: u32,
    out_until: Option<Instant>,
    down: bool,
    /// Checks in a row that contradict `down`.
    doubts: u32,
    draining: bool,
    /// When it last came back from any of these.
    back_since: Option<Instant>,
}

/// What a health check changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is used again.
    Up,
    /// It is left out.
    Down,
}

/// What the balancer thinks of a server, for `status` and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerStatus {
    /// Its name.
    pub label: Box<str>,
    /// Share beside the others, as configured.
    pub weight: u64,
    /// Percent of its weight that it gets at the moment (slow start).
    pub warm: u64,
    /// Open connections.
    pub active: usize,
    /// Failures since it last worked.
    pub failures_in_a_row: u32,
    /// Left out for this much longer.
    pub ejected_for: Option<Duration>,
    /// Health checks fail.
    pub down: bool,
    /// Gets nothing new by an operator's word.
    pub draining: bool,
}

impl ServerStatus {
    /// How it is, in a few words.
    #[must_use]
    pub fn state(&self) -> String {
        match self.ejected_for {
            _ if self.draining => "draining".to_owned(),
            _ if self.down => "down: health checks fail".to_owned(),
            Some(left) => format!("left out for {} s", left.as_secs()),
            None if self.warm < 100 => format!("warming up, at {} %", self.warm),
            None => "in use".to_owned(),
        }
    }

    /// The same, and what it has under way.
    #[must_use]
    pub fn in_words(&self) -> String {
        format!("{}, {} under way", self.state(), self.active)
    }
}

/// Parts of a weight, so that a server can have less than one.
const WHOLE: u64 = 1000;
/// Least part of its weight that a server gets when it comes back.
const LEAST: u64 = WHOLE / 10;

impl Server {
    /// What `known` says holds on, as far as the options still allow for it.
    pub(super) fn new(label: &str, weight: u16, options: &Options, known: Option<&Server>) -> Self {
        let mut health = match known {
            Some(server) => server.health.get(),
            // One good check is enough at the start.
            None => Health { down: options.start_down, doubts: u32::MAX / 2, ..Health::default() },
        };
        health.down &= options.checked;
        if options.ejection.failures == 0 {
            (health.failures_in_a_row, health.ejections, health.out_until) = (0, 0, None);
        }
        if !health.down && known.is_none() {
            health.doubts = 0;
        }
        Self {
            label: label.into(),
            id: hash::key(label.as_bytes()),
            weight: u64::from(weight.max(1)),
            load: known.map_or_else(Rc::default, |server| Rc::clone(&server.load)),
            credit: Cell::new(0),
            health: Cell::new(health),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Health)) {
        let mut health = self.health.get();
        change(&mut health);
        self.health.set(health);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.health.get().draining
    }

    pub(super) fn is_ejected(&self, now: Instant) -> bool {
        self.health.get().out_until.is_some_and(|until| until > now)
    }

    pub(super) fn is_healthy(&self, now: Instant) -> bool {
        let health = self.health.get();
        !health.down && health.out_until.is_none_or(|until| until <= now)
    }

    /// At the limit; 0 is none.
    pub(super) fn is_full(&self, max: usize) -> bool {
        max > 0 && self.load.get() >= max
    }

    /// Its weight now, in thousandths: grows from a tenth to the whole over `slow_start` after it came back.
    pub(super) fn weight(&self, slow_start: Duration, now: Instant) -> u64 {
        let full = self.weight * WHOLE;
        if slow_start.is_zero() {
            return full;
        }
        let health = self.health.get();
        // The end of an ejection is known beforehand; nobody comes by to note it.
        let Some(since) = health.back_since.max(health.out_until) else { return full };
        let passed = now.saturating_duration_since(since);
        if passed >= slow_start {
            return full;
        }
        let part = passed.as_millis().saturating_mul(u128::from(WHOLE)) / slow_start.as_millis().max(1);
        self.weight * u64::try_from(part).unwrap_or(WHOLE).clamp(LEAST, WHOLE)
    }

    pub(super) fn succeeded(&self, now: Instant) {
        let health = self.health.get();
        if health.failures_in_a_row == 0 && health.ejections == 0 {
            return;
        }
        let back_since = health.out_until.map(|until| until.min(now)).max(health.back_since);
        self.health.set(Health { failures_in_a_row: 0, ejections: 0, out_until: None, back_since, ..health });
    }

    /// `may_eject`: there is room for one more among the ejected.
    pub(super) fn failed(&self, options: &EjectionOptions, may_eject: bool, now: Instant) -> Option<Duration> {
        let mut health = self.health.get();
        health.failures_in_a_row = health.failures_in_a_row.saturating_add(1);
        self.health.set(health);
        if options.failures == 0 || health.failures_in_a_row < options.failures || self.is_ejected(now) || !may_eject {
            return None;
        }
        let doubled = options.first.saturating_mul(1u32.checked_shl(health.ejections).unwrap_or(u32::MAX));
        let pause = doubled.min(options.longest);
        health.ejections = health.ejections.saturating_add(1);
        health.out_until = now.checked_add(pause);
        self.health.set(health);
        self.credit.set(0); // does not come back with a debt or a claim from before
        Some(pause)
    }

    pub(super) fn checked(&self, passed: bool, [rise, fall]: [u32; 2], now: Instant) -> Option<Change> {
        let mut health = self.health.get();
        if passed != health.down {
            health.doubts = 0;
            self.health.set(health);
            return None;
        }
        health.doubts = health.doubts.saturating_add(1);
        let (needed, change) = if passed { (rise, Change::Up) } else { (fall, Change::Down) };
        let turned = health.doubts >= needed;
        if turned {
            health = Health { down: !passed, doubts: 0, ..health };
            if passed {
                health.back_since = Some(now);
            }
            self.credit.set(0);
        }
        self.health.set(health);
        turned.then_some(change)
    }

    pub(super) fn drain(&self, drain: bool, now: Instant) {
        self.credit.set(0);
        self.change(|health| {
            if health.draining && !drain {
                health.back_since = Some(now);
            }
            health.draining = drain;
        });
    }

    pub(super) fn status(&self, slow_start: Duration, now: Instant) -> ServerStatus {
        let health = self.health.get();
        ServerStatus {
            label: self.label.clone(),
            weight: self.weight,
            warm: self.weight(slow_start, now) * 100 / (self.weight * WHOLE).max(1),
            active: self.load.get(),
            failures_in_a_row: health.failures_in_a_row,
            ejected_for: health
                .out_until
                .and_then(|until| until.checked_duration_since(now))
                .filter(|left| !left.is_zero()),
            down: health.down,
            draining: health.draining,
        }
    }
}
