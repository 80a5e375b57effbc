//! A body that comes in pieces, with pauses: shows whether a proxy passes on what it has or waits for the end.

use bytes::Bytes;
use hyper::body::{Body, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// How many pieces come.
pub const PIECES: u32 = 5;
/// The pause before each piece but the first.
pub const PAUSE: Duration = Duration::from_millis(150);

/// The body of `/slow`.
#[derive(Debug)]
pub struct Slow {
    sent: u32,
    pause: Pin<Box<Sleep>>,
}

impl Slow {
    /// From the first piece on.
    #[must_use]
    pub fn new() -> Self {
        Self { sent: 0, pause: Box::pin(sleep(Duration::ZERO)) }
    }
}

impl Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.sent == PIECES {
            return Poll::Ready(None);
        }
        ready!(self.pause.as_mut().poll(context));
        self.sent += 1;
        self.pause = Box::pin(sleep(PAUSE));
        Poll::Ready(Some(Ok(Frame::data(format!("piece {} of {PIECES}\n", self.sent).into()))))
    }
}
