//! Why a connection ends, and the alert that tells the peer. Every refusal of this crate is one of these; the first is final.

use std::fmt;

use crate::alert::Alert;

/// Why no more can be read from, or sent on, a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A record that is not protected, or a change_cipher_spec after the handshake: its outer content type.
    Unprotected(u8),
    /// A record with a version other than that of the connection (TLS 1.2; 1.3 does not look at it).
    Version([u8; 2]),
    /// A record above the limits of RFC 8446 §5.1 and §5.2, or of RFC 5246 §6.2.
    RecordTooLong,
    /// A record that was not sealed with this key, number and header: damaged, forged, repeated, reordered or lost.
    BadRecord,
    /// A record of nothing but padding.
    NoContentType,
    /// A protected record of a type that may not come: change_cipher_spec, or unknown.
    ContentType(u8),
    /// A record of handshake messages or alerts without any.
    EmptyMessage,
    /// A handshake message that may not come after the handshake: its type. A client may send nothing but KeyUpdate; in TLS 1.2 nothing
    /// but ClientHello.
    Handshake(u8),
    /// A ClientHello of more than 65,535 bytes.
    HandshakeLength,
    /// Another record between the fragments of a handshake message.
    Interleaved,
    /// Something behind a KeyUpdate in its record, sealed with a key that the KeyUpdate has ended.
    BehindKeyUpdate,
    /// A KeyUpdate that does not have one byte.
    KeyUpdateLength,
    /// A KeyUpdate that asks for what is neither yes nor no.
    KeyUpdateRequest(u8),
    /// A record of alerts that does not hold exactly one.
    AlertLength,
    /// An alert that is neither a warning nor fatal (TLS 1.2).
    AlertLevel(u8),
    /// More attempts to shake hands again than [`crate::Limits::renegotiations`].
    TooManyRenegotiations,
    /// More KeyUpdates without data between them than [`crate::Limits::key_updates`].
    TooManyKeyUpdates,
    /// More empty records one after the other than [`crate::Limits::empty_records`].
    TooManyEmptyRecords,
    /// More warnings than [`crate::Limits::warnings`].
    TooManyWarnings,
    /// The peer gave up, and said so.
    Alert(Alert),
    /// The socket ended before a close_notify: what came may not be all.
    Truncated,
    /// A direction has used all its sequence numbers.
    Exhausted,
    /// The cryptographic library refused, which it does only when memory runs out.
    Crypto,
    /// Something is to be sealed after close_notify or an alert has been.
    Finished,
    /// For a caller that ends a connection for reasons of its own.
    Internal,
}

impl Fault {
    /// The alert that fits (§6.2). None if the peer is not to be told: it has given up or gone, or our direction has ended already.
    pub fn alert(&self) -> Option<Alert> {
        Some(match self {
            Fault::RecordTooLong => Alert::RECORD_OVERFLOW,
            Fault::BadRecord => Alert::BAD_RECORD_MAC,
            Fault::Version(_) => Alert::PROTOCOL_VERSION,
            Fault::KeyUpdateLength | Fault::AlertLength | Fault::HandshakeLength => Alert::DECODE_ERROR,
            Fault::KeyUpdateRequest(_) | Fault::AlertLevel(_) => Alert::ILLEGAL_PARAMETER,
            Fault::Exhausted | Fault::Crypto | Fault::Internal => Alert::INTERNAL_ERROR,
            Fault::Alert(_) | Fault::Truncated | Fault::Finished => return None,
            Fault::Unprotected(_)
            | Fault::NoContentType
            | Fault::ContentType(_)
            | Fault::EmptyMessage
            | Fault::Handshake(_)
            | Fault::Interleaved
            | Fault::BehindKeyUpdate
            | Fault::TooManyKeyUpdates
            | Fault::TooManyRenegotiations
            | Fault::TooManyEmptyRecords
            | Fault::TooManyWarnings => Alert::UNEXPECTED_MESSAGE,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Unprotected(kind) => write!(f, "the peer sent an unprotected record (content type {kind})"),
            Fault::Version([major, minor]) => write!(f, "the peer sent a record of version {major}.{minor}"),
            Fault::RecordTooLong => f.write_str("the peer sent a record that is too long"),
            Fault::BadRecord => f.write_str("a record is damaged, forged or out of order"),
            Fault::NoContentType => f.write_str("the peer sent a record of nothing but padding"),
            Fault::ContentType(kind) => write!(f, "the peer sent a record of content type {kind}"),
            Fault::EmptyMessage => f.write_str("the peer sent an empty handshake message or alert"),
            Fault::Handshake(kind) => write!(f, "the peer sent handshake message {kind} after the handshake"),
            Fault::HandshakeLength => f.write_str("the peer sent a handshake message that is too long"),
            Fault::Interleaved => f.write_str("the peer sent another record between the parts of a handshake message"),
            Fault::BehindKeyUpdate => f.write_str("the peer sent something behind a KeyUpdate with the old key"),
            Fault::KeyUpdateLength => f.write_str("the peer sent a KeyUpdate of a wrong length"),
            Fault::KeyUpdateRequest(value) => write!(f, "the peer sent a KeyUpdate that requests {value}"),
            Fault::AlertLength => f.write_str("the peer sent an alert of a wrong length"),
            Fault::AlertLevel(level) => write!(f, "the peer sent an alert of level {level}"),
            Fault::TooManyRenegotiations => f.write_str("the peer asked for a new handshake again"),
            Fault::TooManyKeyUpdates => f.write_str("the peer sent too many KeyUpdates without data"),
            Fault::TooManyEmptyRecords => f.write_str("the peer sent too many empty records"),
            Fault::TooManyWarnings => f.write_str("the peer sent too many warnings"),
            Fault::Alert(alert) => write!(f, "the peer gave up: {alert}"),
            Fault::Truncated => f.write_str("the connection ended without close_notify"),
            Fault::Exhausted => f.write_str("all sequence numbers are used up"),
            Fault::Crypto => f.write_str("the cryptographic library refused"),
            Fault::Finished => f.write_str("our direction has been closed"),
            Fault::Internal => f.write_str("the connection was ended on our side"),
        }
    }
}

impl std::error::Error for Fault {}
