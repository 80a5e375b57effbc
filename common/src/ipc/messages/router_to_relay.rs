//! sni-router → passthrough-relay: a client whose bytes go to a server untouched.

use super::Ends;

/// Carries one descriptor: the client's socket, not a byte of it consumed.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Passthrough {
    /// Whose connection it is.
    pub ends: Ends,
    /// Name of the pool to connect to.
    pub pool: Box<str>,
    /// The name in the ClientHello, for PROXY v2 and the log.
    pub server_name: Option<Box<str>>,
    /// First protocol the client offers, for PROXY v2.
    pub alpn: Option<Box<[u8]>>,
}

impl crate::ipc::Message for Passthrough {
    fn descriptors(&self) -> usize {
        1
    }
}
