//! One HTTP/1.1 connection to a backend (RFC 9112), driven by whoever uses it: no task, no channel, no timer of its own.
//!
//! Own code on purpose. It is the hot path (hyper's client costs a dispatch task's worth of channels and five allocations per request, measured in
//! `docs/decisions/0012-own-http1-client.md`), the answers of a backend need the same strict reading as requests, and what a client gets when its
//! backend dies half-way must be our decision. It must never send a request twice by itself, and never hand a connection on that has bytes left.
//!
//! [`encode`] and [`upload`] write, [`head`] and [`body`] read; all but `upload` are pure.

mod body;
mod encode;
mod head;
mod upload;

use std::any::Any;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{Response, StatusCode};
use http_body::Frame;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use self::body::{Piece, Reading};
use self::head::Head;
use self::upload::{Stopped, Upload};
use super::error::SendError;
use super::pool::Open;
use super::watched::Watched;
use super::{PoolLimits, RequestBody};

/// Bytes asked for at least with each read, and at most.
const LEAST_READ: usize = 8 * 1024;
/// Bytes of an answer that are read at once, at most.
pub const MOST_READ: usize = 64 * 1024;
/// Interim answers (1xx) before the answer; more are a flood.
const MAX_INTERIM: usize = 16;

/// What a connection runs over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Any {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + Any> Stream for T {}

/// A request that failed, and whether it may be sent elsewhere whatever it is.
pub(super) struct Failed<B> {
    pub(super) error: SendError,
    /// Not a byte was written; the body is untouched.
    pub(super) unsent: Option<B>,
}

/// See the module's words.
pub(super) struct Connection<B> {
    io: Pin<Box<dyn Stream>>,
    input: BytesMut,
    /// How much to ask for next.
    step: usize,
    upload: Upload<B>,
    reading: Reading,
    keep_alive: bool,
    /// Something of the present answer was given away since the reader last had to wait, and may not have been written yet.
    unwritten: bool,
    /// The answer broke off, which is told with the next poll.
    broken: Option<SendError>,
    response_head: usize,
    pub(super) watched: Rc<Watched>,
    /// Clock moment of its birth, and of its last return to the idle list.
    pub(super) born: u64,
    pub(super) idle_since: u64,
    pub(super) served: u64,
    /// Counts it as open as long as it lives.
    open: Open,
}

