//! Query-of-death guard (decision 0033). What is being answered is noted in memory that outlives the process; the next life reads what
//! the former one left there, and a request that was being answered in two deaths is refused.
//!
//! - [`fingerprint`]: what repetitions of a request have in common.
//! - [`slots`]: the requests in flight of one instance, and which of them is at work in this instant.
//! - [`suspects`]: requests that were in flight at a death, of all instances.
//!
//! A request is charged with a death when it was at work when the process died (its own code ran: a crash, a hang), or, when none was,
//! if it was in flight and had not lived long. It is cleared as soon as one like it has been answered to its end, or has lived
//! long: so what many clients ask for all the time is not refused for the company it was in.

pub mod fingerprint;
pub mod guard;
pub mod slots;
pub mod suspects;

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Instant, SystemTime};

use common::sys::shared::SharedWords;
use http::Request;

use self::fingerprint::{Shown, TEXT};
use self::slots::{Estate, Slots};

/// What memory begins with that this release can read. Another layout, another number.
const LAYOUT: u64 = 0x6271_6f64_0000_0001;
/// Suspects of one death that get a line of their own in the log.
const SHOWN: usize = 16;

/// The journal of this process.
#[derive(Debug)]
pub struct Journal {
    words: &'static [AtomicU64],
    shared: Shared<'static>,
    slots: Slots<'static>,
    key: [u64; 2],
    free: RefCell<Vec<u16>>,
    order: Cell<u64>,
    /// Milliseconds since 1970 at the start, which lives have in common; from there on by the clock that nobody sets.
    began: (u64, Instant),
    now: Cell<u64>,
    /// The suspects as of `seen` changes of the table.
    suspects: RefCell<Vec<(u64, u64)>>,
    seen: Cell<u64>,
}

/// The words that all instances share before the table of suspects.
#[derive(Debug, Clone, Copy)]
struct Shared<'a> {
    layout: &'a AtomicU64,
    release: &'a AtomicU64,
    /// How often the table of suspects was changed.
    changes: &'a AtomicU64,
    key: [&'a AtomicU64; 2],
}

impl<'a> Shared<'a> {
    fn of(words: &'a [AtomicU64]) -> Option<Self> {
        let [layout, release, changes, one, two, ..] = words else { return None };
        Some(Self { layout, release, changes, key: [one, two] })
    }
}

impl Journal {
    /// Opens the journal that the starter keeps, and charges what was in flight when the former life of this instance ended
    /// without goodbye; the number of requests that were charged. Call before the sandbox closes.
    ///
    /// # Errors
    /// It is none, one of another release that is laid out otherwise, or the system gives no random numbers.
    pub fn open(file: impl AsFd, instance: u32, max_deaths: Option<u64>) -> io::Result<(Rc<Self>, u64)> {
        let words = SharedWords::map(file)?.words();
        let number = usize::try_from(instance.saturating_sub(1)).unwrap_or_default();
        let small = || io::Error::other("it is too small");
        let shared = Shared::of(words).ok_or_else(small)?;
        let slots = Slots::of(words, number).ok_or_else(small)?;
        let layout = first(shared.layout, LAYOUT);
        if layout != LAYOUT {
            return Err(io::Error::other("it is of another release; it comes anew when everything is started again"));
        }
        let [one, two] = shared.key;
        let key = [first(one, random()?), first(two, random()?)];
        let epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let began = u64::try_from(epoch.as_millis()).unwrap_or(u64::MAX);
        let release = fingerprint::of_text(env!("CARGO_PKG_VERSION"), key);
        if shared.release.swap(release, Relaxed) != release {
            suspects::clear_all(words); // another release may not die of it
        }
        let estate = slots.inherit(began);
        let journal = Rc::new(Self {
            words,
            shared,
            slots,
            key,
            free: RefCell::new(slots::all_free()),
            order: Cell::new(0),
            began: (began, Instant::now()),
            now: Cell::new(began),
            suspects: RefCell::default(),
            seen: Cell::new(u64::MAX),
        });
        let charged = max_deaths.map_or(0, |max| journal.charge(&estate, max));
        Ok((journal, charged))
    }

    fn charge(&self, estate: &Estate, max: u64) -> u64 {
        if !estate.died {
            return 0;
        }
        let (in_flight, now) = (estate.in_flight, self.now.get());
        // Who is known already first: a full table has a place for him.
        let (known, new): (Vec<_>, Vec<_>) =
            estate.charged.iter().partition(|charged| suspects::knows(self.words, charged.fingerprint, now));
        let mut count = 0;
        for charged in known.into_iter().chain(new) {
            let deaths = suspects::accuse(self.words, charged.fingerprint, &charged.text, now);
            count += u64::from(deaths > 0);
            if deaths == 0 || (count > SHOWN as u64 && deaths < max) {
                continue;
            }
            let (fingerprint, request) = (format!("{:016x}", charged.fingerprint), Shown(&charged.text).to_string());
            let how = if estate.caught { "at work" } else { "in flight" };
            if deaths >= max {
                tracing::warn!(
                    fingerprint,
                    deaths,
                    request,
                    "query of death: {how} when this process died; refused from here on"
                );
            } else {
                tracing::warn!(
                    fingerprint,
                    deaths,
                    request,
                    "{how} when this process died; one more death and it is refused"
                );
            }
        }
        self.changed();
        tracing::warn!(
            "the former life of this process ended without goodbye, {in_flight} requests in flight, {count} suspected"
        );
        count
    }

