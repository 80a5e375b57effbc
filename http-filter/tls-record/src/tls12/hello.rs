//! A client that wants to shake hands again (RFC 5246 §7.4.1.2). It is told no (§7.2.2), so its ClientHello is counted off, not read, and none
//! of it kept: a message costs four bytes of state, whatever its length and however it is cut into records.

use crate::fault::Fault;

/// Type of the message.
const CLIENT_HELLO: u8 = 1;

/// Bytes of a ClientHello at most: more than any client sends, and no more than rustls reads.
const MAX_LENGTH: u32 = 0xffff;

/// How much of a message has come.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    /// Bytes of its header (type and length) that have come; 0: no message has begun.
    header: u8,
    /// Bytes that its header announces, as far as that has come; then those that are missing.
    left: u32,
}

impl Assembly {
    /// Whether a message has begun and is not whole: nothing but its rest may come.
    pub(crate) fn is_open(&self) -> bool {
        self.header != 0
    }

    /// Takes the content of a handshake record: how many messages became whole in it.
    pub(crate) fn push(&mut self, mut content: &[u8]) -> Result<u32, Fault> {
        if content.is_empty() {
            return Err(Fault::EmptyMessage);
        }
        let mut whole = 0_u32;
        while let Some((&byte, rest)) = content.split_first() {
            match (self.header, byte) {
                (0, CLIENT_HELLO) => (self.header, self.left, content) = (1, 0, rest),
                (0, kind) => return Err(Fault::Handshake(kind)),
                (1..=3, byte) => {
                    self.left = (self.left << 8) | u32::from(byte);
                    self.header = self.header.saturating_add(1);
                    content = rest;
                }
                _ => {
                    let skipped = content.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                    self.left = self.left.saturating_sub(u32::try_from(skipped).unwrap_or(u32::MAX));
                    content = content.get(skipped..).unwrap_or_default();
                }
            }
            if self.header > 3 {
                if self.left > MAX_LENGTH {
                    return Err(Fault::HandshakeLength);
                }
                if self.left == 0 {
                    self.header = 0;
                    whole = whole.saturating_add(1);
                }
            }
        }
        Ok(whole)
    }
}
