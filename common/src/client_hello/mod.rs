//! The ClientHello, read from bytes that were peeked and not consumed.
//!
//! The router decides where a connection goes from the first message of the client, without taking part in TLS
//! (RFC 8446 §4.1.2, RFC 6066 §3, RFC 7301 §3.1). This module turns bytes into that message or into a reason why they
//! are none. It does no I/O, keeps no state between calls, never panics, never reads past the bytes it was given, and
//! is strict: where two readers could understand a hello differently, it is malformed, because the router and the
//! process that ends TLS must never disagree about the name.
//!
//! In order of flow: `records` (records to one message), `parse` (message to [`ClientHello`]), [`HostName`],
//! [`Ja4`]; [`NameTable`] then answers which route a name belongs to.

mod cursor;
mod error;
mod host_name;
mod ja4;
mod name_table;
mod not_tls;
mod parse;
mod protocols;
mod records;
mod sessions;
mod version;

pub use error::{Malformed, NotTls};
pub use host_name::{BadHostName, HostName, MAX_HOST_NAME};
pub use ja4::{BadJa4, Ja4};
pub use name_table::{BadNamePattern, DuplicateName, Found, NamePattern, NameTable};
pub use protocols::Protocols;
pub use sessions::offers_session;
pub use version::ProtocolVersion;

/// What the first bytes of a connection are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// No verdict yet.
    Incomplete {
        /// Bytes from the start of the stream that a verdict other than a refusal needs at the least:
        /// always more than were given, never more than the limit.
        at_least: usize,
    },
    /// No TLS at all.
    NotTls(NotTls),
    /// TLS that breaks a rule.
    Malformed(Malformed),
    /// The whole hello.
    Hello(Box<ClientHello>),
}

/// What router, logs and access lists need of a ClientHello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// The name the client wants to reach; `None` if it sent no `server_name`.
    /// With encrypted ClientHello this is the outer, public name.
    pub server_name: Option<HostName>,
    /// Protocols offered, in the client's order, without GREASE.
    pub alpn: Protocols,
    /// `legacy_version`: what a client that knows no TLS 1.3 can speak at most.
    pub legacy_version: ProtocolVersion,
    /// The highest version offered: from `supported_versions`, else `legacy_version`.
    pub highest_version: ProtocolVersion,
    /// Bytes of `legacy_session_id`, 0 to 32.
    pub session_id_len: usize,
    /// The client sent an `encrypted_client_hello` extension, real or GREASE (they look alike on purpose).
    pub ech: bool,
    /// The client asks to resume an earlier session: `pre_shared_key`, or a ticket that is not empty.
    pub resumes: bool,
    /// Fingerprint of the client's TLS stack.
    pub ja4: Ja4,
    /// Bytes of the stream up to the end of the hello's last record.
    pub wire_len: usize,
    /// TLS records the hello came in.
    pub records: usize,
}

impl ClientHello {
    /// Whether the client offers `protocol`, for example `acme-tls/1`.
    #[must_use]
    pub fn offers(&self, protocol: &[u8]) -> bool {
        self.alpn.contains(protocol)
    }
}

/// Reads the first `bytes` of a stream, of which a prefix of any length may be there.
///
/// `limit` bounds the hello with its record headers, in bytes of the stream; more is [`Malformed::TooLarge`]. The
/// verdict falls as early as the bytes allow. A hello in one record is parsed where it lies, without copying it.
#[must_use]
pub fn read(bytes: &[u8], limit: usize) -> Reading {
    let bytes = bytes.get(..limit).unwrap_or(bytes); // what lies beyond the limit must not change the verdict
    match bytes {
        [] if limit == 0 => Reading::Malformed(Malformed::TooLarge { limit }),
        [] => Reading::Incomplete { at_least: 1 },
        [records::HANDSHAKE] | [records::HANDSHAKE, 3, ..] => read_tls(bytes, limit),
        [records::HANDSHAKE, ..] => Reading::NotTls(NotTls::Other),
        _ => not_tls::classify(bytes, limit),
    }
}

fn read_tls(bytes: &[u8], limit: usize) -> Reading {
    match records::gather(bytes, limit) {
        Err(malformed) => Reading::Malformed(malformed),
        Ok(records::Records::Incomplete { at_least }) => Reading::Incomplete { at_least },
        Ok(records::Records::Complete(message)) => match parse::parse(&message) {
            Ok(hello) => Reading::Hello(Box::new(hello)),
            Err(malformed) => Reading::Malformed(malformed),
        },
    }
}

/// RFC 8701: values of the form 0x?A?A mean nothing; clients send them so that servers learn to ignore the unknown.
fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

#[cfg(test)]
mod tests;
