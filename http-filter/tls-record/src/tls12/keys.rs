//! What protects one direction in TLS 1.2: key, IV and sequence number (RFC 5246 §6.2.3.3, RFC 5288 §3, RFC 7905 §2).
//!
//! As in 1.3 this is the only place where a sequence number is kept, and [`Protection::number`] the only function that gives one out: it
//! counts first, never goes back, never wraps. Here the number is never reset either, because a connection has one key for its whole life.

use std::fmt;
use std::mem;

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};

use super::secret::Keys;
use super::suite::{EXPLICIT, Suite};
use crate::error::Error;
use crate::fault::Fault;
use crate::frame::TAG;
use crate::secret::IV;

/// `{3, 3}`, in every record (RFC 5246 §6.2.1).
pub(crate) const VERSION: [u8; 2] = [3, 3];

/// The keys of one direction.
pub(crate) struct Protection {
    keys: Keys,
    /// aws-lc keeps it on its own heap and wipes it when it is freed.
    key: LessSafeKey,
    /// Of the next record.
    sequence: u64,
}

impl Protection {
    pub(crate) fn new(keys: Keys, sequence: u64) -> Result<Self, Error> {
        if sequence == u64::MAX {
            return Err(Error::Sequence);
        }
        let key = keys.schedule()?;
        Ok(Self { keys, key, sequence })
    }

    pub(crate) fn suite(&self) -> Suite {
        self.keys.suite()
    }

    /// Number of the next record: how many this key has protected.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Keys and number of the next record; the key is dropped here, so nothing can be protected any more.
    pub(crate) fn into_parts(self) -> (Keys, u64) {
        (self.keys, self.sequence)
    }

    /// Protects a fragment in place: room for the explicit nonce if the suite has one, then the content. The tag is to be appended.
    pub(crate) fn seal(&mut self, kind: u8, fragment: &mut [u8]) -> Result<[u8; TAG], Fault> {
        let sequence = self.number()?;
        let nonce = self.nonce(sequence);
        let (explicit, content) = fragment.split_at_mut_checked(self.suite().explicit()).ok_or(Fault::Internal)?;
        if let Ok(explicit) = <&mut [u8; EXPLICIT]>::try_from(explicit) {
            let [_, _, _, _, own @ ..] = nonce;
            *explicit = own;
        }
        let data = Aad::from(additional(sequence, kind, content.len())?);
        let tag = self.key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), data, content);
        <[u8; TAG]>::try_from(tag.map_err(|_| Fault::Crypto)?.as_ref()).map_err(|_| Fault::Crypto)
    }

    /// Takes the protection off `fragment` (explicit nonce, ciphertext, tag) in place.
    pub(crate) fn open<'b>(&mut self, kind: u8, fragment: &'b mut [u8]) -> Result<&'b [u8], Fault> {
        let sequence = self.number()?;
        let length = fragment.len().checked_sub(self.suite().expansion()).ok_or(Fault::BadRecord)?;
        let (explicit, sealed) = fragment.split_at_mut_checked(self.suite().explicit()).ok_or(Fault::BadRecord)?;
        let mut nonce = self.nonce(sequence);
        if let Ok(theirs) = <&[u8; EXPLICIT]>::try_from(&*explicit) {
            let [_, _, _, _, own @ ..] = &mut nonce;
            *own = *theirs;
        }
        let data = Aad::from(additional(sequence, kind, length)?);
        let plain = self.key.open_in_place(Nonce::assume_unique_for_key(nonce), data, sealed);
        Ok(plain.map_err(|_| Fault::BadRecord)?)
    }

    /// A number that this key has not seen and will not see again.
    fn number(&mut self) -> Result<u64, Fault> {
        let next = self.sequence.checked_add(1).ok_or(Fault::Exhausted)?;
        Ok(mem::replace(&mut self.sequence, next))
    }

    /// The IV with the number mixed into its end: what RFC 7905 prescribes for ChaCha20-Poly1305, and what we (and rustls) do with AES-GCM,
    /// where RFC 5288 leaves it to the sender. As long as no number comes twice, no nonce does.
    fn nonce(&self, sequence: u64) -> [u8; IV] {
        let mut nonce = *self.keys.expose_iv();
        for (byte, number) in nonce.iter_mut().rev().zip(sequence.to_le_bytes()) {
            *byte ^= number;
        }
        nonce
    }
}

/// `additional_data` (RFC 5246 §6.2.3.3): number, type, version, bytes of the content.
fn additional(sequence: u64, kind: u8, content: usize) -> Result<[u8; 13], Fault> {
    let [a, b, c, d, e, f, g, h] = sequence.to_be_bytes();
    let [major, minor] = VERSION;
    let [high, low] = u16::try_from(content).map_err(|_| Fault::Internal)?.to_be_bytes();
    Ok([a, b, c, d, e, f, g, h, kind, major, minor, high, low])
}

impl fmt::Debug for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protection").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}