impl<B: RequestBody + Unpin> Connection<B>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    pub(super) fn new<Io>(io: Io, limits: &PoolLimits, watched: Rc<Watched>, open: Open, now: u64) -> Self
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Self {
            io: Box::pin(io),
            input: BytesMut::new(),
            step: LEAST_READ,
            upload: Upload::new(),
            reading: Reading::Done,
            keep_alive: true,
            unwritten: false,
            broken: None,
            response_head: limits.response_head,
            watched,
            born: now,
            idle_since: now,
            served: 0,
            open,
        }
    }

    /// Whether another request can be sent on it: the last answer was complete, and nothing has come since (not even the end).
    pub(super) fn is_fresh(&mut self) -> bool {
        let quiet = &mut Context::from_waker(Waker::noop());
        self.keep_alive
            && self.upload.complete
            && self.reading.is_done()
            && self.input.is_empty()
            && self.fill(quiet).is_pending()
    }

    /// Its answer is complete; nobody is to be woken by it, and it holds no more memory than it needs.
    pub(super) fn rest(&mut self) {
        self.watched.stop();
        self.upload.rest();
        self.step = LEAST_READ;
        if self.input.capacity() > LEAST_READ {
            self.input = BytesMut::new();
        }
    }

    /// The body of the answer is complete.
    pub(super) fn is_done(&self) -> bool {
        self.reading.is_done()
    }

    /// Bytes of the body to come, if that is known.
    pub(super) fn left(&self) -> Option<u64> {
        self.reading.left()
    }

    /// Sends one request and waits for the head of the answer.
    pub(super) async fn exchange(&mut self, parts: &Parts, body: B) -> Result<Response<()>, Failed<B>> {
        let mut body = Some(body);
        let mut interim = 0;
        let mut begun = false;
        let exchange = poll_fn(|cx| {
            if !std::mem::replace(&mut begun, true)
                && let Some(body) = body.take()
            {
                self.upload.begin(parts, body);
            }
            match self.poll_head(parts, &mut interim, cx) {
                Poll::Pending if self.watched.expired() => Poll::Ready(Err(SendError::FirstByte)),
                Poll::Pending => {
                    self.watched.wakes(cx.waker());
                    Poll::Pending
                }
                ready => ready,
            }
        });
        // It must not wait for its share of the budget: the client's task pays for both sides.
        match tokio::task::unconstrained(exchange).await {
            Ok(response) => Ok(response),
            Err(error) => {
                self.keep_alive = false;
                Err(Failed { error, unsent: self.upload.untouched() })
            }
        }
    }

    fn poll_head(
        &mut self,
        parts: &Parts,
        interim: &mut usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<()>, SendError>> {
        let stopped = self.poll_upload(cx)?;
        loop {
            let head = head::read(&mut self.input, &parts.method, self.response_head).map_err(SendError::Protocol)?;
            if let Some(head) = head {
                match self.begin_answer(parts, head, interim)? {
                    Some(response) => return Poll::Ready(Ok(response)),
                    None => continue,
                }
            }
            match ready!(self.fill(cx)) {
                Ok(0) => return Poll::Ready(Err(SendError::Closed(self.ended_in_head(stopped.as_ref())))),
                // No sign of life: the whole head has one deadline, or a backend could take its time byte by byte.
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(SendError::Closed(error.to_string()))),
            }
        }
    }

    fn ended_in_head(&self, stopped: Option<&io::Error>) -> String {
        match (self.input.is_empty(), stopped) {
            (true, None) => "it closed the connection before it had answered".to_owned(),
            (true, Some(error)) => format!("it took no more of the request: {error}"),
            (false, _) => "it closed the connection in the middle of its head".to_owned(),
        }
    }

    /// Sends on; a backend that takes no more may still have answered, so that is not the end.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<Option<io::Error>, SendError> {
        if self.upload.complete {
            return Ok(None);
        }
        match self.upload.poll(self.io.as_mut(), cx) {
            Poll::Ready(Err(Stopped::Body(error))) => Err(error),
            Poll::Ready(Err(Stopped::Write(error))) => {
                self.keep_alive = false;
                Ok(Some(error))
            }
            Poll::Ready(Ok(())) | Poll::Pending => Ok(None),
        }
    }

    /// `None`: an interim answer, which is for us and not for the client.
    fn begin_answer(
        &mut self,
        parts: &Parts,
        head: Head,
        interim: &mut usize,
    ) -> Result<Option<Response<()>>, SendError> {
        let status = head.response.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            if !parts.headers.contains_key(http::header::UPGRADE) {
                return Err(SendError::Protocol("it switched protocols, which the request did not ask for"));
            }
        } else if status.is_informational() {
            *interim += 1;
            if *interim > MAX_INTERIM {
                return Err(SendError::Protocol("it sent too many interim answers (1xx)"));
            }
            self.watched.touch();
            return Ok(None);
        }
        let asked_to_close = parts.headers.get(http::header::CONNECTION).is_some_and(|value| value == "close");
        self.keep_alive &= head.keep_alive && !asked_to_close;
        self.reading = Reading::from(head.body);
        self.unwritten = false;
        if let Some(left) = self.reading.left() {
            self.step = usize::try_from(left).unwrap_or(MOST_READ).clamp(LEAST_READ, MOST_READ);
        }
        Ok(Some(head.response))
    }

    /// The next frame of the answer's body; the request's body goes on being sent meanwhile.
    ///
    /// hyper's server throws away what it has not written yet when a body fails. A client that has been sent nothing would take that for a
    /// connection closed while idle, and ask again; so an error waits until what came before it could be written.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match self.poll_piece(cx) {
            Poll::Pending if self.watched.expired() => Poll::Ready(Some(Err(SendError::Stalled))),
            Poll::Pending => {
                self.unwritten = false;
                self.watched.wakes(cx.waker());
                Poll::Pending
            }
            Poll::Ready(Some(Err(error))) if self.unwritten => {
                self.broken = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            ready => {
                self.unwritten = true;
                ready
            }
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        self.poll_upload(cx)?;
        loop {
            match self.reading.next(&mut self.input).map_err(SendError::Protocol)? {
                Some(Piece::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Some(Piece::Trailers(fields)) => return Poll::Ready(Some(Ok(Frame::trailers(fields)))),
                None if self.reading.is_done() => return Poll::Ready(None),
                None => {}
            }
            let ended = match ready!(self.fill(cx)) {
                Ok(0) if self.reading.ends_with_connection() => {
                    self.reading = Reading::Done;
                    return Poll::Ready(None);
                }
                Ok(0) => "it closed the connection in the middle of its answer".to_owned(),
                Ok(_) => {
                    self.watched.touch();
                    continue;
                }
                Err(error) => error.to_string(),
            };
            return Poll::Ready(Some(Err(SendError::Closed(ended))));
        }
    }

    /// Reads once. 0: the end.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let step = self.step;
        if self.input.capacity() - self.input.len() < step / 2 {
            self.input.reserve(step);
        }
        let room = self.input.capacity() - self.input.len();
        let read = ready!(pin!(self.io.read_buf(&mut self.input)).poll(cx));
        if read.as_ref().is_ok_and(|read| *read == room) {
            self.step = step.saturating_mul(2).min(MOST_READ);
        }
        Poll::Ready(read)
    }

    /// What is left after a switch of protocols.
    pub(super) fn into_upgraded(self) -> Upgraded {
        Upgraded { io: self.io, input: self.input, _open: self.open }
    }
}

/// The backend's side after an answer 101: a plain stream of bytes.
pub struct Upgraded {
    io: Pin<Box<dyn Stream>>,
    /// What came right behind the head.
    input: BytesMut,
    _open: Open,
}

impl std::fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upgraded").finish_non_exhaustive()
    }
}

impl Upgraded {
    /// The stream itself, and bytes of the server that were read from it already. `None`: it is another kind of stream.
    pub fn into_io<Io: 'static>(self) -> Option<(Io, Vec<u8>)> {
        let io: Box<dyn Stream> = Pin::into_inner(self.io);
        let io: Box<dyn Any> = io;
        Some((*io.downcast().ok()?, self.input.into()))
    }

    /// Whether [`Self::into_io`] would say so.
    pub fn is_over<Io: 'static>(&self) -> Option<&Io> {
        let io: &dyn Stream = &*self.io;
        let io: &dyn Any = io;
        io.downcast_ref()
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.input.is_empty() {
            return self.io.as_mut().poll_read(cx, buffer);
        }
        let count = self.input.len().min(buffer.remaining());
        buffer.put_slice(&self.input.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.io.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_shutdown(cx)
    }
}
