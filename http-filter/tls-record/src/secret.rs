//! Traffic secrets and what is derived from them: HKDF-Expand-Label (RFC 8446 §7.1), key and IV (§7.3), the next generation (§7.2).
//!
//! A secret lives on the heap and is wiped when it is dropped, so that moving it about leaves no copies behind. It never prints itself.

use std::fmt;

use aws_lc_rs::{aead, constant_time, hkdf};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::error::Error;
use crate::suite::Suite;

/// Bytes of the longest secret (SHA-384).
const LONGEST: usize = 48;

/// Bytes of the longest AEAD key.
const LONGEST_KEY: usize = 32;

/// Bytes of an IV, of all suites.
pub(crate) const IV: usize = aead::NONCE_LEN;

/// An application traffic secret of one direction.
pub struct Secret {
    suite: Suite,
    bytes: Box<Zeroizing<[u8; LONGEST]>>,
}

impl Secret {
    /// A secret of a handshake that agreed on `suite`.
    ///
    /// # Errors
    /// If it does not have the length of the suite's hash.
    pub fn new(suite: Suite, secret: &[u8]) -> Result<Self, Error> {
        let mut bytes = Self::room();
        match bytes.get_mut(..secret.len()) {
            Some(place) if secret.len() == suite.secret_len() => place.copy_from_slice(secret),
            _ => return Err(Error::SecretLength { suite, found: secret.len() }),
        }
        Ok(Self { suite, bytes })
    }

    /// An empty place on the heap.
    fn room() -> Box<Zeroizing<[u8; LONGEST]>> {
        Box::new(Zeroizing::new([0; LONGEST]))
    }

    /// The bytes, to hand the connection on. Whoever takes a copy wipes it.
    pub fn expose(&self) -> &[u8] {
        self.bytes.get(..self.suite.secret_len()).unwrap_or_default()
    }

    /// The suite it was made for.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Whether two are equal, in a time that does not tell where they differ.
    pub(crate) fn equals(&self, other: &Secret) -> bool {
        constant_time::verify_slices_are_equal(self.expose(), other.expose()).is_ok()
    }

    /// `application_traffic_secret_N+1` (§7.2).
    pub(crate) fn next(&self) -> Result<Secret, Error> {
        let mut next = Secret { suite: self.suite, bytes: Self::room() };
        let place = next.bytes.get_mut(..self.suite.secret_len()).ok_or(Error::Crypto)?;
        self.expand(b"traffic upd", place)?;
        Ok(next)
    }

    /// The AEAD key and the IV (§7.3). The key is scheduled here, once per generation.
    pub(crate) fn key(&self) -> Result<(aead::LessSafeKey, Zeroizing<[u8; IV]>), Error> {
        let algorithm = self.suite.aead();
        let mut room = Zeroizing::new([0; LONGEST_KEY]);
        let key = room.get_mut(..algorithm.key_len()).ok_or(Error::Crypto)?;
        self.expand(b"key", key)?;
        let key = aead::UnboundKey::new(algorithm, key).map_err(|_| Error::Crypto)?;
        let mut iv = Zeroizing::new([0; IV]);
        self.expand(b"iv", iv.as_mut())?;
        Ok((aead::LessSafeKey::new(key), iv))
    }

    /// HKDF-Expand-Label with an empty context (§7.1).
    fn expand(&self, label: &[u8], out: &mut [u8]) -> Result<(), Error> {
        const PREFIX: &[u8] = b"tls13 ";
        let length = u16::try_from(out.len()).map_err(|_| Error::Crypto)?.to_be_bytes();
        let label_length = u8::try_from(PREFIX.len() + label.len()).map_err(|_| Error::Crypto)?;
        let info: [&[u8]; 5] = [&length, &[label_length], PREFIX, label, &[0]];
        let secret = hkdf::Prk::new_less_safe(self.suite.hkdf(), self.expose()); // wipes itself
        let okm = secret.expand(&info, Length(out.len()));
        okm.and_then(|okm| okm.fill(out)).map_err(|_| Error::Crypto)
    }
}

/// Bytes wanted of HKDF.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// By its field.
impl ZeroizeOnDrop for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}
