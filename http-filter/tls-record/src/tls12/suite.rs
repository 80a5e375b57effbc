//! The cipher suites of TLS 1.2 whose records we know, all with ECDHE and an AEAD, and what each means in bytes. How keys were agreed on and
//! who signed is over when records begin, so a suite is its AEAD here, and a number.

use aws_lc_rs::aead;

use crate::error::Error;
use crate::frame::TAG;

/// Bytes of the nonce that a record carries with AES-GCM (RFC 5288 §3).
pub(crate) const EXPLICIT: usize = 8;

/// A cipher suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Suite {
    number: u16,
    aead: Aead,
}

/// What protects its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Aead {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

impl Suite {
    /// All of them: RFC 5289 §3.2 and RFC 7905 §2, by number.
    pub const ALL: [Suite; 6] = [
        Suite { number: 0xc02b, aead: Aead::Aes128Gcm },
        Suite { number: 0xc02c, aead: Aead::Aes256Gcm },
        Suite { number: 0xc02f, aead: Aead::Aes128Gcm },
        Suite { number: 0xc030, aead: Aead::Aes256Gcm },
        Suite { number: 0xcca8, aead: Aead::ChaCha20Poly1305 },
        Suite { number: 0xcca9, aead: Aead::ChaCha20Poly1305 },
    ];

    /// Bytes of a key.
    #[must_use]
    pub fn key_len(self) -> usize {
        self.aead().key_len()
    }

    /// Records that one key may protect. AES-GCM: 2^24, for the reason that holds in TLS 1.3 ([`crate::Suite::records_per_key`]; RFC 5246
    /// says nothing). There is no other key to be had, so the connection ends then.
    #[must_use]
    pub const fn records_per_key(self) -> u64 {
        match self.aead {
            Aead::Aes128Gcm | Aead::Aes256Gcm => 1 << 24,
            Aead::ChaCha20Poly1305 => 1 << 48,
        }
    }

    /// Bytes of the nonce in front of the ciphertext.
    pub(crate) const fn explicit(self) -> usize {
        match self.aead {
            Aead::Aes128Gcm | Aead::Aes256Gcm => EXPLICIT,
            Aead::ChaCha20Poly1305 => 0,
        }
    }

    /// What protection adds to the content, bytes: exactly so many.
    pub(crate) const fn expansion(self) -> usize {
        self.explicit() + TAG
    }

    pub(crate) fn is_like(self, other: Suite) -> bool {
        self.aead == other.aead
    }

    pub(crate) fn aead(self) -> &'static aead::Algorithm {
        match self.aead {
            Aead::Aes128Gcm => &aead::AES_128_GCM,
            Aead::Aes256Gcm => &aead::AES_256_GCM,
            Aead::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        }
    }
}

impl From<Suite> for u16 {
    /// The number in IANA's registry.
    fn from(suite: Suite) -> u16 {
        suite.number
    }
}

impl TryFrom<u16> for Suite {
    type Error = Error;

    fn try_from(number: u16) -> Result<Self, Error> {
        Suite::ALL.into_iter().find(|suite| suite.number == number).ok_or(Error::UnknownSuite(number))
    }
}