    /// A request begins.
    fn enter<B>(self: &Rc<Self>, request: &Request<B>, max: u64) -> Admission {
        let fingerprint = fingerprint::of(request, self.key);
        self.refresh();
        if self.deaths(fingerprint).is_some_and(|deaths| deaths >= max) {
            return Admission::Refused(fingerprint);
        }
        let Some(slot) = self.free.borrow_mut().pop() else { return Admission::Full };
        let order = self.order.get() + 1;
        self.order.set(order);
        let text: [u8; TEXT] = fingerprint::describe(request);
        self.slots.fill(slot, fingerprint, order, self.now.get(), &text);
        Admission::Noted(Noted { journal: Rc::clone(self), slot, fingerprint })
    }

    fn deaths(&self, fingerprint: u64) -> Option<u64> {
        let suspects = self.suspects.borrow();
        suspects.iter().find(|(suspect, _)| *suspect == fingerprint).map(|(_, deaths)| *deaths)
    }

    /// Reads the table again if anybody has changed it.
    fn refresh(&self) {
        let changes = self.shared.changes.load(Relaxed);
        if self.seen.replace(changes) != changes {
            *self.suspects.borrow_mut() = suspects::read(self.words, self.now.get());
        }
    }

    fn changed(&self) {
        self.shared.changes.fetch_add(1, Relaxed);
    }

    /// Moves the clock on; suspects fade, and those whose requests have lived long are cleared. Called a few times a second.
    pub fn sweep(&self) {
        let (began, instant) = self.began;
        let now = began.saturating_add(u64::try_from(instant.elapsed().as_millis()).unwrap_or(u64::MAX));
        self.now.set(now);
        self.slots.tick(now);
        if self.suspects.borrow().is_empty() {
            return;
        }
        for fingerprint in self.slots.old(now).filter(|fingerprint| self.deaths(*fingerprint).is_some()) {
            suspects::clear(self.words, fingerprint);
            self.changed();
        }
        self.seen.set(self.shared.changes.load(Relaxed).wrapping_sub(1));
        self.refresh();
    }

    /// Nobody is under suspicion any more: the configuration has changed.
    pub fn pardon(&self) {
        suspects::clear_all(self.words);
        self.changed();
    }

    /// This process was told to finish: how it ends says nothing about its requests.
    pub fn goodbye(&self) {
        self.slots.goodbye();
    }
}

/// What is in a word, or this where nobody has written to it.
fn first(word: &AtomicU64, value: u64) -> u64 {
    word.compare_exchange(0, value, Relaxed, Relaxed).map_or_else(|there| there, |_| value)
}

fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(u64::from_ne_bytes(bytes) | 1) // 0 is "not written"
}

/// What becomes of a request at its beginning.
#[derive(Debug)]
enum Admission {
    Noted(Noted),
    /// There is no place to note it in.
    Full,
    /// By its fingerprint.
    Refused(u64),
}

/// A request that is noted as long as this lives.
#[derive(Debug)]
pub struct Noted {
    journal: Rc<Journal>,
    slot: u16,
    fingerprint: u64,
}

impl Noted {
    /// It was answered to its end: it does not kill.
    pub fn answered(&self) {
        self.journal.refresh();
        if self.journal.deaths(self.fingerprint).is_some() && suspects::clear(self.journal.words, self.fingerprint) {
            tracing::info!(
                fingerprint = format!("{:016x}", self.fingerprint),
                "answered to its end: no longer suspected"
            );
            self.journal.changed();
        }
    }

    /// For threads that work for it.
    pub fn mark(&self) -> Mark {
        Mark { helpers: self.journal.slots.helpers(), fingerprint: self.fingerprint }
    }

    /// Its own code runs until what is returned is dropped.
    pub fn at_work(&self) -> AtWork<'_> {
        AtWork { slots: &self.journal.slots, before: self.journal.slots.works(self.slot) }
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.journal.slots.empty(self.slot);
        self.journal.free.borrow_mut().push(self.slot);
    }
}

/// A request for which a helper thread works, also when its client has left.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    helpers: &'static [AtomicU64],
    fingerprint: u64,
}

impl Mark {
    /// The helper of this number works for it until what is returned is dropped.
    pub fn at_work(self, helper: usize) -> Option<Helping> {
        let word = self.helpers.get(helper)?;
        word.store(self.fingerprint, Relaxed);
        Some(Helping(word))
    }
}

/// See [`Mark::at_work`].
#[derive(Debug)]
pub struct Helping(&'static AtomicU64);

impl Drop for Helping {
    fn drop(&mut self) {
        self.0.store(0, Relaxed);
    }
}

/// See [`Noted::at_work`].
#[derive(Debug)]
pub struct AtWork<'a> {
    slots: &'a Slots<'static>,
    before: u64,
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.slots.rests(self.before);
    }
}

#[cfg(test)]
mod tests;
