//! passthrough-relay → its successor: a living tunnel.

use super::Ends;

/// Carries the client's socket, the server's, and for each direction that has one the two ends of the pipe with bytes under way.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct HandedOn {
    /// Whose connection it is.
    pub ends: Ends,
    /// Where it leads, for the log.
    pub label: Box<str>,
}

impl crate::ipc::Message for HandedOn {
    fn descriptors(&self) -> usize {
        2
    }
}
