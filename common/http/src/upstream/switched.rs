//! A backend connection (or stream) that carries another protocol: after 101 over HTTP/1.1 (RFC 9110 §7.8), after 2xx to an extended CONNECT
//! over HTTP/2 (RFC 8441).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::RequestBody;
use super::body::ResponseBody;
use super::h1::Upgraded;
use super::h2::Tunnel;

/// The backend's side of another protocol.
pub enum Switched {
    /// A connection.
    Connection(Upgraded),
    /// A stream of one.
    Stream(Box<Tunnel>),
}

/// After an answer that switches: the backend's side of the new protocol. `None`: the answer did not switch.
pub fn upgraded<B>(response: Response<ResponseBody<B>>) -> Option<Switched>
where
    B: RequestBody + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    response.into_body().into_switched()
}

impl AsyncRead for Switched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Switched::Connection(io) => Pin::new(io).poll_read(cx, buf),
            Switched::Stream(io) => Pin::new(&mut **io).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Switched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Switched::Connection(io) => Pin::new(io).poll_write(cx, bytes),
            Switched::Stream(io) => Pin::new(&mut **io).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Switched::Connection(io) => Pin::new(io).poll_flush(cx),
            Switched::Stream(io) => Pin::new(&mut **io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Switched::Connection(io) => Pin::new(io).poll_shutdown(cx),
            Switched::Stream(io) => Pin::new(&mut **io).poll_shutdown(cx),
        }
    }
}
