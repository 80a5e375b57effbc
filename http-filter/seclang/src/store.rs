//! Collections that outlive a transaction: IP, GLOBAL, SESSION, USER, RESOURCE, written by `setvar`, limited in number, size and time.
//!
//! The clock is the caller's: seconds that never run backwards, handed in with every transaction. Nothing is written to disk.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::operator::number;
use crate::variable::Variable;

/// Bytes of a key, a name or a value; longer ones are not stored.
const LENGTH: usize = 1024;
/// Variables of one record.
const VARIABLES: usize = 64;
/// Records that are looked at for one to throw out when the store is full.
const SAMPLE: usize = 16;

/// A record's collection and key, such as IP and a client address.
pub(crate) type Key = (Variable, Vec<u8>);

/// What becomes of a variable's old value; `None` unsets it.
pub(crate) type Change<'a> = dyn FnMut(Option<&[u8]>) -> Option<Vec<u8>> + 'a;

/// The records of all persistent collections. Share it (`Arc`) between transactions, also of several threads.
#[derive(Debug)]
pub struct Store {
    capacity: usize,
    records: Mutex<HashMap<Key, Record>>,
}

#[derive(Debug, Default)]
struct Record {
    /// When the record was last written, and when it is over.
    used: u64,
    until: u64,
    variables: Vec<Stored>,
}

#[derive(Debug)]
struct Stored {
    name: Vec<u8>,
    value: Vec<u8>,
    expires: Option<u64>,
    /// `deprecatevar`: the amount by which the value falls in a number of seconds, counted from a moment.
    falls: Option<(u64, u64, u64)>,
}

impl Store {
    /// A store for at most `capacity` records (one per collection and key, such as a client address). Some 200 bytes each and their values.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), records: Mutex::default() }
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Record>> {
        // A panic while the lock is held leaves a record half written at worst; its numbers are counters, not secrets.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows all variables of a record that are still valid.
    pub(crate) fn read(&self, key: &Key, now: u64, show: &mut dyn FnMut(&[u8], &[u8])) {
        let mut records = self.lock();
        let Some(record) = records.get_mut(key) else { return };
        if record.until <= now {
            records.remove(key);
            return;
        }
        record.settle(now);
        for stored in &record.variables {
            show(&stored.name, &stored.value);
        }
    }

    /// Changes one variable: `change` gets the old value and returns the new one, `None` to unset it.
    pub(crate) fn change(&self, key: &Key, name: &[u8], now: u64, timeout: u64, change: &mut Change<'_>) {
        if key.1.len() > LENGTH || name.len() > LENGTH {
            return;
        }
        let mut records = self.lock();
        if !records.contains_key(key) && records.len() >= self.capacity {
            make_room(&mut records, now);
        }
        let record = records.entry(key.clone()).or_default();
        if record.until <= now {
            record.variables.clear();
        }
        record.settle(now);
        record.used = now;
        record.until = now.saturating_add(timeout);
        let at = record.variables.iter().position(|stored| stored.name.eq_ignore_ascii_case(name));
        let new = change(at.and_then(|at| record.variables.get(at)).map(|stored| stored.value.as_slice()));
        match (at, new) {
            (Some(at), None) => {
                record.variables.swap_remove(at);
            }
            (Some(at), Some(value)) if value.len() <= LENGTH => {
                if let Some(stored) = record.variables.get_mut(at) {
                    stored.value = value;
                }
            }
            (None, Some(value)) if value.len() <= LENGTH && record.variables.len() < VARIABLES => {
                record.variables.push(Stored { name: name.to_vec(), value, expires: None, falls: None });
            }
            _ => {}
        }
    }

    /// Lets a variable end at `at`.
    pub(crate) fn expire(&self, key: &Key, name: &[u8], at: u64) {
        self.stored(key, name, |stored| stored.expires = Some(at));
    }

    /// Lets a variable fall by `amount` every `seconds`.
    pub(crate) fn deprecate(&self, key: &Key, name: &[u8], amount: u64, seconds: u64, now: u64) {
        self.stored(key, name, |stored| {
            let since = stored.falls.map_or(now, |(_, _, since)| since);
            stored.falls = Some((amount, seconds, since));
        });
    }

    fn stored(&self, key: &Key, name: &[u8], change: impl FnOnce(&mut Stored)) {
        let mut records = self.lock();
        let stored = records
            .get_mut(key)
            .and_then(|record| record.variables.iter_mut().find(|stored| stored.name.eq_ignore_ascii_case(name)));
        if let Some(stored) = stored {
            change(stored);
        }
    }
}

impl Record {
    /// Drops what has expired and lowers what falls.
    fn settle(&mut self, now: u64) {
        self.variables.retain(|stored| stored.expires.is_none_or(|at| at > now));
        for stored in &mut self.variables {
            let Some((amount, seconds, since)) = &mut stored.falls else { continue };
            let steps = now.saturating_sub(*since) / *seconds;
            if steps > 0 {
                *since += steps * *seconds;
                let fall = i64::try_from(steps.saturating_mul(*amount)).unwrap_or(i64::MAX);
                stored.value = number::parse(&stored.value).saturating_sub(fall).max(0).to_string().into_bytes();
            }
        }
    }
}

/// Throws out one record: one that is over, else the one of a few that was not used for longest.
fn make_room(records: &mut HashMap<Key, Record>, now: u64) {
    let oldest =
        records.iter().take(SAMPLE).min_by_key(|(_, record)| if record.until <= now { 0 } else { record.used });
    if let Some(key) = oldest.map(|(key, _)| key.clone()) {
        records.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(store: &Store, key: &Key, name: &str, now: u64) -> Option<String> {
        let mut found = None;
        store.read(key, now, &mut |own, value| {
            if own == name.as_bytes() {
                found = Some(String::from_utf8_lossy(value).into_owned());
            }
        });
        found
    }

    fn add(store: &Store, key: &Key, name: &str, now: u64) {
        store.change(key, name.as_bytes(), now, 100, &mut |old| {
            Some((number::parse(old.unwrap_or_default()) + 1).to_string().into_bytes())
        });
    }

    #[test]
    fn counters_count_expire_and_fall() {
        let store = Store::new(10);
        let key = (Variable::Ip, b"192.0.2.1".to_vec());
        add(&store, &key, "a", 0);
        add(&store, &key, "a", 1);
        assert_eq!(value(&store, &key, "a", 2).as_deref(), Some("2"));
        store.expire(&key, b"a", 5);
        assert_eq!(value(&store, &key, "a", 4).as_deref(), Some("2"));
        assert_eq!(value(&store, &key, "a", 5), None);
        store.change(&key, b"b", 10, 100, &mut |_| Some(b"100".to_vec()));
        store.deprecate(&key, b"b", 30, 10, 10);
        assert_eq!(value(&store, &key, "b", 19).as_deref(), Some("100"));
        assert_eq!(value(&store, &key, "b", 30).as_deref(), Some("40"));
        assert_eq!(value(&store, &key, "b", 90).as_deref(), Some("0"));
        assert_eq!(value(&store, &key, "b", 110), None, "the record is over 100 seconds after it was last written");
    }

    #[test]
    fn the_number_of_records_is_bounded() {
        let store = Store::new(3);
        for client in 0..100_u64 {
            add(&store, &(Variable::Ip, client.to_string().into_bytes()), "a", client);
            assert!(store.len() <= 3);
        }
        assert_eq!(value(&store, &(Variable::Ip, b"99".to_vec()), "a", 99).as_deref(), Some("1"));
    }
}
