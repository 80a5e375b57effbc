//! The client's body on its way to the backend: streamed, counted, and cut off at `max_body`. What somebody wants to look at before it leaves is
//! read ahead and kept ([`ClientBody::read_ahead`]); the backend gets the same bytes.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use common_http::upstream::{PassedBody, RequestBody};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::held::{Gathered, Held, Holding};
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
    /// What was read ahead.
    held: Option<Box<Held>>,
}

/// What reading ahead came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ahead {
    /// The whole body is held.
    Whole,
    /// It is larger than what was asked for; at least that much is held.
    Larger,
    /// There is no room for more bodies; a part is held.
    NoRoom,
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
        Self { inner: PassedBody::from(body), whole, limit, meter, ours: None, held: None }
    }

    /// Reads the body until its end or until more than `most` bytes are there, which are given to the backend later. Deadlines, `max_body` and
    /// the count of bytes hold as ever.
    ///
    /// # Errors
    /// As reading it for the backend has: it cannot be sent any more.
    pub async fn read_ahead(&mut self, most: usize, holding: &Holding) -> Result<Ahead, BodyError> {
        let hint = http_body::Body::size_hint(self);
        let expected = hint.exact().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        // A piece that is the whole body is not copied, so room is made only for what will not come at once; and not for much that was only said.
        let expected = if expected > COPIED_LATE { expected.min(most).min(BELIEVED) } else { 0 };
        let mut gathered = Gathered::new(holding, expected);
        let mut held = Held { announced: hint.exact().is_some(), ..Held::default() };
        let ahead = loop {
            if self.is_end_stream() {
                held.whole = true;
                break Ahead::Whole;
            }
            let frame = match std::future::poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await {
                None => {
                    held.whole = true;
                    break Ahead::Whole;
                }
                Some(frame) => frame?,
            };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(frame) => {
                    held.trailers = frame.into_trailers().ok();
                    held.whole = true;
                    break Ahead::Whole;
                }
            };
            let last = self.is_end_stream();
            if !gathered.add(data, last) {
                held.whole = last;
                break Ahead::NoRoom;
            }
            if gathered.len() > most {
                held.whole = last;
                break Ahead::Larger;
            }
        };
        held.data = gathered.finish();
        self.held = Some(Box::new(held));
        Ok(ahead)
    }

    /// What was read ahead and has not been given to the backend.
    pub fn ahead(&self) -> Bytes {
        self.held.as_ref().map_or_else(Bytes::new, |held| held.data.clone())
    }

    /// Its trailers, if they were read ahead.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.held.as_ref()?.trailers.as_ref()
    }

    /// A piece of what was read ahead.
    fn take_held(&mut self) -> Option<Frame<Bytes>> {
        let held = self.held.as_mut()?;
        if !held.data.is_empty() {
            return Some(Frame::data(std::mem::take(&mut held.data)));
        }
        held.trailers.take().map(Frame::trailers)
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
        if let Some(frame) = self.take_held() {
            note(Event::Got);
            return Poll::Ready(Some(Ok(frame)));
        }
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
        self.held.as_ref().is_none_or(|held| held.is_empty()) && self.is_read()
    }

    fn size_hint(&self) -> SizeHint {
        let Some(held) = &self.held else { return self.unread() };
        held.length(self.unread().exact()).map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A body up to this size may well come in one piece, bytes.
const COPIED_LATE: usize = 8 * 1024;
/// Bytes of a body for which room is made because a client says that they will come.
const BELIEVED: usize = 64 * 1024;

impl ClientBody {
    /// All of it has been read from the client.
    fn is_read(&self) -> bool {
        self.inner.is_end_stream() && self.whole.as_ref().is_none_or(Whole::is_empty)
    }

    /// The length of what has not been read.
    fn unread(&self) -> SizeHint {
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
