//! http-filter → its successor: a client's connection between two requests.

use super::Ends;
use super::terminator_to_filter::{ClientIdentity, Kind};

/// Bytes that may go along: with the rest of a message they fit into a frame.
pub const MAX_AHEAD: usize = 24 * 1024;

/// A connection that has been served for a while. Carries one descriptor: the client's socket, or one end of a socketpair.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct HandedOn {
    /// Whose connection it is.
    pub ends: Ends,
    /// What the handshake told; `None`: plain HTTP.
    pub tls: Option<Box<Tls>>,
    /// Requests that it has brought so far.
    pub requests: u64,
    /// Bytes of the client, in plain, that were read and not understood yet: the beginning of a request. At most [`MAX_AHEAD`].
    pub ahead: Box<[u8]>,
}

/// A connection with TLS, as it is now.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Tls {
    /// How the plaintext comes, with the present secrets and record numbers.
    pub kind: Kind,
    /// The name that chose the certificate.
    pub server_name: Option<Box<str>>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: Box<str>,
    /// JA4 fingerprint of the ClientHello.
    pub ja4: Box<str>,
    /// Who the client has proved to be.
    pub identity: Option<Box<ClientIdentity>>,
}

impl crate::ipc::Message for HandedOn {
    fn descriptors(&self) -> usize {
        1
    }
}
