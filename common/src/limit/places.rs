//! How many requests of one key are being answered at once. A key is kept only while one of its requests is, so the connections and streams
//! that are allowed bound the memory.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::key::Key;

/// Places for the requests of each key. Clones share them.
#[derive(Debug, Clone)]
pub struct Places {
    taken: Rc<RefCell<HashMap<Key, u32>>>,
    max: u32,
}

/// A place; dropping it frees it.
#[derive(Debug)]
#[must_use = "dropping it frees the place"]
pub struct Place {
    taken: Rc<RefCell<HashMap<Key, u32>>>,
    key: Key,
}

impl Places {
    /// `max` places for each key.
    #[must_use]
    pub fn new(max: u32) -> Self {
        Places { taken: Rc::default(), max }
    }

    /// Takes a place; `None` when the key holds all of its own.
    #[must_use]
    pub fn enter(&self, key: Key) -> Option<Place> {
        let mut taken = self.taken.borrow_mut();
        let count = taken.entry(key).or_insert(0);
        if *count >= self.max {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Place { taken: Rc::clone(&self.taken), key })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.borrow_mut();
        if let Some(count) = taken.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn places_come_back_and_leave_nothing_behind() {
        let places = Places::new(2);
        let (one, two) = (Key(1, 1), Key(1, 2));
        let held = [places.enter(one).unwrap(), places.enter(one).unwrap()];
        assert!(places.enter(one).is_none());
        let other = places.enter(two).unwrap();
        drop(held);
        assert!(places.enter(one).is_some());
        drop(other);
        assert!(places.taken.borrow().is_empty());
    }
}
