//! http-filter → its successor: a client's connection between two requests, or a WebSocket.

use super::Ends;
use super::terminator_to_filter::{ClientIdentity, Kind};

/// Bytes that may go along in one direction: both, and the rest of a message, fit into a frame.
pub const MAX_AHEAD: usize = 24 * 1024;

/// A connection that has been served for a while. Carries one descriptor (the client's socket, or one end of a socketpair); a WebSocket
/// a second one (the server's socket).
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct HandedOn {
    /// Whose connection it is.
    pub ends: Ends,
    /// What the handshake told; `None`: plain HTTP.
    pub tls: Option<Box<Tls>>,
    /// Requests that it has brought so far.
    pub requests: u64,
    /// Bytes of the client, in plain, that were read and not understood or passed on yet. At most [`MAX_AHEAD`].
    pub ahead: Box<[u8]>,
    /// It has become a WebSocket: bytes for the client that were read from the server and not sent yet, at most [`MAX_AHEAD`]. (`ahead`
    /// is what the server has not got yet.)
    pub websocket: Option<Box<[u8]>>,
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
        1 + usize::from(self.websocket.is_some())
    }

    fn edition(&self) -> u64 {
        self.tls.as_ref().map_or(0, |tls| tls.kind.edition())
    }
}
