//! A request on its way out: head, then the body as fast as the backend takes it. Small pieces travel with what stands before them, large ones are
//! not copied.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::request::Parts;

use super::Stream;
use super::encode::{self, Delimited};
use crate::upstream::{RequestBody, SendError};

/// A piece of a body up to this size is copied behind the bytes before it, so that one system call sends both.
const SMALL: usize = 8 * 1024;
/// So much is gathered before it is written.
const GATHER: usize = 16 * 1024;

/// Why a request cannot be sent to its end.
pub(super) enum Stopped {
    /// The backend takes no more; it may have answered nevertheless.
    Write(io::Error),
    /// The client's body is at fault.
    Body(SendError),
}

/// One request at a time.
pub(super) struct Upload<B> {
    out: BytesMut,
    /// A large piece behind `out`.
    large: Bytes,
    body: Option<B>,
    delimited: Delimited,
    /// The line end behind a chunk is still owed.
    chunk_open: bool,
    /// A byte of the request was written.
    began: bool,
    /// The body was asked for its first piece.
    asked: bool,
    /// A piece of the body was taken.
    touched: bool,
    /// All of it was written.
    pub(super) complete: bool,
}

impl<B: RequestBody + Unpin> Upload<B>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    pub(super) fn new() -> Self {
        Self {
            out: BytesMut::new(),
            large: Bytes::new(),
            body: None,
            delimited: Delimited::Length(0),
            chunk_open: false,
            began: false,
            asked: false,
            touched: false,
            complete: true,
        }
    }

    /// Takes the next request. The one before must be complete.
    pub(super) fn begin(&mut self, parts: &Parts, body: B) {
        self.out.clear();
        self.delimited = encode::head(&mut self.out, parts, &body.size_hint());
        self.body = (self.delimited != Delimited::Length(0)).then_some(body);
        self.chunk_open = false;
        self.began = false;
        self.asked = false;
        self.touched = false;
        self.complete = false;
    }

    /// Writes as much as goes. Ready: the request is written whole.
    pub(super) fn poll(&mut self, mut io: Pin<&mut dyn Stream>, cx: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        loop {
            let waits = self.gather(cx)?.is_pending();
            if waits && !self.touched && !std::mem::replace(&mut self.asked, true) {
                // Asking was what makes the client's side look for the body. What is there already then travels with the head, and a body
                // that is refused at once takes the whole request with it.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            while !self.out.is_empty() || !self.large.is_empty() {
                let written = ready!(self.write(io.as_mut(), cx)).map_err(Stopped::Write)?;
                if written == 0 {
                    return Poll::Ready(Err(Stopped::Write(io::ErrorKind::WriteZero.into())));
                }
                self.began = true;
                let small = written.min(self.out.len());
                self.out.advance(small);
                self.large.advance((written - small).min(self.large.len()));
                if self.large.is_empty() {
                    self.large = Bytes::new(); // the memory behind it is not kept with an idle connection
                }
            }
            if self.body.is_none() || waits {
                ready!(io.as_mut().poll_flush(cx)).map_err(Stopped::Write)?;
                self.complete = self.body.is_none();
                return if self.complete { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
        }
    }

    fn write(&mut self, io: Pin<&mut dyn Stream>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.large.is_empty() {
            io.poll_write(cx, &self.out)
        } else if self.out.is_empty() {
            io.poll_write(cx, &self.large)
        } else {
            io.poll_write_vectored(cx, &[IoSlice::new(&self.out), IoSlice::new(&self.large)])
        }
    }

    /// Takes pieces of the body until there is enough to write. Pending: the client has sent no more yet.
    fn gather(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Stopped> {
        while self.large.is_empty() && self.out.len() < GATHER {
            let Some(body) = &mut self.body else { break };
            let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) else { return Ok(Poll::Pending) };
            self.touched = true; // a failed body is not the same one any more: it must never be sent elsewhere
            let frame = match frame {
                None => {
                    self.end(None)?;
                    break;
                }
                Some(Err(error)) => return Err(Stopped::Body(SendError::Request(error.into()))),
                Some(Ok(frame)) => frame,
            };
            let ended = body.is_end_stream();
            match frame.into_data() {
                Ok(data) => self.piece(data)?,
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    self.end(Some(&trailers))?;
                    break;
                }
            }
            // What ends a chunked body cannot stand before a large piece of it: then it is asked once more.
            if ended && self.large.is_empty() {
                self.end(None)?;
            }
        }
        Ok(Poll::Ready(()))
    }

    fn piece(&mut self, data: Bytes) -> Result<(), Stopped> {
        if data.is_empty() {
            return Ok(());
        }
        match &mut self.delimited {
            Delimited::Length(left) => {
                let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                *left = left.checked_sub(length).ok_or_else(|| wrong_length("longer"))?;
            }
            Delimited::Chunks => {
                self.close_chunk();
                encode::chunk_size(&mut self.out, data.len());
                self.chunk_open = true;
            }
        }
        if data.len() <= SMALL {
            self.out.put(data);
        } else {
            self.large = data;
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<&http::HeaderMap>) -> Result<(), Stopped> {
        self.body = None;
        match self.delimited {
            Delimited::Length(0) => {}
            Delimited::Length(_) => return Err(wrong_length("shorter")),
            Delimited::Chunks => {
                self.close_chunk();
                encode::last_chunk(&mut self.out, trailers);
            }
        }
        Ok(())
    }

    fn close_chunk(&mut self) {
        if std::mem::take(&mut self.chunk_open) {
            self.out.put_slice(b"\r\n");
        }
    }

    /// The body, if nothing of the request was written and nothing of the body read.
    pub(super) fn untouched(&mut self) -> Option<B> {
        if self.began || self.touched {
            return None;
        }
        self.body.take().or_else(|| (self.delimited == Delimited::Length(0)).then(B::empty))
    }

    /// Gives back what was only needed for the request.
    pub(super) fn rest(&mut self) {
        self.body = None;
        if self.out.capacity() > GATHER {
            self.out = BytesMut::new();
        }
    }
}

fn wrong_length(how: &str) -> Stopped {
    Stopped::Body(SendError::Request(format!("the body is {how} than its Content-Length").into()))
}
