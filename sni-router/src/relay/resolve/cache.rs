//! Answers that are still good, and lookups that somebody else is already making. Pure but for the channel that wakes the followers.
//!
//! hickory has a cache, too, but asking it costs microseconds and two lookups for one name become two questions; a relay asks for the same few names
//! for every connection. The table is bounded, and a name never lives longer here than its TTL says (what is kept beyond that is only the last resort
//! of [`Cache::stale`]).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{Purpose, ResolveError};

/// Names kept at most.
pub(super) const MOST_NAMES: usize = 4096;
/// Lookups in flight at most; beyond that the answer is [`ResolveError::Busy`].
pub(super) const MOST_LOOKUPS: usize = 256;
/// For how long an answer may serve after its time when the name servers do not answer (RFC 8767 §5 suggests 1 to 3 days; we are more careful).
const STALE_FOR: Duration = Duration::from_secs(3600);
/// After a stale answer the name servers are left alone for this long (RFC 8767 §5: at least 30 s between attempts; ours are cheaper).
const STALE_PAUSE: Duration = Duration::from_secs(5);

/// A name together with what it is looked up for: search domains give the same text different meanings.
pub(super) type Key = (String, Purpose);
pub(super) type Answer = Result<Arc<[IpAddr]>, ResolveError>;

#[derive(Default)]
pub(super) struct Cache {
    known: HashMap<Key, Known>,
    in_flight: HashMap<Key, watch::Receiver<Option<Answer>>>,
}

struct Known {
    addresses: Arc<[IpAddr]>,
    valid_until: Instant,
    /// The end of the TTL, which `valid_until` outlives when the answer is served stale.
    fresh_until: Instant,
}

/// What to do about a name.
pub(super) enum Next {
    Known(Arc<[IpAddr]>),
    /// Somebody asks already: wait for their answer. If their channel closes without one, ask again.
    Follow(watch::Receiver<Option<Answer>>),
    /// Ask, and tell the others through this.
    Lead(watch::Sender<Option<Answer>>),
    Busy,
}

impl Cache {
    pub(super) fn next(&mut self, key: &Key, now: Instant) -> Next {
        if let Some(known) = self.known.get(key)
            && known.valid_until > now
        {
            return Next::Known(known.addresses.clone());
        }
        if let Some(flight) = self.in_flight.get(key) {
            return Next::Follow(flight.clone());
        }
        if self.in_flight.len() >= MOST_LOOKUPS {
            return Next::Busy;
        }
        let (sender, receiver) = watch::channel(None);
        self.in_flight.insert(key.clone(), receiver);
        Next::Lead(sender)
    }

    pub(super) fn landed(&mut self, key: &Key) {
        self.in_flight.remove(key);
    }

    pub(super) fn store(&mut self, key: Key, addresses: Arc<[IpAddr]>, valid_until: Instant, now: Instant) {
        if self.known.len() >= MOST_NAMES && !self.known.contains_key(&key) {
            self.make_room(now);
        }
        self.known.insert(key, Known { addresses, valid_until, fresh_until: valid_until });
    }

    /// The name servers do not answer: the last answer, if it is not too old. It then counts as good for a short while.
    pub(super) fn stale(&mut self, key: &Key, now: Instant) -> Option<Arc<[IpAddr]>> {
        let known = self.known.get_mut(key)?;
        let too_old = known.fresh_until.checked_add(STALE_FOR)?;
        if now >= too_old {
            return None;
        }
        known.valid_until = now.checked_add(STALE_PAUSE)?.min(too_old);
        Some(known.addresses.clone())
    }

    /// Forgets what is past its time; if that is nothing, the quarter that would expire first.
    fn make_room(&mut self, now: Instant) {
        self.known.retain(|_, known| known.valid_until > now);
        if self.known.len() < MOST_NAMES {
            return;
        }
        let mut ends: Vec<Instant> = self.known.values().map(|known| known.valid_until).collect();
        ends.sort_unstable();
        if let Some(limit) = ends.get(ends.len() / 4).copied() {
            self.known.retain(|_, known| known.valid_until > limit);
        }
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.known.len(), self.in_flight.len())
    }
}
