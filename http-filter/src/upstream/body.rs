//! The client's body on its way to the backend: streamed, counted, and cut off at `max_body`.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use common_http::upstream::{PassedBody, RequestBody};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::streams::{Event, note};

/// Bytes so far, and whether there were too many; shared with whoever asks afterwards.
#[derive(Debug, Clone, Default)]
pub struct Meter(Rc<(Cell<u64>, Cell<bool>)>);

impl Meter {
    /// Bytes read from the client.
    pub fn bytes(&self) -> u64 {
        self.0.0.get()
    }

    /// The body was cut off because it is larger than `max_body`.
    pub fn is_over(&self) -> bool {
        self.0.1.get()
    }
}

/// See the module's words.
#[derive(Debug, Default)]
pub struct ClientBody {
    inner: PassedBody,
    limit: Option<u64>,
    meter: Meter,
}

/// Why a body cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The client broke off, or broke the framing.
    #[error("the client's body cannot be read: {0}")]
    Client(#[from] hyper::Error),
    /// More than `max_body`.
    #[error("the client's body is larger than max_body")]
    TooLarge,
}

impl ClientBody {
    /// A body with a limit in bytes.
    pub fn new(body: Incoming, limit: Option<u64>, meter: Meter) -> Self {
        Self { inner: PassedBody::from(body), limit, meter }
    }
}

impl RequestBody for ClientBody {
    fn empty() -> Self {
        Self::default()
    }

    /// The stream's task no longer sees what the body waits for.
    fn detached(&mut self) {
        note(Event::Got);
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        note(if polled.is_pending() { Event::ClientPending } else { Event::Got });
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            let (bytes, over) = &*self.meter.0;
            bytes.set(bytes.get().saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX)));
            if self.limit.is_some_and(|limit| bytes.get() > limit) {
                over.set(true);
                return Poll::Ready(Some(Err(BodyError::TooLarge)));
            }
        }
        polled.map(|frame| frame.map(|frame| frame.map_err(BodyError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
