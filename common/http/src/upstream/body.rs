//! The body of a backend's answer. It drives its connection while it is read, gives it back to the pool when the answer is complete, and closes
//! it when it is dropped before: an answer nobody wants is not read to its end.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::RequestBody;
use super::connection::Connection;
use super::error::SendError;
use super::pool::Shelf;

/// See the module's words.
pub struct ResponseBody<B: RequestBody + Unpin> {
    incoming: Incoming,
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
    pub(super) fn new(incoming: Incoming, lease: Lease<B>) -> Self {
        let mut body = ResponseBody { incoming, lease: Some(lease) };
        if body.incoming.is_end_stream() {
            body.finish();
        }
        body
    }

    /// Like [`ResponseBody::new`] for an answer that switches protocols: the connection stays with it.
    pub(super) fn switching(incoming: Incoming, lease: Lease<B>) -> Self {
        ResponseBody { incoming, lease: Some(lease) }
    }

    pub(super) fn into_lease(self) -> Option<Lease<B>> {
        self.lease
    }

    fn finish(&mut self) {
        if let Some(Lease { connection, shelf }) = self.lease.take() {
            shelf.give_back(connection);
        }
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
        let Some(lease) = &mut me.lease else {
            return Poll::Ready(None);
        };
        match lease.connection.poll_body(&mut me.incoming, cx) {
            Poll::Ready(Some(Ok(frame))) => {
                lease.connection.watched.touch();
                // With a known length the end is known here, and nobody may ask again.
                if me.incoming.is_end_stream() {
                    me.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                me.lease = None;
                Poll::Ready(Some(Err(SendError::from_hyper(error))))
            }
            Poll::Ready(None) => {
                me.finish();
                Poll::Ready(None)
            }
            Poll::Pending if lease.connection.watched.expired() => {
                me.lease = None;
                Poll::Ready(Some(Err(SendError::Stalled)))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.lease.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl<B: RequestBody + Unpin> std::fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseBody").field("complete", &self.lease.is_none()).finish_non_exhaustive()
    }
}
