//! A request's body on its way to an HTTP/2 backend: read from the client only as fast as the backend gives window (RFC 9113 §5.2).
//!
//! Until the head of the answer it is driven by the request itself; if it is longer than that, it goes on in a task, so that the
//! two directions of a gRPC stream do not wait for each other. A client that breaks off resets the stream.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;
use tokio::task::AbortHandle;

use super::super::RequestBody;
use super::super::watched::Watched;
use crate::headers::keep_safe_trailers;

/// How an upload ended.
pub(super) enum Uploaded {
    /// All of it was given to the connection.
    Sent,
    /// The backend wants no more of it, or is gone.
    Unwanted,
    /// The client broke off; the stream has been reset.
    ClientFailed(Box<dyn std::error::Error + Send + Sync>),
}

/// See the module's words.
pub(super) struct Upload<B> {
    body: B,
    pub(super) stream: SendStream<Bytes>,
    watched: Rc<Watched>,
    /// Read and not yet sent.
    waiting: Bytes,
    /// Something of the body was read: it cannot be sent a second time.
    pub(super) begun: bool,
    over: bool,
}

/// What remains of an upload once the answer has begun.
pub(super) enum Rest {
    /// Nothing; the handle keeps the stream's sending half.
    Over(SendStream<Bytes>),
    /// It goes on in a task, until then.
    Task { _stop: Stop },
}

/// Ends a task when dropped.
pub(super) struct Stop(AbortHandle);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<B: RequestBody + Unpin> Upload<B>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// `over`: there is nothing to send (or what is sent is not a body).
    pub(super) fn new(body: B, stream: SendStream<Bytes>, watched: Rc<Watched>, over: bool) -> Self {
        Upload { body, stream, watched, waiting: Bytes::new(), begun: false, over }
    }

    /// All of it was sent, or nobody wants the rest.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn into_body(self) -> B {
        self.body
    }

    /// The answer has begun. A switched stream keeps its sending half for the new protocol.
    pub(super) fn go_on(mut self, switched: bool) -> Rest {
        if self.over || switched {
            return Rest::Over(self.stream);
        }
        self.body.detached();
        let task = tokio::task::spawn_local(async move { drop(self.await) });
        Rest::Task { _stop: Stop(task.abort_handle()) }
    }

    /// Sends what waits. Ready when nothing waits any more, or with how it ended.
    fn send_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Option<Uploaded>> {
        while !self.waiting.is_empty() {
            self.stream.reserve_capacity(self.waiting.len());
            let room = match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(room))) => room,
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Some(Uploaded::Unwanted)),
                Poll::Pending => return Poll::Pending,
            };
            let piece = self.waiting.split_to(room.min(self.waiting.len()));
            self.watched.touch();
            let last = self.waiting.is_empty() && self.body.is_end_stream();
            if self.stream.send_data(piece, last).is_err() {
                return Poll::Ready(Some(Uploaded::Unwanted));
            }
            if last {
                return Poll::Ready(Some(Uploaded::Sent));
            }
        }
        Poll::Ready(None)
    }

    fn finish(&mut self, trailers: Option<HeaderMap>) -> Uploaded {
        let sent = match trailers {
            Some(mut trailers) => {
                keep_safe_trailers(&mut trailers);
                self.stream.send_trailers(trailers)
            }
            None => self.stream.send_data(Bytes::new(), true),
        };
        if sent.is_ok() { Uploaded::Sent } else { Uploaded::Unwanted }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Uploaded> {
        loop {
            if let Some(ended) = std::task::ready!(self.send_waiting(cx)) {
                return Poll::Ready(ended);
            }
            if self.stream.poll_reset(cx).is_ready() {
                return Poll::Ready(Uploaded::Unwanted);
            }
            let frame = match std::task::ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    self.stream.send_reset(Reason::CANCEL);
                    return Poll::Ready(Uploaded::ClientFailed(error.into()));
                }
                None => return Poll::Ready(self.finish(None)),
            };
            self.begun = true;
            self.watched.touch();
            match frame.into_data() {
                Ok(data) => {
                    self.waiting = data;
                    if self.waiting.is_empty() && self.body.is_end_stream() {
                        return Poll::Ready(self.finish(None));
                    }
                }
                Err(frame) => match frame.into_trailers() {
                    Ok(trailers) => return Poll::Ready(self.finish(Some(trailers))),
                    Err(_) => continue,
                },
            }
        }
    }
}

impl<B: RequestBody + Unpin> Future for Upload<B>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Output = Uploaded;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Uploaded> {
        if self.over {
            return Poll::Ready(Uploaded::Sent);
        }
        let ended = std::task::ready!(self.step(cx));
        self.over = true;
        Poll::Ready(ended)
    }
}
