//! The collection TX: counters and notes of one transaction.
//!
//! Variables that rules name in full have numbers and are found without searching; names that rules put together at run time
//! (`tx.paramcounter_%{MATCHED_VAR_NAME}`) go into a list of bounded length.

use std::collections::HashMap;

use crate::ruleset::Names;

/// Variables with names made at run time that one transaction may have; more are not stored.
const MADE: usize = 1024;
/// Bytes of such a name and of any value; what is longer is cut.
const LENGTH: usize = 4096;

/// The values of TX.
#[derive(Debug, Default)]
pub(crate) struct Tx {
    /// By number. The vectors keep their memory when a variable is unset.
    slots: Vec<(bool, Vec<u8>)>,
    /// Names as written, and their values; `None`: unset again.
    made: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// By name in lower case: the place in `made`.
    places: HashMap<Vec<u8>, usize>,
}

impl Tx {
    /// Unsets everything and makes room for `count` numbers.
    pub(crate) fn clear(&mut self, count: usize) {
        for (set, value) in &mut self.slots {
            *set = false;
            value.shrink_to(LENGTH);
        }
        self.slots.resize_with(count, Default::default);
        self.made.clear();
        self.places.clear();
    }

    /// The value of a number.
    pub(crate) fn slot(&self, number: u32) -> Option<&[u8]> {
        self.slots.get(number as usize).filter(|slot| slot.0).map(|slot| slot.1.as_slice())
    }

    /// Sets the value of a number.
    pub(crate) fn set_slot(&mut self, number: u32, value: &[u8]) {
        if let Some((set, slot)) = self.slots.get_mut(number as usize) {
            *set = true;
            slot.clear();
            slot.extend_from_slice(value.get(..LENGTH).unwrap_or(value));
        }
    }

    /// Unsets a number.
    pub(crate) fn unset_slot(&mut self, number: u32) {
        if let Some((set, _)) = self.slots.get_mut(number as usize) {
            *set = false;
        }
    }

    /// The value of a name.
    pub(crate) fn get(&self, names: &Names, name: &[u8]) -> Option<&[u8]> {
        let name = name.to_ascii_lowercase();
        match names.find(&name) {
            Some(number) => self.slot(number),
            None => self.made.get(*self.places.get(&name)?)?.1.as_deref(),
        }
    }

    /// Sets (or, with `None`, unsets) the value of a name.
    pub(crate) fn set(&mut self, names: &Names, name: &[u8], value: Option<&[u8]>) {
        let lower = name.to_ascii_lowercase();
        match (names.find(&lower), value) {
            (Some(number), Some(value)) => self.set_slot(number, value),
            (Some(number), None) => self.unset_slot(number),
            (None, value) => {
                let value = value.map(|value| value.get(..LENGTH).unwrap_or(value).to_vec());
                if let Some(made) = self.places.get(&lower).and_then(|place| self.made.get_mut(*place)) {
                    made.1 = value;
                } else if value.is_some() && self.made.len() < MADE && name.len() <= LENGTH {
                    self.places.insert(lower, self.made.len());
                    self.made.push((name.to_vec(), value));
                }
            }
        }
    }

    /// Everything that is set: names and values.
    pub(crate) fn iter<'a>(&'a self, names: &'a Names) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let numbered = self
            .slots
            .iter()
            .zip(0_u32..)
            .filter(|(slot, _)| slot.0)
            .map(|(slot, number)| (names.name(number), slot.1.as_slice()));
        numbered.chain(self.made.iter().filter_map(|(name, value)| Some((name.as_slice(), value.as_deref()?))))
    }
}
