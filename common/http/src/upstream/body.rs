//! The body of a backend's answer. It drives its connection while it is read, gives it back to the pool when the answer is complete, and closes
//! it when it is dropped before: an answer nobody wants is not read to its end. Over HTTP/2 it is one stream of a shared connection.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::RequestBody;
use super::error::SendError;
use super::h1::Connection;
use super::h2::Download;
use super::pool::Shelf;
use super::switched::Switched;

/// See the module's words.
pub struct ResponseBody<B: RequestBody + Unpin> {
    /// A frame that came together with the head, or was given back.
    first: Option<Frame<Bytes>>,
    /// Trailers that were read behind it.
    trailers: Option<Box<Frame<Bytes>>>,
    source: Source<B>,
}

enum Source<B: RequestBody + Unpin> {
    /// A connection of its own, until the answer is complete.
    Single(Option<Lease<B>>),
    /// A stream of a shared one.
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
    pub(super) fn new(lease: Lease<B>) -> Self {
        let mut lease = Some(lease);
        finish_if_done(&mut lease);
        ResponseBody { first: None, trailers: None, source: Source::Single(lease) }
    }

    pub(super) fn multiplexed(download: Download) -> Self {
        ResponseBody { first: None, trailers: None, source: Source::Multiplexed(Box::new(download)) }
    }

    /// Like [`ResponseBody::new`] for an answer that switches protocols: the connection stays with it.
    pub(super) fn switching(lease: Lease<B>) -> Self {
        ResponseBody { first: None, trailers: None, source: Source::Single(Some(lease)) }
    }

    /// Takes what is there already, so that an answer that breaks off at once is known before anybody is told that there is one.
    ///
    /// # Errors
    /// The answer broke off.
    pub(super) fn look_ahead(&mut self, cx: &mut Context<'_>) -> Result<(), SendError> {
        if !self.is_over()
            && let Poll::Ready(Some(frame)) = self.poll_source(cx)
        {
            self.first = Some(frame?);
        }
        Ok(())
    }

    /// Gives back what was read of it in order to look at it: `data` comes first, behind it the trailers, then whatever was not read.
    pub fn put_back(&mut self, data: Bytes, trailers: Option<Frame<Bytes>>) {
        self.first = (!data.is_empty()).then(|| Frame::data(data));
        self.trailers = trailers.map(Box::new);
    }

    /// The connection of an answer that switched protocols.
    pub(super) fn into_switched(self) -> Option<Switched> {
        match self.source {
            Source::Single(lease) => lease.map(|lease| Switched::Connection(lease.connection.into_upgraded())),
            Source::Multiplexed(download) => download.into_tunnel().map(|tunnel| Switched::Stream(Box::new(tunnel))),
        }
    }

    fn is_over(&self) -> bool {
        match &self.source {
            Source::Single(lease) => lease.is_none(),
            Source::Multiplexed(download) => download.is_over(),
        }
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        match &mut self.source {
            Source::Single(lease) => poll_single(lease, cx),
            Source::Multiplexed(download) => Pin::new(&mut **download).poll(cx),
        }
    }
}

fn poll_single<B: RequestBody + Unpin>(
    held: &mut Option<Lease<B>>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, SendError>>>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Some(lease) = held else { return Poll::Ready(None) };
    let polled = lease.connection.poll_body(cx);
    match &polled {
        // With a known length the end is known here, and nobody may ask again.
        Poll::Ready(Some(Ok(_)) | None) => finish_if_done(held),
        Poll::Ready(Some(Err(_))) => *held = None,
        Poll::Pending => {}
    }
    polled
}

fn finish_if_done<B: RequestBody + Unpin>(lease: &mut Option<Lease<B>>)
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if lease.as_ref().is_some_and(|lease| lease.connection.is_done())
        && let Some(Lease { connection, shelf }) = lease.take()
    {
        shelf.give_back(connection);
    }
}

impl<B: RequestBody + Unpin> Body for ResponseBody<B>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        let me = self.get_mut();
        match me.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => match me.trailers.take() {
                Some(trailers) => Poll::Ready(Some(Ok(*trailers))),
                None => me.poll_source(cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.trailers.is_none() && self.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len);
        let first = u64::try_from(first).unwrap_or(u64::MAX);
        let left = match &self.source {
            Source::Single(lease) => lease.as_ref().map_or(Some(0), |lease| lease.connection.left()),
            Source::Multiplexed(download) => download.left(),
        };
        match left {
            // Trailers need chunks.
            _ if self.trailers.is_some() => SizeHint::new(),
            Some(left) => SizeHint::with_exact(left.saturating_add(first)),
            None => SizeHint::new(),
        }
    }
}

impl<B: RequestBody + Unpin> std::fmt::Debug for ResponseBody<B>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseBody").field("complete", &self.is_over()).finish_non_exhaustive()
    }
}
