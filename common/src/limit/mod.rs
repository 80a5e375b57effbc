//! Counting what clients do: rates by the generic cell rate algorithm, things at once by places. Both count per *key*, a hash of whatever the
//! configuration names (client network, header, cookie, ...), so no key costs more memory than another, and strangers' bytes are never kept.
//!
//! Pure: the moment is an argument. Memory is bounded whatever arrives, and nothing is ever swept: a state that has run out equals no state.
//!
//! - [`gcra`]: the arithmetic of one rate
//! - [`key`]: what is counted, as a number
//! - [`table`]: many keys in a fixed number of slots
//! - [`places`]: things at once

pub mod gcra;
pub mod key;
pub mod places;
pub mod table;
