//! An HTTP/2 connection under [`crate::h2_guard`]: bytes are counted as they pass, and a flood ends it with as good a farewell as one write can be.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

use super::Guarded;

/// RFC 9113 §7.
pub(super) const NO_ERROR: u32 = 0;
const ENHANCE_YOUR_CALM: u32 = 11;

impl<S: AsyncWrite + Unpin> Guarded<S> {
    /// Bytes of the client that pass unread.
    pub(super) fn passed(&mut self, cx: &mut Context<'_>, fresh: &[u8]) -> io::Result<()> {
        let now = self.ledger().clock.now();
        let Some(guard) = &mut self.h2 else {
            self.ledger().touch();
            return Ok(());
        };
        let verdict = guard.received(fresh, now);
        if guard.worked() {
            self.ledger().touch();
        }
        let Err(flood) = verdict else { return Ok(()) };
        self.ledger().flooded(flood);
        self.say_goaway(cx, ENHANCE_YOUR_CALM);
        Err(io::Error::new(io::ErrorKind::InvalidData, flood))
    }

    /// Bytes that the client has been given.
    pub(super) fn count_sent<'a>(&mut self, result: &Poll<io::Result<usize>>, slices: impl Iterator<Item = &'a [u8]>) {
        let (Some(guard), Poll::Ready(Ok(count))) = (&mut self.h2, result) else { return };
        let mut left = *count;
        for slice in slices {
            let sent = slice.get(..left).unwrap_or(slice);
            guard.sent(sent);
            left = left.saturating_sub(sent.len());
        }
    }

    /// Tells the client that the connection ends, if one write between two frames can do it. Best effort: the connection ends anyway.
    pub(super) fn say_goaway(&mut self, cx: &mut Context<'_>, code: u32) {
        if let Some(goaway) = self.h2.as_ref().and_then(|guard| guard.goaway(code)) {
            let _ = Pin::new(&mut self.io).poll_write(cx, &goaway);
            let _ = Pin::new(&mut self.io).poll_flush(cx);
        }
    }
}
