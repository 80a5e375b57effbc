//! Idle HTTP/1 connections rest: hyper's buffers and state machine (some 20 KiB) are dropped, only the guarded stream stays, and the next bytes
//! begin with a new state machine. Thousands of kept-alive connections then cost what sockets cost.
//!
//! hyper does not give its stream back, so it only gets it lent: dropped, the loan returns to us. Between two requests nothing is lost with it,
//! because the guard passes whole messages only, and nothing is left to be written when the client is not waited for.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are read at once after a rest: a whole request, nearly always.
const FIRST: usize = 2048;

/// Where a loan returns to.
#[derive(Debug)]
pub struct Lender<S>(Arc<Mutex<Loan<S>>>);

#[derive(Debug)]
struct Loan<S> {
    wanted: bool,
    returned: Option<S>,
}

/// A stream on loan, with bytes that were read from it already.
#[derive(Debug)]
pub struct Lent<S> {
    stream: Option<S>,
    ahead: Vec<u8>,
    lender: Arc<Mutex<Loan<S>>>,
}

/// Lends a stream.
pub fn lend<S>(stream: S, ahead: Vec<u8>) -> (Lent<S>, Lender<S>) {
    let loan = Arc::new(Mutex::new(Loan { wanted: false, returned: None }));
    (Lent { stream: Some(stream), ahead, lender: Arc::clone(&loan) }, Lender(loan))
}

impl<S> Lender<S> {
    /// Drops the borrower and takes the stream back, if it still had it.
    pub fn recall<B>(self, borrower: B) -> Option<S> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).wanted = true;
        drop(borrower);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).returned.take()
    }
}

impl<S> Drop for Lent<S> {
    fn drop(&mut self) {
        let mut loan = self.lender.lock().unwrap_or_else(PoisonError::into_inner);
        if loan.wanted {
            loan.returned = self.stream.take();
        }
    }
}

/// Waits for the first bytes after a rest; none at the end of the stream.
///
/// # Errors
/// Those of the stream.
pub async fn first_bytes<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Vec<u8>> {
    std::future::poll_fn(|cx| {
        // On the stack and only while polled: a resting connection has no buffer.
        let mut scratch = [0u8; FIRST];
        let mut buf = ReadBuf::new(&mut scratch);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().to_vec()))
    })
    .await
}

impl<S> Lent<S> {
    /// The borrower keeps the stream for good; with it comes what was read from it and not asked for yet.
    pub fn keep(mut self) -> Option<(S, Vec<u8>)> {
        Some((self.stream.take()?, std::mem::take(&mut self.ahead)))
    }
}

impl<S: Unpin> Lent<S> {
    fn stream(&mut self) -> io::Result<Pin<&mut S>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lent<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        if me.ahead.is_empty() {
            return me.stream()?.poll_read(cx, buf);
        }
        let count = me.ahead.len().min(buf.remaining());
        buf.put_slice(me.ahead.get(..count).unwrap_or_default());
        me.ahead.drain(..count);
        if me.ahead.is_empty() {
            me.ahead = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lent<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().stream()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().stream()?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream()?.poll_shutdown(cx)
    }
}
