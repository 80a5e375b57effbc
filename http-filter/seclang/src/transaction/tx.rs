//! The collection TX: counters and notes of one transaction.
//!
//! Variables that rules name in full have numbers and are found without searching; names that rules put together at run time
//! (`tx.paramcounter_%{MATCHED_VAR_NAME}`) go into a list of bounded length.

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
    /// Name as written, value.
    made: Vec<(Vec<u8>, Vec<u8>)>,
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
        match names.find(&name.to_ascii_lowercase()) {
            Some(number) => self.slot(number),
            None => self.made.iter().find(|made| made.0.eq_ignore_ascii_case(name)).map(|made| made.1.as_slice()),
        }
    }

    /// Sets (or, with `None`, unsets) the value of a name.
    pub(crate) fn set(&mut self, names: &Names, name: &[u8], value: Option<&[u8]>) {
        match (names.find(&name.to_ascii_lowercase()), value) {
            (Some(number), Some(value)) => self.set_slot(number, value),
            (Some(number), None) => self.unset_slot(number),
            (None, None) => self.made.retain(|made| !made.0.eq_ignore_ascii_case(name)),
            (None, Some(value)) => {
                let value = value.get(..LENGTH).unwrap_or(value);
                if let Some(made) = self.made.iter_mut().find(|made| made.0.eq_ignore_ascii_case(name)) {
                    made.1.clear();
                    made.1.extend_from_slice(value);
                } else if self.made.len() < MADE && name.len() <= LENGTH {
                    self.made.push((name.to_vec(), value.to_vec()));
                }
            }
        }
    }

    /// How many names were made at run time.
    pub(crate) fn made(&self) -> usize {
        self.made.len()
    }

    /// Everything that is set: names and values.
    pub(crate) fn iter<'a>(&'a self, names: &'a Names) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let numbered = self
            .slots
            .iter()
            .zip(0_u32..)
            .filter(|(slot, _)| slot.0)
            .map(|(slot, number)| (names.name(number), slot.1.as_slice()));
        numbered.chain(self.made.iter().map(|(name, value)| (name.as_slice(), value.as_slice())))
    }
}
