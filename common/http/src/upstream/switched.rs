//! A backend connection (or stream) that carries another protocol: after 101 over HTTP/1.1 (RFC 9110 §7.8), after 2xx to an extended CONNECT
//! over HTTP/2 (RFC 8441).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::body::ResponseBody;
use super::error::{Cause, SendError};
use super::h2::Tunnel;
use super::{RequestBody, body::Source};

/// The backend's side of another protocol.
pub enum Switched {
    /// A connection.
    Connection(TokioIo<Upgraded>),
    /// A stream of one.
    Stream(Tunnel),
}

/// After an answer that switches: the backend's side of the new protocol. Drive it where the client's side is awaited too.
///
/// # Errors
/// The connection ended before the switch.
pub async fn upgraded<B>(mut response: Response<ResponseBody<B>>) -> Result<Switched, SendError>
where
    B: RequestBody + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let upgrade = hyper::upgrade::on(&mut response);
    match response.into_body().source {
        Source::Single { lease, .. } => {
            if let Some(driver) = lease.and_then(|lease| lease.connection.into_driver()) {
                driver.await.map_err(SendError::from_hyper)?;
            }
            upgrade.await.map(TokioIo::new).map(Switched::Connection).map_err(SendError::from_hyper)
        }
        Source::Multiplexed(download) => {
            let tunnel = download.into_tunnel().map(Switched::Stream);
            tunnel.ok_or(SendError::Closed(Cause::Found("the stream was not switched")))
        }
    }
}

impl AsyncRead for Switched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Switched::Connection(io) => Pin::new(io).poll_read(cx, buf),
            Switched::Stream(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Switched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Switched::Connection(io) => Pin::new(io).poll_write(cx, bytes),
            Switched::Stream(io) => Pin::new(io).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Switched::Connection(io) => Pin::new(io).poll_flush(cx),
            Switched::Stream(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Switched::Connection(io) => Pin::new(io).poll_shutdown(cx),
            Switched::Stream(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
