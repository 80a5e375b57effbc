//! Key and IV of one direction (RFC 5246 §6.3), as the key block gives them: in TLS 1.2 nothing is derived any more.
//!
//! They live on the heap and are wiped when they are dropped, so that moving them about leaves no copies behind. They never print themselves.

use std::fmt;

use aws_lc_rs::{aead, constant_time};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::suite::Suite;
use crate::error::Error;
use crate::secret::IV;

/// Bytes of the longest key.
const LONGEST: usize = 32;

/// Key and IV of one direction.
///
/// With AES-GCM the first four bytes of the IV are the salt (RFC 5288 §3). The other eight are where the nonces of *our* records start, mixed
/// with the record's number, as rustls makes them of the bytes behind the key block: who goes on with a connection has to go on with that
/// too, because the first records are sealed already. For what the peer sends they mean nothing.
pub struct Keys {
    suite: Suite,
    key: Box<Zeroizing<[u8; LONGEST]>>,
    iv: Box<Zeroizing<[u8; IV]>>,
}

impl Keys {
    /// Of a handshake that agreed on `suite`.
    ///
    /// # Errors
    /// If they do not have the lengths of the suite.
    pub fn new(suite: Suite, key: &[u8], iv: &[u8]) -> Result<Self, Error> {
        let wrong = Error::KeyLength { suite: suite.into(), found: (key.len(), iv.len()) };
        if key.len() != suite.key_len() || iv.len() != IV {
            return Err(wrong);
        }
        let mut keys = Self { suite, key: Box::default(), iv: Box::default() };
        keys.key.get_mut(..key.len()).ok_or(wrong)?.copy_from_slice(key);
        keys.iv.copy_from_slice(iv);
        Ok(keys)
    }

    /// The key, to hand the connection on. Whoever takes a copy wipes it.
    #[must_use]
    pub fn expose_key(&self) -> &[u8] {
        self.key.get(..self.suite.key_len()).unwrap_or_default()
    }

    /// The IV, likewise.
    #[must_use]
    pub fn expose_iv(&self) -> &[u8; IV] {
        &self.iv
    }

    /// The suite they were made for.
    #[must_use]
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Whether two have the same key, in a time that does not tell where they differ.
    pub(crate) fn equals(&self, other: &Keys) -> bool {
        constant_time::verify_slices_are_equal(self.expose_key(), other.expose_key()).is_ok()
    }

    /// The key, scheduled.
    pub(crate) fn schedule(&self) -> Result<aead::LessSafeKey, Error> {
        let key = aead::UnboundKey::new(self.suite.aead(), self.expose_key()).map_err(|_| Error::Crypto)?;
        Ok(aead::LessSafeKey::new(key))
    }
}

/// By its fields.
impl ZeroizeOnDrop for Keys {}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(not shown)")
    }
}
