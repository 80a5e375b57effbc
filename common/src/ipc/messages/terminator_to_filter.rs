//! tls-terminator → http-filter: a client whose handshake is done.

use super::Ends;

/// How the plaintext reaches the filter. Room is left for `Tls13Secrets` and kTLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Kind {
    /// The descriptor is one end of a socketpair; the terminator decrypts and copies.
    Relay,
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
}

impl crate::ipc::Message for Decrypted {
    fn descriptors(&self) -> usize {
        1
    }
}
