//! The body of a backend's answer. Over HTTP/1 it drives its connection while it is read, gives it back to the pool when the answer is complete,
//! and closes it when it is dropped before; over HTTP/2 it is a stream of a shared connection. An answer nobody wants is not read to its end.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::RequestBody;
use super::connection::Connection;
use super::error::SendError;
use super::h2::Download;
use super::pool::Shelf;
use crate::headers::keep_safe_trailers;

/// See the module's words.
pub struct ResponseBody<B: RequestBody + Unpin> {
    pub(super) source: Source<B>,
}

pub(super) enum Source<B: RequestBody + Unpin> {
    /// A connection of its own, until the answer is complete.
    Single { incoming: Incoming, lease: Option<Lease<B>> },
    /// A stream.
    Multiplexed(Box<Download>),
}

pub(super) struct Lease<B: RequestBody + Unpin> {
    pub(super) connection: Box<Connection<B>>,
    pub(super) shelf: Rc<Shelf<B>>,
}

impl<B: RequestBody + Unpin> ResponseBody<B>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    pub(super) fn new(incoming: Incoming, lease: Lease<B>) -> Self {
        let mut lease = Some(lease);
        if incoming.is_end_stream() {
            finish(&mut lease);
        }
        ResponseBody { source: Source::Single { incoming, lease } }
    }

    /// Like [`ResponseBody::new`] for an answer that switches protocols: the connection stays with it.
    pub(super) fn switching(incoming: Incoming, lease: Lease<B>) -> Self {
        ResponseBody { source: Source::Single { incoming, lease: Some(lease) } }
    }

    pub(super) fn multiplexed(download: Download) -> Self {
        ResponseBody { source: Source::Multiplexed(Box::new(download)) }
    }
}

fn finish<B: RequestBody + Unpin>(lease: &mut Option<Lease<B>>)
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if let Some(Lease { connection, shelf }) = lease.take() {
        shelf.give_back(connection);
    }
}

fn poll_single<B: RequestBody + Unpin>(
    incoming: &mut Incoming,
    held: &mut Option<Lease<B>>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, SendError>>>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Some(lease) = held else {
        return Poll::Ready(None);
    };
    match lease.connection.poll_body(incoming, cx) {
        Poll::Ready(Some(Ok(mut frame))) => {
            lease.connection.watched.touch();
            if let Some(trailers) = frame.trailers_mut() {
                keep_safe_trailers(trailers);
            }
            // With a known length the end is known here, and nobody may ask again.
            if incoming.is_end_stream() {
                finish(held);
            }
            Poll::Ready(Some(Ok(frame)))
        }
        Poll::Ready(Some(Err(error))) => {
            *held = None;
            Poll::Ready(Some(Err(SendError::from_hyper(error))))
        }
        Poll::Ready(None) => {
            finish(held);
            Poll::Ready(None)
        }
        Poll::Pending if lease.connection.watched.expired() => {
            *held = None;
            Poll::Ready(Some(Err(SendError::Stalled)))
        }
        Poll::Pending => Poll::Pending,
    }
}

impl<B: RequestBody + Unpin> Body for ResponseBody<B>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        match &mut self.get_mut().source {
            Source::Single { incoming, lease } => poll_single(incoming, lease, cx),
            Source::Multiplexed(download) => Pin::new(&mut **download).poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Single { lease, .. } => lease.is_none(),
            Source::Multiplexed(download) => download.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Single { incoming, .. } => incoming.size_hint(),
            Source::Multiplexed(download) => download.size_hint(),
        }
    }
}

impl<B: RequestBody + Unpin> std::fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}
