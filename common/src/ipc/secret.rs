//! A traffic secret, or a key of TLS 1.2, on its way from one process to another: wiped when dropped, never shown.
//!
//! RFC 8446 §7.1: as long as the hash of the cipher suite, 32 or 48 bytes; keys and IVs are shorter. Who holds it can read and forge one direction of
//! one connection, nothing else: neither the private key nor another session can be had from it.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// Bytes at most.
pub const MAX_SECRET: usize = 48;

/// See the module.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Copies `bytes`; `None`: more than [`MAX_SECRET`].
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() <= MAX_SECRET).then(|| Self(Zeroizing::new(bytes.to_vec())))
    }

    /// The secret itself.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Zeroizing::new(Vec::<u8>::deserialize(deserializer)?);
        if bytes.len() > MAX_SECRET {
            return Err(D::Error::custom("a traffic secret is longer than any hash"));
        }
        Ok(Self(bytes))
    }
}
