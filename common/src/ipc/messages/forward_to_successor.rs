//! forward-proxy → its successor: a client's connection between two requests, or before its first one.

use super::Ends;

/// Bytes that may go along: a message fits into a frame.
pub const MAX_AHEAD: usize = 48 * 1024;

/// Carries one descriptor: the client's socket.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct HandedOn {
    /// Whose connection it is.
    pub ends: Ends,
    /// Requests that it has brought so far.
    pub requests: u64,
    /// Bytes of the client that were read and not understood yet: a request that has begun. At most [`MAX_AHEAD`].
    pub ahead: Box<[u8]>,
}

impl crate::ipc::Message for HandedOn {
    fn descriptors(&self) -> usize {
        1
    }
}
