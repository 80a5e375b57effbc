//! tls-terminator → http-filter: a client whose handshake is done.

use super::Ends;
use crate::ipc::secret::Secret;

/// How the plaintext reaches the filter. A kernel that does TLS itself (kTLS) would be a third kind: the client's socket and
/// nothing else.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub enum Kind {
    /// The descriptor is one end of a socketpair; the terminator decrypts and copies for as long as the connection lives.
    Relay,
    /// The descriptor is the client's socket; the terminator has forgotten the connection. What makes records of plaintext is
    /// in the message. Who takes it must not seal a byte before its acknowledgement has left
    /// ([`crate::ipc::receiver::Verdict::TakenOnce`]).
    Tls13Secrets(Box<Tls13Secrets>),
    /// The same for TLS 1.2, which has keys in place of secrets. Edition 1 ([`crate::ipc::codec::EDITION`]).
    Tls12Keys(Box<Tls12Keys>),
}

impl Kind {
    /// The edition of the messages that has it.
    #[must_use]
    pub fn edition(&self) -> u64 {
        match self {
            Self::Relay | Self::Tls13Secrets(_) => 0,
            Self::Tls12Keys(_) => TLS12_KEYS,
        }
    }
}

/// The edition in which [`Kind::Tls12Keys`] came.
pub const TLS12_KEYS: u64 = 1;

/// A TLS 1.3 connection behind its handshake (RFC 8446 §5, §7.3).
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Tls13Secrets {
    /// The suite's number in the registry, 0x1301 to 0x1303.
    pub suite: u16,
    /// What the client sends.
    pub read: Direction,
    /// What the client is sent.
    pub write: Direction,
    /// Bytes of the client behind its handshake that have been read from the socket: ciphertext, at most a few records.
    pub received: Box<[u8]>,
}

/// One direction of such a connection.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Direction {
    /// Its application traffic secret.
    pub secret: Secret,
    /// The number of its next record.
    pub sequence: u64,
}

/// A TLS 1.2 connection behind its handshake (RFC 5246 §6.3).
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Tls12Keys {
    /// The suite's number in the registry.
    pub suite: u16,
    /// What the client sends.
    pub read: KeyedDirection,
    /// What the client is sent.
    pub write: KeyedDirection,
    /// As in [`Tls13Secrets`].
    pub received: Box<[u8]>,
}

/// One direction of such a connection.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct KeyedDirection {
    /// Its key.
    pub key: Secret,
    /// Its IV, twelve bytes: with AES-GCM the salt, then where the nonces that we send start.
    pub iv: Secret,
    /// The number of its next record.
    pub sequence: u64,
}

/// Carries one descriptor; [`Kind`] says what it is.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Decrypted {
    /// How the plaintext comes.
    pub kind: Kind,
    /// Whose connection it is.
    pub ends: Ends,
    /// The name that chose the certificate.
    pub server_name: Option<Box<str>>,
    /// The protocol both agreed on; `None`: the client offered none.
    pub alpn: Option<Box<[u8]>>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: Box<str>,
    /// Name of the cipher suite.
    pub suite: Box<str>,
    /// JA4 fingerprint of the ClientHello.
    pub ja4: Box<str>,
    /// Who the client has proved to be; `None`: it was not asked, or has no certificate.
    pub identity: Option<Box<ClientIdentity>>,
}

/// A client certificate that was verified against the authorities of its site, as far as rules speak of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ClientIdentity {
    /// Subject, `CN=ada,O=Shop` (RFC 4514, in the order of the certificate).
    pub subject: Box<str>,
    /// Its attributes one by one, `CN=ada`.
    pub subject_attributes: Vec<Box<str>>,
    /// Issuer, as `subject`.
    pub issuer: Box<str>,
    /// Its attributes one by one.
    pub issuer_attributes: Vec<Box<str>>,
    /// Alternative names with their kind: `DNS:a.example`, `email:…`, `URI:…`, `IP:…`.
    pub names: Vec<Box<str>>,
    /// Serial number, lower-case hexadecimal.
    pub serial: Box<str>,
    /// SHA-256 of the certificate, lower-case hexadecimal.
    pub fingerprint: Box<str>,
    /// The certificate itself (DER, at most 8 KiB), where its site tells backends.
    pub certificate: Option<Box<[u8]>>,
}

impl crate::ipc::Message for Decrypted {
    fn descriptors(&self) -> usize {
        1
    }

    fn edition(&self) -> u64 {
        self.kind.edition()
    }
}
