//! What protects one direction: secret, key, IV and sequence number, made together and replaced together.
//!
//! This is the only place where a sequence number is kept, and [`Protection::nonce`] the only place where a nonce is made (RFC 8446
//! §5.3). It counts before it gives the nonce out, so a number is spent even if the caller then fails; it never goes back, never wraps, and
//! only [`Protection::update`] begins at zero again, with another key.

use std::fmt;
use std::mem;

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::fault::Fault;
use crate::frame::{HEADER, TAG};
use crate::secret::{IV, Secret};

/// The keys of one direction.
pub(crate) struct Protection {
    secret: Secret,
    /// aws-lc keeps it on its own heap and wipes it when it is freed.
    key: LessSafeKey,
    iv: Zeroizing<[u8; IV]>,
    /// Of the next record.
    sequence: u64,
}

impl Protection {
    pub(crate) fn new(secret: Secret, sequence: u64) -> Result<Self, Error> {
        if sequence == u64::MAX {
            return Err(Error::Sequence);
        }
        let (key, iv) = secret.key()?;
        Ok(Self { secret, key, iv, sequence })
    }

    /// The next generation (§7.2): everything is new, then everything is replaced at once.
    pub(crate) fn update(&mut self) -> Result<(), Fault> {
        let next = self.secret.next().and_then(|secret| Protection::new(secret, 0));
        *self = next.map_err(|_| Fault::Crypto)?;
        Ok(())
    }

    /// Number of the next record: how many this key has protected, if it began at zero.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Secret and number of the next record; the key is dropped here, so nothing can be protected any more.
    pub(crate) fn into_parts(self) -> (Secret, u64) {
        (self.secret, self.sequence)
    }

    /// Protects `content` (with its type at the end) in place; the tag is to be appended.
    pub(crate) fn seal(&mut self, header: [u8; HEADER], content: &mut [u8]) -> Result<[u8; TAG], Fault> {
        let nonce = self.nonce()?;
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(header), content).map_err(|_| Fault::Crypto)?;
        <[u8; TAG]>::try_from(tag.as_ref()).map_err(|_| Fault::Crypto)
    }

    /// Takes the protection off `fragment` (ciphertext and tag) in place: content, type and padding.
    pub(crate) fn open<'b>(&mut self, header: [u8; HEADER], fragment: &'b mut [u8]) -> Result<&'b [u8], Fault> {
        let nonce = self.nonce()?;
        let plain = self.key.open_in_place(nonce, Aad::from(header), fragment).map_err(|_| Fault::BadRecord)?;
        Ok(plain)
    }

    /// A nonce that this key has not seen and will not see again.
    fn nonce(&mut self) -> Result<Nonce, Fault> {
        let next = self.sequence.checked_add(1).ok_or(Fault::Exhausted)?;
        let sequence = mem::replace(&mut self.sequence, next);
        let mut nonce = *self.iv;
        for (byte, number) in nonce.iter_mut().rev().zip(sequence.to_le_bytes()) {
            *byte ^= number;
        }
        Ok(Nonce::assume_unique_for_key(nonce))
    }
}

impl fmt::Debug for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protection").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}
