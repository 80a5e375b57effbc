//! The three cipher suites of TLS 1.3 that are in use (RFC 8446 §B.4), and what each means in bytes: the one table from which lengths,
//! algorithms and the limit of records per key are taken.

use aws_lc_rs::{aead, hkdf};

use crate::error::Error;

/// A cipher suite: an AEAD and the hash of the key schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// `TLS_AES_128_GCM_SHA256`, 0x1301.
    Aes128GcmSha256,
    /// `TLS_AES_256_GCM_SHA384`, 0x1302.
    Aes256GcmSha384,
    /// `TLS_CHACHA20_POLY1305_SHA256`, 0x1303.
    ChaCha20Poly1305Sha256,
}

impl Suite {
    /// All of them, by number.
    pub const ALL: [Suite; 3] = [Suite::Aes128GcmSha256, Suite::Aes256GcmSha384, Suite::ChaCha20Poly1305Sha256];

    /// Bytes of a traffic secret: the output of the suite's hash.
    pub const fn secret_len(self) -> usize {
        match self {
            Suite::Aes128GcmSha256 | Suite::ChaCha20Poly1305Sha256 => 32,
            Suite::Aes256GcmSha384 => 48,
        }
    }

    /// Records that one key may protect. AES-GCM: 2^24, which stays below the 2^24.5 full records of RFC 8446 §5.5; counted in records of
    /// the largest size, so bytes need no count of their own. ChaCha20-Poly1305 has no such limit; 2^48 is that of RFC 9147, far from the end
    /// of the sequence number.
    pub const fn records_per_key(self) -> u64 {
        match self {
            Suite::Aes128GcmSha256 | Suite::Aes256GcmSha384 => 1 << 24,
            Suite::ChaCha20Poly1305Sha256 => 1 << 48,
        }
    }

    pub(crate) fn aead(self) -> &'static aead::Algorithm {
        match self {
            Suite::Aes128GcmSha256 => &aead::AES_128_GCM,
            Suite::Aes256GcmSha384 => &aead::AES_256_GCM,
            Suite::ChaCha20Poly1305Sha256 => &aead::CHACHA20_POLY1305,
        }
    }

    pub(crate) fn hkdf(self) -> hkdf::Algorithm {
        match self {
            Suite::Aes128GcmSha256 | Suite::ChaCha20Poly1305Sha256 => hkdf::HKDF_SHA256,
            Suite::Aes256GcmSha384 => hkdf::HKDF_SHA384,
        }
    }
}

impl From<Suite> for u16 {
    /// The number in IANA's registry.
    fn from(suite: Suite) -> u16 {
        match suite {
            Suite::Aes128GcmSha256 => 0x1301,
            Suite::Aes256GcmSha384 => 0x1302,
            Suite::ChaCha20Poly1305Sha256 => 0x1303,
        }
    }
}

impl TryFrom<u16> for Suite {
    type Error = Error;

    fn try_from(number: u16) -> Result<Self, Error> {
        Suite::ALL.into_iter().find(|suite| u16::from(*suite) == number).ok_or(Error::UnknownSuite(number))
    }
}
