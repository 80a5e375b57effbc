//! forward-proxy → its successor: a client's connection between two requests.

use super::Ends;

/// Carries one descriptor: the client's socket.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct HandedOn {
    /// Whose connection it is.
    pub ends: Ends,
    /// Requests that it has brought so far.
    pub requests: u64,
}

impl crate::ipc::Message for HandedOn {
    fn descriptors(&self) -> usize {
        1
    }
}
