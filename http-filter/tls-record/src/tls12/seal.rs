//! The way out: plaintext is gathered behind a header in the caller's buffer and sealed there. Knows nothing of what we read.
//!
//! One copy, no allocation beyond the caller's buffer, the key scheduled once.

use std::io::IoSlice;

use super::keys::{Protection, VERSION};
use super::suite::EXPLICIT;
use crate::fault::Fault;
use crate::frame::{HEADER, MAX_PLAINTEXT, TAG, content};
use crate::seal::Gather;

/// The writing direction.
#[derive(Debug)]
pub(crate) struct Sealer {
    keys: Protection,
    /// Records that the key may protect.
    limit: u64,
}

impl Sealer {
    /// `limit` is at least 2: one record and the close_notify.
    pub(crate) fn new(keys: Protection, limit: u64) -> Self {
        Self { keys, limit: limit.max(2) }
    }

    pub(crate) fn into_keys(self) -> Protection {
        self.keys
    }

    /// Whether only one record is left for the key: the alert that ends it all.
    pub(crate) fn is_worn(&self) -> bool {
        self.keys.sequence() >= self.limit - 1
    }

    /// Seals `parts` up to `limit` bytes in records of `record` bytes; how many bytes were taken: fewer if the key is worn meanwhile.
    pub(crate) fn data(
        &mut self,
        parts: &[IoSlice<'_>],
        limit: usize,
        record: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, Fault> {
        let total = Gather::length(parts).min(limit);
        let record = record.clamp(1, MAX_PLAINTEXT);
        let overhead = HEADER + self.keys.suite().expansion();
        out.reserve(total.saturating_add(total.div_ceil(record).saturating_mul(overhead)));
        let mut gather = Gather::new(parts);
        let mut taken = 0;
        while taken < total {
            if self.is_worn() {
                return if taken == 0 { Err(Fault::Exhausted) } else { Ok(taken) };
            }
            let length = record.min(total - taken);
            self.record(content::DATA, length, |out| gather.copy(length, out), out)?;
            taken += length;
        }
        Ok(taken)
    }

    /// A record that holds one message.
    pub(crate) fn message(&mut self, kind: u8, message: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.record(kind, message.len(), |out| out.extend_from_slice(message), out)
    }

    /// Appends one record; nothing if it fails, so that no plaintext can be left in `out`.
    fn record(
        &mut self,
        kind: u8,
        length: usize,
        fill: impl FnOnce(&mut Vec<u8>),
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let start = out.len();
        let suite = self.keys.suite();
        let ([major, minor], fragment) = (VERSION, suite.explicit() + length);
        // At most MAX_PLAINTEXT + 24, which fits.
        let [high, low] = u16::try_from(fragment + TAG).map_err(|_| Fault::Internal)?.to_be_bytes();
        out.extend_from_slice(&[kind, major, minor, high, low]);
        out.extend_from_slice([0; EXPLICIT].get(..suite.explicit()).unwrap_or_default());
        fill(out);
        let sealed = match out.get_mut(start + HEADER..) {
            Some(inner) if inner.len() == fragment => self.keys.seal(kind, inner),
            _ => Err(Fault::Internal),
        };
        match sealed {
            Ok(tag) => {
                out.extend_from_slice(&tag);
                Ok(())
            }
            Err(fault) => {
                out.truncate(start);
                Err(fault)
            }
        }
    }
}
