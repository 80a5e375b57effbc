//! The way out: plaintext is gathered behind a header in the caller's buffer and sealed there. Knows nothing of what we read.
//!
//! One copy, no allocation beyond the caller's buffer, the key scheduled once per generation.

use std::io::IoSlice;

use crate::fault::Fault;
use crate::frame::{self, HEADER, MAX_PLAINTEXT, OVERHEAD, content};
use crate::keys::Protection;
use crate::update;

/// The writing direction.
#[derive(Debug)]
pub(crate) struct Sealer {
    keys: Protection,
    /// Records per key.
    limit: u64,
}

impl Sealer {
    /// `limit` is at least 2: one record and the KeyUpdate.
    pub(crate) fn new(keys: Protection, limit: u64) -> Self {
        Self { keys, limit: limit.max(2) }
    }

    pub(crate) fn into_keys(self) -> Protection {
        self.keys
    }

    /// Whether only one record is left for this key: the KeyUpdate, or the alert that ends it all.
    pub(crate) fn is_worn(&self) -> bool {
        self.keys.sequence() >= self.limit - 1
    }

    /// Seals `parts` up to `limit` bytes in records of `record` bytes; how many bytes were taken. `due`: a KeyUpdate is owed to the peer.
    pub(crate) fn data(
        &mut self,
        parts: &[IoSlice<'_>],
        limit: usize,
        record: usize,
        due: &mut bool,
        out: &mut Vec<u8>,
    ) -> Result<usize, Fault> {
        let total = Gather::length(parts).min(limit);
        let record = record.clamp(1, MAX_PLAINTEXT);
        out.reserve(total.saturating_add(total.div_ceil(record).saturating_mul(OVERHEAD)));
        let mut gather = Gather::new(parts);
        let mut taken = 0;
        while taken < total {
            if *due || self.is_worn() {
                *due = false;
                self.update(out)?;
            }
            let length = record.min(total - taken);
            self.record(content::DATA, length, |out| gather.copy(length, out), out)?;
            taken += length;
        }
        Ok(taken)
    }

    /// A KeyUpdate with the old key (§4.6.3), then the new one.
    pub(crate) fn update(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.message(content::HANDSHAKE, &update::NOT_REQUESTED, out)?;
        self.keys.update()
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
        let header = frame::header(length);
        out.extend_from_slice(&header);
        fill(out);
        out.push(kind);
        let sealed = match out.get_mut(start + HEADER..) {
            Some(inner) if inner.len() == length + 1 => self.keys.seal(header, inner),
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

/// Slices as one run of bytes.
pub(crate) struct Gather<'a, 'b> {
    parts: std::slice::Iter<'a, IoSlice<'b>>,
    rest: &'a [u8],
}

impl<'a, 'b> Gather<'a, 'b> {
    pub(crate) fn new(parts: &'a [IoSlice<'b>]) -> Self {
        Self { parts: parts.iter(), rest: &[] }
    }

    /// Bytes of all of them.
    pub(crate) fn length(parts: &[IoSlice<'_>]) -> usize {
        parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()))
    }

    /// Appends the next `wanted` bytes, or what there is.
    pub(crate) fn copy(&mut self, mut wanted: usize, out: &mut Vec<u8>) {
        while wanted > 0 {
            if self.rest.is_empty() {
                let Some(part) = self.parts.next() else { return };
                self.rest = part;
                continue;
            }
            let (now, later) = self.rest.split_at(wanted.min(self.rest.len()));
            out.extend_from_slice(now);
            wanted -= now.len();
            self.rest = later;
        }
    }
}
