//! What an HTTP/2 connection writes in one turn of its task goes out together.
//!
//! The h2 crate sends frame by frame: it asks for a flush behind every DATA frame, so thirty answers that are ready at once would be thirty TLS
//! records and thirty system calls. Here a flush is only noted; the connection's task asks for the real one at the end of its turn
//! ([`Handle::uncork`]). Nothing waits longer for it: a turn ends before the process sleeps.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are gathered; also what one step of TLS seals.
const MOST: usize = 64 * 1024;
/// A write of so many bytes gains nothing from being gathered, and its copy would cost.
const LARGE: usize = 12 * 1024;

/// The stream as HTTP/2 has it.
#[derive(Debug)]
pub struct Corked<S>(Rc<RefCell<Inner<S>>>);

/// The stream as its task has it.
#[derive(Debug)]
pub struct Handle<S>(Rc<RefCell<Inner<S>>>);

#[derive(Debug)]
struct Inner<S> {
    stream: S,
    gathered: Vec<u8>,
    sent: usize,
    /// Why nothing can be sent any more, until the connection has heard it.
    broken: Option<io::Error>,
}

/// Corks a stream.
pub fn cork<S>(stream: S) -> (Corked<S>, Handle<S>) {
    let inner = Rc::new(RefCell::new(Inner { stream, gathered: Vec::new(), sent: 0, broken: None }));
    (Corked(Rc::clone(&inner)), Handle(inner))
}

impl<S: AsyncWrite + Unpin> Handle<S> {
    /// Sends what was gathered. What the socket does not take goes on at a later turn, which it will wake. An error ends the connection at
    /// its next turn, which is at once.
    pub fn uncork(&self, cx: &mut Context<'_>) {
        let mut inner = self.0.borrow_mut();
        if let Poll::Ready(Err(error)) = inner.poll_send(cx) {
            (inner.gathered, inner.sent, inner.broken) = (Vec::new(), 0, Some(error));
            cx.waker().wake_by_ref();
        }
    }
}

impl<S: AsyncWrite + Unpin> Inner<S> {
    /// Writes everything and flushes.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.gathered.len() {
            let rest = self.gathered.get(self.sent..).unwrap_or_default();
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
        }
        // The memory is given back: most connections are idle most of the time.
        (self.gathered, self.sent) = (Vec::new(), 0);
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let total = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        if self.gathered.len().saturating_add(total) > MOST || total >= LARGE {
            ready!(self.poll_send(cx))?;
            if total >= LARGE {
                return Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
            }
        }
        parts.iter().for_each(|part| self.gathered.extend_from_slice(part));
        Poll::Ready(Ok(total))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Corked<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        match inner.broken.take() {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut inner.stream).poll_read(cx, buf),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Corked<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_write(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_write(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Noted by not being done: see [`Handle::uncork`].
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        ready!(inner.poll_send(cx))?;
        Pin::new(&mut inner.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::task::Waker;

    /// Takes `room` bytes per call and remembers the calls.
    #[derive(Default)]
    struct Wire {
        calls: Vec<Vec<u8>>,
        room: usize,
        full: bool,
    }

    impl AsyncWrite for Wire {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            if self.full {
                return Poll::Pending;
            }
            let taken = bytes.len().min(self.room);
            self.calls.push(bytes.get(..taken).unwrap().to_vec());
            Poll::Ready(Ok(taken))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn write(corked: &mut Corked<Wire>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<usize> {
        let (head, body) = bytes.split_at(bytes.len() / 2);
        Pin::new(corked).poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)]).map(Result::unwrap)
    }

    #[test]
    fn the_answers_of_a_turn_leave_in_one_write_and_in_order() {
        let cx = &mut Context::from_waker(Waker::noop());
        let (mut corked, handle) = cork(Wire { room: usize::MAX, ..Wire::default() });
        for answer in 0..30_u8 {
            assert_eq!(write(&mut corked, cx, &[answer; 1000]), Poll::Ready(1000));
            assert!(Pin::new(&mut corked).poll_flush(cx).is_ready());
        }
        assert!(handle.0.borrow().stream.calls.is_empty());
        handle.uncork(cx);
        let inner = handle.0.borrow();
        assert_eq!(inner.stream.calls.len(), 1);
        assert_eq!(inner.stream.calls.concat(), (0..30_u8).flat_map(|answer| [answer; 1000]).collect::<Vec<_>>());
        assert_eq!(inner.gathered.capacity(), 0);
    }

    #[test]
    fn a_full_socket_is_back_pressure_and_nothing_is_lost_or_swapped() {
        let cx = &mut Context::from_waker(Waker::noop());
        let (mut corked, handle) = cork(Wire { room: 7_000, full: true, ..Wire::default() });
        let mut expected = Vec::new();
        let mut write_all = |corked: &mut Corked<Wire>, cx: &mut Context<'_>| {
            let mut accepted = 0;
            for byte in 0..200_u8 {
                match write(corked, cx, &[byte; 1000]) {
                    Poll::Ready(taken) => expected.extend(std::iter::repeat_n(byte, taken)),
                    Poll::Pending => break,
                }
                accepted += 1;
            }
            accepted
        };
        assert_eq!(write_all(&mut corked, cx), MOST / 1000, "then it waits");
        handle.uncork(cx);
        handle.0.borrow_mut().stream.full = false;
        assert_eq!(write_all(&mut corked, cx), 200);
        let large = vec![250; 20_000];
        let mut rest = &large[..];
        while !rest.is_empty() {
            let Poll::Ready(taken) = write(&mut corked, cx, rest) else { panic!("the socket takes it") };
            rest = rest.get(taken..).unwrap();
        }
        expected.extend(large);
        assert!(Pin::new(&mut corked).poll_shutdown(cx).is_ready());
        assert!(handle.0.borrow().stream.calls.concat() == expected);
    }
}
