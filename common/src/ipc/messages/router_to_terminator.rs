//! sni-router → tls-terminator: a client whose TLS ends here.

use super::Ends;

/// Carries one descriptor: the client's socket with the ClientHello still unread in the kernel.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Terminate {
    /// Whose connection it is.
    pub ends: Ends,
    /// The name in the ClientHello as the router read it.
    pub server_name: Option<Box<str>>,
    /// JA4 fingerprint of the ClientHello, 36 characters.
    pub ja4: Box<str>,
}

impl crate::ipc::Message for Terminate {
    fn descriptors(&self) -> usize {
        1
    }
}
