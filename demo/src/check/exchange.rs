//! One request and its answer over a connection that is already there, HTTP/1.1 or HTTP/2.

use super::got::{End, Got};
use crate::pattern::Pattern;
use crate::scenarios::Ask;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

/// How much of a body is kept to be looked at, in bytes.
const KEPT: usize = 16 * 1024;

/// The bodies we send.
pub type Upload = BoxBody<Bytes, Infallible>;

/// A form, bytes of the pattern, or nothing at all.
#[must_use]
pub fn body(ask: &Ask) -> Upload {
    match ask.upload {
        0 if ask.form.is_empty() => BoxBody::new(Empty::new()),
        0 => BoxBody::new(Full::new(Bytes::from_static(ask.form.as_bytes()))),
        length => Pattern::of(length),
    }
}

/// Over HTTP/1.1.
///
/// # Errors
/// What ended the exchange too early.
pub async fn h1<S>(stream: S, request: Request<Upload>) -> Result<Got, Box<Got>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Dropped at the end, and the connection with it.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = sender.send_request(request).await?;
    receive(response).await
}

/// Over HTTP/2.
///
/// # Errors
/// What ended the exchange too early.
pub async fn h2<S>(stream: S, request: Request<Upload>) -> Result<Got, Box<Got>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = sender.send_request(request).await?;
    receive(response).await
}

/// Reads an answer to its end.
async fn receive(response: Response<Incoming>) -> Result<Got, Box<Got>> {
    let (head, mut body) = response.into_parts();
    let mut got = Got { headers: head.headers, ..Got::ended(End::Status(head.status.as_u16())) };
    let mut kept = Vec::new();
    let mut first = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if data.is_empty() {
            continue;
        }
        got.over = first.get_or_insert_with(Instant::now).elapsed();
        got.body.take(&data);
        let room = KEPT.saturating_sub(kept.len()).min(data.len());
        kept.extend_from_slice(data.get(..room).unwrap_or_default());
    }
    if first.is_none() {
        got.over = Duration::ZERO;
    }
    got.text = String::from_utf8_lossy(&kept).into_owned();
    Ok(got)
}
