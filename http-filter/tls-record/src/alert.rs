//! Alerts (RFC 8446 §6, RFC 5246 §7.2): what a peer's alert means, and the two bytes of our own.

use std::fmt;

use crate::fault::Fault;

/// A description of an alert, as IANA's registry numbers them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Alert(pub u8);

impl Alert {
    /// The sender will send nothing more.
    pub const CLOSE_NOTIFY: Alert = Alert(0);
    /// A record or message came at a time when it may not.
    pub const UNEXPECTED_MESSAGE: Alert = Alert(10);
    /// A record could not be deprotected.
    pub const BAD_RECORD_MAC: Alert = Alert(20);
    /// A record is longer than allowed.
    pub const RECORD_OVERFLOW: Alert = Alert(22);
    /// A field holds what it may not.
    pub const ILLEGAL_PARAMETER: Alert = Alert(47);
    /// A message has a length that it cannot have.
    pub const DECODE_ERROR: Alert = Alert(50);
    /// A version that this connection does not speak.
    pub const PROTOCOL_VERSION: Alert = Alert(70);
    /// Nothing the peer did.
    pub const INTERNAL_ERROR: Alert = Alert(80);
    /// The sender gives up for reasons of its own; a close_notify should follow.
    pub const USER_CANCELED: Alert = Alert(90);
    /// The sender will not shake hands again (TLS 1.2).
    pub const NO_RENEGOTIATION: Alert = Alert(100);

    /// Its bytes. The level says nothing in TLS 1.3 (§6), but has to be there.
    pub(crate) fn message(self) -> [u8; 2] {
        let warning = [Self::CLOSE_NOTIFY, Self::USER_CANCELED, Self::NO_RENEGOTIATION].contains(&self);
        [if warning { WARNING } else { FATAL }, self.0]
    }

    /// Its name in RFC 8446 §6 or RFC 5246 §7.2, if it has one there.
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "close_notify",
            10 => "unexpected_message",
            20 => "bad_record_mac",
            22 => "record_overflow",
            30 => "decompression_failure",
            40 => "handshake_failure",
            42 => "bad_certificate",
            43 => "unsupported_certificate",
            44 => "certificate_revoked",
            45 => "certificate_expired",
            46 => "certificate_unknown",
            47 => "illegal_parameter",
            48 => "unknown_ca",
            49 => "access_denied",
            50 => "decode_error",
            51 => "decrypt_error",
            70 => "protocol_version",
            71 => "insufficient_security",
            80 => "internal_error",
            86 => "inappropriate_fallback",
            90 => "user_canceled",
            100 => "no_renegotiation",
            109 => "missing_extension",
            110 => "unsupported_extension",
            112 => "unrecognized_name",
            113 => "bad_certificate_status_response",
            115 => "unknown_psk_identity",
            116 => "certificate_required",
            120 => "no_application_protocol",
            _ => return None,
        })
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "alert {}", self.0),
        }
    }
}

impl fmt::Debug for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Alert({self})")
    }
}

/// Levels (RFC 5246 §7.2).
const WARNING: u8 = 1;
const FATAL: u8 = 2;

/// What an alert of the peer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Its direction has ended.
    Close,
    /// Nothing (user_canceled: close_notify follows, or does not; any warning of TLS 1.2).
    Ignore,
}

/// Reads a record of alerts: exactly one alert stands in it (§5.1). Every alert but these two ends the connection, known or not, whatever
/// its level says (§6).
pub(crate) fn read(content: &[u8]) -> Result<Meaning, Fault> {
    match *content {
        [] => Err(Fault::EmptyMessage),
        [_, description] => match Alert(description) {
            Alert::CLOSE_NOTIFY => Ok(Meaning::Close),
            Alert::USER_CANCELED => Ok(Meaning::Ignore),
            other => Err(Fault::Alert(other)),
        },
        _ => Err(Fault::AlertLength),
    }
}

/// The same in TLS 1.2, where the level counts: a warning does not end the connection (RFC 5246 §7.2.2), whatever it warns of. An alert that
/// is cut in two, or shares its record with another, would be legal and is sent by nobody.
pub(crate) fn read_tls12(content: &[u8]) -> Result<Meaning, Fault> {
    match *content {
        [] => Err(Fault::EmptyMessage),
        [level, _] if level != WARNING && level != FATAL => Err(Fault::AlertLevel(level)),
        [level, description] => match Alert(description) {
            Alert::CLOSE_NOTIFY => Ok(Meaning::Close),
            _ if level == WARNING => Ok(Meaning::Ignore),
            other => Err(Fault::Alert(other)),
        },
        _ => Err(Fault::AlertLength),
    }
}
