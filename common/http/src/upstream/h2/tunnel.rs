//! A stream that carries another protocol (RFC 8441: WebSocket by extended CONNECT) as a pair of byte streams.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::link::Seat;

/// See the module's words.
pub struct Tunnel {
    sending: SendStream<Bytes>,
    receiving: RecvStream,
    ahead: Bytes,
    _seat: Seat,
}

impl Tunnel {
    pub(super) fn new(sending: SendStream<Bytes>, receiving: RecvStream, seat: Seat) -> Self {
        Tunnel { sending, receiving, ahead: Bytes::new(), _seat: seat }
    }
}

fn broken(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

impl AsyncRead for Tunnel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.ahead.is_empty() {
            match ready!(self.receiving.poll_data(cx)) {
                Some(Ok(data)) => self.ahead = data,
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.ahead.len().min(buf.remaining());
        buf.put_slice(self.ahead.get(..count).unwrap_or_default());
        self.ahead.advance(count);
        // An error only says that the stream is over.
        let _ = self.receiving.flow_control().release_capacity(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.sending.reserve_capacity(bytes.len());
        let room = match ready!(self.sending.poll_capacity(cx)) {
            Some(room) => room.map_err(broken)?,
            None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        };
        let piece = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.sending.send_data(Bytes::copy_from_slice(piece), false).map_err(broken)?;
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.sending.send_data(Bytes::new(), true).is_err() {
            self.sending.send_reset(Reason::CANCEL);
        }
        Poll::Ready(Ok(()))
    }
}
