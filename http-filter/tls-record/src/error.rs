//! Why a record layer cannot be built: mistakes of the process that hands over, never of a client. What a client does wrong is a
//! [`crate::Fault`].

use std::fmt;

use crate::suite::Suite;

/// Why there is no record layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A number that is none of the suites of its version.
    UnknownSuite(u16),
    /// A traffic secret that does not have the length of its suite's hash.
    SecretLength {
        /// The suite.
        suite: Suite,
        /// Bytes that were given.
        found: usize,
    },
    /// A traffic secret that was made for another suite than the connection's.
    OtherSuite {
        /// The connection's.
        suite: Suite,
        /// The secret's.
        found: Suite,
    },
    /// A key or an IV of TLS 1.2 that does not have the length that its suite wants.
    KeyLength {
        /// The suite's number.
        suite: u16,
        /// Bytes of the key and of the IV that were given.
        found: (usize, usize),
    },
    /// Keys of TLS 1.2 that were made for another AEAD than the connection's.
    OtherAead {
        /// The number of the connection's suite.
        suite: u16,
    },
    /// Both directions have the same secret: their nonces would collide, so one side of the hand-over has mixed them up.
    SameSecret,
    /// A sequence number so high that no record is left.
    Sequence,
    /// The cryptographic library refused, which it does only when memory runs out.
    Crypto,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::UnknownSuite(number) => write!(f, "{number:#06x} is no cipher suite known here"),
            Error::SecretLength { suite, found } => {
                write!(f, "a traffic secret of {suite:?} has {} bytes, not {found}", suite.secret_len())
            }
            Error::OtherSuite { suite, found } => {
                write!(f, "a connection of {suite:?} was given a secret of {found:?}")
            }
            Error::KeyLength { suite, found: (key, iv) } => {
                write!(f, "suite {suite:#06x} has no key of {key} bytes with an IV of {iv}")
            }
            Error::OtherAead { suite } => write!(f, "a connection of suite {suite:#06x} was given keys of another one"),
            Error::SameSecret => write!(f, "both directions were given the same traffic secret"),
            Error::Sequence => write!(f, "the sequence number leaves no room for a record"),
            Error::Crypto => write!(f, "the cryptographic library refused a key"),
        }
    }
}

impl std::error::Error for Error {}
