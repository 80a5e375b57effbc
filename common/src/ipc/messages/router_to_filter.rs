//! sni-router → http-filter: a client on a plain-HTTP port.

use super::Ends;

/// Carries one descriptor: the client's socket, not a byte of it consumed.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct PlainHttp {
    /// Whose connection it is.
    pub ends: Ends,
}

impl crate::ipc::Message for PlainHttp {
    fn descriptors(&self) -> usize {
        1
    }
}
