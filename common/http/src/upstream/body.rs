//! The body of a backend's answer. It drives its connection while it is read, gives it back to the pool when the answer is complete, and closes
//! it when it is dropped before: an answer nobody wants is not read to its end.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::RequestBody;
use super::error::SendError;
use super::h1::{Connection, Upgraded};
use super::pool::Shelf;

/// See the module's words.
pub struct ResponseBody<B: RequestBody + Unpin> {
    /// A frame that came together with the head.
    first: Option<Frame<Bytes>>,
    /// The connection, until the answer is complete.
    lease: Option<Lease<B>>,
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
        let mut body = ResponseBody { first: None, lease: Some(lease) };
        body.finish_if_done();
        body
    }

    /// Like [`ResponseBody::new`] for an answer that switches protocols: the connection stays with it.
    pub(super) fn switching(lease: Lease<B>) -> Self {
        ResponseBody { first: None, lease: Some(lease) }
    }

    /// Takes what is there already, so that an answer that breaks off at once is known before anybody is told that there is one.
    ///
    /// # Errors
    /// The answer broke off.
    pub(super) fn look_ahead(&mut self, cx: &mut Context<'_>) -> Result<(), SendError> {
        if self.lease.is_some()
            && let Poll::Ready(Some(frame)) = self.poll_lease(cx)
        {
            self.first = Some(frame?);
        }
        Ok(())
    }

    /// The connection of an answer that switched protocols.
    pub(super) fn into_upgraded(self) -> Option<Upgraded> {
        self.lease.map(|lease| lease.connection.into_upgraded())
    }

    fn finish_if_done(&mut self) {
        if self.lease.as_ref().is_some_and(|lease| lease.connection.is_done())
            && let Some(Lease { connection, shelf }) = self.lease.take()
        {
            shelf.give_back(connection);
        }
    }

    fn poll_lease(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        let Some(lease) = &mut self.lease else { return Poll::Ready(None) };
        let polled = lease.connection.poll_body(cx);
        match &polled {
            // With a known length the end is known here, and nobody may ask again.
            Poll::Ready(Some(Ok(_)) | None) => self.finish_if_done(),
            Poll::Ready(Some(Err(_))) => self.lease = None,
            Poll::Pending => {}
        }
        polled
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
            None => me.poll_lease(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.lease.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len);
        let first = u64::try_from(first).unwrap_or(u64::MAX);
        match self.lease.as_ref().map_or(Some(0), |lease| lease.connection.left()) {
            Some(left) => SizeHint::with_exact(left.saturating_add(first)),
            None => SizeHint::new(),
        }
    }
}

impl<B: RequestBody + Unpin> std::fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseBody").field("complete", &self.lease.is_none()).finish_non_exhaustive()
    }
}
