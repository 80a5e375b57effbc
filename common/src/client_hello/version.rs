//! TLS version numbers as they stand on the wire, with the names people know.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A version as on the wire. Not necessarily one that exists: clients may send any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProtocolVersion(pub u16);

impl ProtocolVersion {
    /// TLS 1.2 (RFC 5246).
    pub const TLS1_2: Self = Self(0x0303);
    /// TLS 1.3 (RFC 8446).
    pub const TLS1_3: Self = Self(0x0304);

    /// Two characters for JA4; `00` for what is not known.
    pub(super) fn ja4(self) -> [u8; 2] {
        *match self.0 {
            0x0304 => b"13",
            0x0303 => b"12",
            0x0302 => b"11",
            0x0301 => b"10",
            0x0300 => b"s3",
            0x0002 => b"s2",
            _ => b"00",
        }
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0x0300 => f.write_str("SSL 3.0"),
            version @ 0x0301..=0x0304 => write!(f, "TLS 1.{}", version - 0x0301),
            other => write!(f, "{other:#06x}"),
        }
    }
}
