//! The client's body on its way to the backend: streamed, counted, and cut off at `max_body`.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use common_http::upstream::{PassedBody, RequestBody};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::identity_headers::IdentityHeaders;
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
    whole: Option<Whole>,
    limit: Option<u64>,
    meter: Meter,
    /// Fields that no client may send in trailers either.
    ours: Option<Rc<IdentityHeaders>>,
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

/// An HTTP/2 body with an announced length (RFC 9113 §8.1.1): its last bytes are kept back until the stream has ended with them. To the
/// backend a request is whole as soon as the length is reached; only the end shows that it was not more than announced, and so malformed.
#[derive(Debug)]
struct Whole {
    announced: u64,
    left: u64,
    kept: Option<Bytes>,
    trailers: Option<Frame<Bytes>>,
}

impl Whole {
    fn is_empty(&self) -> bool {
        self.kept.is_none() && self.trailers.is_none()
    }
}

impl ClientBody {
    /// A body with a limit in bytes; `announced` is the length of an HTTP/2 body, if it has one.
    pub fn new(body: Incoming, limit: Option<u64>, announced: Option<u64>, meter: Meter) -> Self {
        let whole = announced.map(|announced| Whole { announced, left: announced, kept: None, trailers: None });
        Self { inner: PassedBody::from(body), whole, limit, meter, ours: None }
    }

    /// The same without these fields in its trailers.
    #[must_use]
    pub fn without(self, ours: Option<Rc<IdentityHeaders>>) -> Self {
        Self { ours, ..self }
    }

    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(whole) = &mut self.whole else { return Pin::new(&mut self.inner).poll_frame(cx) };
        if whole.kept.is_none() && whole.trailers.is_some() {
            return Poll::Ready(whole.trailers.take().map(Ok));
        }
        loop {
            let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    whole.kept = None;
                    return Poll::Ready(Some(Err(error)));
                }
                None => return Poll::Ready(whole.kept.take().map(|bytes| Ok(Frame::data(bytes)))),
            };
            let bytes = match frame.into_data() {
                Ok(bytes) => bytes,
                Err(trailers) => {
                    let Some(bytes) = whole.kept.take() else { return Poll::Ready(Some(Ok(trailers))) };
                    whole.trailers = Some(trailers);
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
            };
            whole.left = whole.left.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            if whole.left > 0 || (whole.kept.is_none() && self.inner.is_end_stream()) {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            // What follows the last byte can only be empty: more would have been an error of the stream.
            whole.kept.get_or_insert(bytes);
        }
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
        let polled = self.poll_inner(cx);
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
        let mut polled = polled;
        if let (Some(ours), Poll::Ready(Some(Ok(frame)))) = (&self.ours, &mut polled)
            && let Some(trailers) = frame.trailers_mut()
        {
            ours.strip(trailers);
        }
        polled.map(|frame| frame.map(|frame| frame.map_err(BodyError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream() && self.whole.as_ref().is_none_or(Whole::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.whole {
            // Its end is still to come, so it leaves in chunks (without a length), which can be broken off.
            Some(whole) if whole.announced == 0 && !self.inner.is_end_stream() => SizeHint::default(),
            Some(whole) => {
                let kept = whole.kept.as_ref().and_then(|bytes| u64::try_from(bytes.len()).ok());
                SizeHint::with_exact(whole.left.saturating_add(kept.unwrap_or(0)))
            }
            None => self.inner.size_hint(),
        }
    }
}
