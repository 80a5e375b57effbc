//! The working buffers, one set for the whole process: they are borrowed for one step of one connection and never over an
//! await, so idle connections hold none. Sizes were measured: larger ones gained nothing.

use std::cell::RefCell;

use crate::records::Fill;

/// Bytes taken from a client's socket at once.
pub const FROM_CLIENT: usize = 64 * 1024;
/// Bytes of records that a connection may hold because they are not whole yet. One record is at most 16 KiB + 261 bytes; a
/// handshake message that is spread over several may be longer.
pub const MAX_HELD: usize = 64 * 1024;
/// Bytes taken from http-filter at once.
pub const FROM_FILTER: usize = 256 * 1024;
/// Room for what [`FROM_FILTER`] becomes: each 16 KiB grow by at most 30 bytes.
pub const RECORDS: usize = FROM_FILTER + 4096;

/// See the module.
#[derive(Debug)]
pub struct Scratch {
    /// Ciphertext from the client, behind what was held.
    pub input: Vec<u8>,
    /// Its plaintext.
    pub plain: Vec<u8>,
    /// Plaintext from http-filter.
    pub reply: Vec<u8>,
    /// Records for the client.
    pub out: Fill,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        input: vec![0; MAX_HELD + FROM_CLIENT],
        plain: Vec::with_capacity(MAX_HELD + FROM_CLIENT),
        reply: vec![0; FROM_FILTER],
        out: Fill::new(RECORDS),
    });
}

/// Lends the buffers for one step.
pub fn borrow<R>(step: impl FnOnce(&mut Scratch) -> R) -> R {
    SCRATCH.with_borrow_mut(step)
}
