//! KeyUpdate (RFC 8446 §4.6.3), the only handshake message that a client may send after the handshake, as we use TLS: without
//! post-handshake authentication there is nothing else to answer.
//!
//! A KeyUpdate has five bytes, and §5.1 lets a peer spread them over records. So they are *reassembled*, not refused: it costs five bytes
//! of state, a peer that does it is within its rights, and each byte is judged as it comes, so no longer message ever has to be kept.
//! The last byte must be the last of its record, because what follows would be protected with a key that has ended (§5.1).

use crate::fault::Fault;

/// Type of the message.
const KEY_UPDATE: u8 = 24;

/// Our own: a new key for our direction, none asked of the peer.
pub(crate) const NOT_REQUESTED: [u8; 5] = [KEY_UPDATE, 0, 0, 1, 0];

/// A KeyUpdate that the peer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Its direction has a new key.
    NotRequested,
    /// And ours shall have one.
    Requested,
}

/// How much of a message has come.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    bytes: u8,
}

impl Assembly {
    /// Whether a message has begun and is not whole: nothing but its rest may come.
    pub(crate) fn is_open(&self) -> bool {
        self.bytes != 0
    }

    /// Takes the content of a handshake record. `None`: the message is not whole yet.
    pub(crate) fn push(&mut self, content: &[u8]) -> Result<Option<Request>, Fault> {
        if content.is_empty() {
            return Err(Fault::EmptyMessage);
        }
        let mut whole = None;
        for &byte in content {
            if whole.is_some() {
                return Err(Fault::BehindKeyUpdate);
            }
            match (self.bytes, byte) {
                (0, KEY_UPDATE) | (1 | 2, 0) | (3, 1) => {}
                (0, kind) => return Err(Fault::Handshake(kind)),
                (1..=3, _) => return Err(Fault::KeyUpdateLength),
                (_, 0) => whole = Some(Request::NotRequested),
                (_, 1) => whole = Some(Request::Requested),
                (_, value) => return Err(Fault::KeyUpdateRequest(value)),
            }
            self.bytes = if whole.is_some() { 0 } else { self.bytes.saturating_add(1) };
        }
        Ok(whole)
    }
}
