//! Why bytes are no ClientHello: not TLS at all, or TLS that breaks a rule.
//!
//! The two are kept apart because operators declare an action for each, and because a client that speaks plain
//! HTTP to a TLS port deserves an answer that it can read. Texts name the rule that was broken, never echo bytes
//! of the stranger, so they can be logged as they are.

use super::BadHostName;

/// The bytes are not TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTls {
    /// The start of an HTTP/1 request or the HTTP/2 preface: somebody mistook the port.
    #[error("plain HTTP on a TLS port")]
    Http,
    /// Anything else.
    #[error("not TLS")]
    Other,
}

/// The bytes claim to be TLS and break its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The hello, or the records it is cut into, cannot fit into `limit` bytes.
    #[error("the ClientHello with its records is larger than the {limit} bytes allowed here")]
    TooLarge {
        /// The limit that was given, in bytes.
        limit: usize,
    },
    /// RFC 8446 §5.1: 1 to 2^14 bytes.
    #[error("a TLS record of {0} bytes (allowed: 1 to 16384)")]
    RecordLength(u16),
    /// RFC 8446 §5.1: a handshake message is never interleaved with other record types.
    #[error("a TLS record of type {0} in the middle of the ClientHello")]
    RecordInterleaved(u8),
    /// A later record with a major version other than 3.
    #[error("a TLS record with an unknown version in the middle of the ClientHello")]
    RecordVersion,
    /// The handshake begins with another message.
    #[error("handshake message of type {0} instead of a ClientHello")]
    NotAClientHello(u8),
    /// Something follows the hello in its last record.
    #[error("bytes after the end of the ClientHello in the same record")]
    TrailingBytes,
    /// `legacy_version` is older than SSL 3.0 or no TLS version.
    #[error("legacy_version {0:#06x} is no TLS version")]
    Version(u16),
    /// A length inside the hello does not fit what is there or what the field may hold.
    #[error("bad length of {0}")]
    Length(&'static str),
    /// RFC 8446 §4.2: one extension of a type.
    #[error("extension {0} given twice")]
    DuplicateExtension(u16),
    /// RFC 8446 §4.2.11.
    #[error("pre_shared_key is not the last extension")]
    PreSharedKeyNotLast,
    /// RFC 6066 §3: at most one name of a type.
    #[error("two names in server_name")]
    TwoServerNames,
    /// Only type 0, `host_name`, was ever defined; the form of another cannot be known.
    #[error("server_name with a name of unknown type {0}")]
    ServerNameType(u8),
    /// RFC 6066 §3: literal addresses are not permitted.
    #[error("server_name is an IP address")]
    ServerNameIsAddress,
    /// The name is no hostname.
    #[error("server_name is no hostname: {0}")]
    ServerName(BadHostName),
}

impl Malformed {
    /// The TLS alert that tells the client (RFC 8446 §6.2).
    #[must_use]
    pub fn alert(&self) -> u8 {
        match self {
            Self::NotAClientHello(_) | Self::RecordInterleaved(_) => 10, // unexpected_message
            Self::RecordLength(_) => 22,                                 // record_overflow
            Self::DuplicateExtension(_)
            | Self::PreSharedKeyNotLast
            | Self::TwoServerNames
            | Self::ServerNameType(_)
            | Self::ServerNameIsAddress
            | Self::ServerName(_) => 47, // illegal_parameter
            Self::Version(_) | Self::RecordVersion => 70,                // protocol_version
            Self::TooLarge { .. } | Self::TrailingBytes | Self::Length(_) => 50, // decode_error
        }
    }
}
