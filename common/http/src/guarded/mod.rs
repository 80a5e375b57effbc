//! A client connection on which only unambiguous HTTP/1 reaches hyper: [`Guarded`] wraps the socket (or TLS stream) and lets bytes through after
//! [`crate::framing`] has understood them.
//!
//! - A head is held back until it is whole and valid. If it lies in one read (nearly always) it stays in hyper's own buffer: no copy, no allocation.
//!   Otherwise its beginning waits in a side buffer that exists only meanwhile.
//! - A refused head is replaced by a tiny stand-in request; the service learns from [`Ledger::begin`] that it has to answer with the violation's
//!   status and close. So refusals are answered in order, after the answers to earlier pipelined requests, and no handler sees a byte of them.
//! - A violation inside a body is an I/O error: hyper breaks that request off and closes.
//! - After a refusal no byte of the client is ever passed on; what still comes is thrown away for a moment, so that the client can read
//!   the answer before the kernel resets the connection.
//! - After CONNECT or an upgrade the bytes wait until the [`Exchange`] has decided: another protocol, or more HTTP.
//!
//! Deadlines are not timers here: stamps go into the [`Ledger`], and [`Watch`] looks at all of them together.

mod clock;
mod flood;
mod gather;
mod ledger;
mod watch;

#[cfg(test)]
mod tests;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::framing::{Framing, Limits, Step, Violation};
use crate::h2_guard::{Budgets, Guard};
pub use clock::Clock;
pub(crate) use clock::millis;
use flood::NO_ERROR;
use ledger::Switch;
pub use ledger::{Exchange, Expired, HeadVerdict, Ledger, Phase};
pub use watch::{Deadlines, SWEEP_INTERVAL, Watch};

/// What hyper reads in place of a refused head. The service never looks at it.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused.invalid\r\nconnection: close\r\n\r\n";
/// How much of another protocol's first bytes waits here until the answer is known.
const HOLD_LIMIT: usize = 16 * 1024;
/// How much of a refused client's bytes is thrown away before we stop reading.
const DISCARD_LIMIT: usize = 256 * 1024;

/// What the reading side is doing.
#[derive(Debug, Clone, Copy)]
enum Mode {
    Http,
    /// Bytes of the stand-in request that hyper has not read yet; then silence.
    Refused(&'static [u8]),
    /// The last message was announced as such and is complete: nothing more is passed on.
    Mute,
    /// The body in progress cannot be trusted.
    Broken(Violation),
    /// Another protocol: bytes pass unread.
    Opaque,
    Eof,
}

/// See the module's words. `S` is a TCP socket, a Unix stream or a TLS stream.
#[derive(Debug)]
pub struct Guarded<S> {
    io: S,
    framing: Framing,
    presence: Presence,
    mode: Mode,
    /// The answer decides whether HTTP goes on.
    holding: bool,
    /// Beginning of a head, or bytes behind one: `released` of them may be passed on.
    side: Vec<u8>,
    released: usize,
    waker: Option<Waker>,
    said_goodbye: bool,
    discarded: usize,
    /// Of an HTTP/2 connection.
    h2: Option<Box<Guard>>,
}

/// Tells the watch when the connection is gone, whoever held it last.
#[derive(Debug)]
struct Presence(Arc<Ledger>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.enter(Phase::Closed);
    }
}

impl<S> Guarded<S> {
    /// Guards an HTTP/1 connection.
    pub fn new(io: S, limits: Limits, ledger: Arc<Ledger>) -> Self {
        Self::build(io, limits, ledger, Mode::Http)
    }

    /// Guards an HTTP/1 connection of which `ahead` was read already, by another process: judged here as if it came now.
    pub fn go_on(io: S, limits: Limits, ledger: Arc<Ledger>, ahead: Vec<u8>) -> Self {
        let mut guarded = Self::new(io, limits, ledger);
        if !ahead.is_empty() {
            guarded.side = ahead;
            guarded.walk_side();
        }
        guarded
    }

    /// Guards an HTTP/2 connection: its bytes pass as they are while [`crate::h2_guard`] counts them; idle and write deadlines are kept.
    /// Only requests and data count as activity.
    pub fn h2(io: S, budgets: Arc<Budgets>, ledger: Arc<Ledger>) -> Self {
        ledger.enter(Phase::Opaque);
        let guard = Some(Box::new(Guard::new(budgets)));
        Guarded { h2: guard, ..Self::build(io, Limits::DEFAULT, ledger, Mode::Opaque) }
    }

    /// Watches a connection that has switched protocols already, in another process: every byte passes.
    pub fn tunnel(io: S, ledger: Arc<Ledger>) -> Self {
        ledger.enter(Phase::Opaque);
        Self::build(io, Limits::DEFAULT, ledger, Mode::Opaque)
    }

    fn build(io: S, limits: Limits, ledger: Arc<Ledger>, mode: Mode) -> Self {
        Guarded {
            io,
            framing: Framing::new(limits),
            presence: Presence(ledger),
            mode,
            holding: false,
            side: Vec::new(),
            released: 0,
            waker: None,
            said_goodbye: false,
            discarded: 0,
            h2: None,
        }
    }

    /// The connection's ledger.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.presence.0
    }

    /// The stream under the guard.
    pub fn get_ref(&self) -> &S {
        &self.io
    }

    /// After a protocol switch, or when [`Ledger::may_move`]: the stream, and the bytes that were read from it and not passed on yet.
    /// The connection is no longer watched.
    pub fn into_parts(self) -> (S, Vec<u8>) {
        (self.io, self.side)
    }

    /// Judges `input` (which begins where the framing stands): how many leading bytes may pass, and whether the rest is to be kept.
    fn walk(&mut self, input: &[u8]) -> (usize, bool) {
        let mut at = 0usize;
        let mut keep = false;
        while let Some(rest) = input.get(at..)
            && !rest.is_empty()
        {
            let in_body = self.framing.in_body();
            match self.framing.feed(rest) {
                Step::Head { len, head } => {
                    at = at.saturating_add(len);
                    self.ledger().pass_head();
                    if head.may_switch {
                        self.ledger().await_switch();
                    }
                }
                Step::Body { len } => {
                    at = at.saturating_add(len);
                    self.ledger().add_body(len);
                }
                Step::Partial => {
                    keep = true;
                    break;
                }
                Step::Hold => {
                    self.holding = true;
                    keep = true;
                    break;
                }
                Step::Discard { len } => {
                    self.mode = Mode::Mute;
                    if let Step::Refused(violation) = self.framing.feed(rest.get(len..).unwrap_or_default()) {
                        self.ledger().refuse(violation);
                    }
                    break;
                }
                Step::Refused(violation) => {
                    self.refuse(violation, in_body);
                    break;
                }
            }
        }
        self.note_phase();
        (at, keep)
    }

    fn refuse(&mut self, violation: Violation, in_body: bool) {
        self.ledger().refuse(violation);
        self.mode = match violation {
            Violation::BytesAfterClose => Mode::Mute,
            _ if in_body => Mode::Broken(violation),
            _ => Mode::Refused(STAND_IN),
        };
    }

    fn note_phase(&self) {
        let ledger = self.ledger();
        if self.framing.in_body() {
            ledger.enter(Phase::Body);
        } else if self.framing.in_head() {
            ledger.enter(Phase::Head);
        } else if ledger.requests() > 0 || !matches!(self.mode, Mode::Http) {
            ledger.enter(Phase::Between);
        }
    }

    /// Judges what waits in the side buffer, from its first byte.
    fn walk_side(&mut self) {
        let mut side = std::mem::take(&mut self.side);
        let (pass, keep) = self.walk(&side);
        if !keep {
            side.truncate(pass);
        }
        self.side = side;
        self.released = pass;
    }

    fn release(&mut self, buf: &mut ReadBuf<'_>) {
        let count = self.released.min(buf.remaining());
        buf.put_slice(self.side.get(..count).unwrap_or_default());
        self.side.drain(..count);
        self.released -= count;
        if self.side.is_empty() {
            self.side = Vec::new();
        }
    }

    /// The watch says that a deadline was missed.
    fn time_is_up(&mut self, expired: Expired) -> io::Result<()> {
        match (expired, self.mode) {
            (Expired::Head, Mode::Http) => {
                self.side = Vec::new();
                self.refuse(Violation::HeadTimeout, false);
                self.ledger().enter(Phase::Between);
            }
            (Expired::Body, Mode::Http) => {
                self.refuse(Violation::BodyTimeout, true);
                self.ledger().enter(Phase::Between);
            }
            (Expired::Idle, Mode::Opaque) => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the connection was idle for too long"));
            }
            (Expired::FirstByte | Expired::Idle, _) => self.mode = Mode::Eof,
            (Expired::Write, _) => return Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no bytes")),
            _ => {}
        }
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guarded<S> {
    fn read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            if self.released > 0 {
                self.release(buf);
                return Poll::Ready(Ok(()));
            }
            if let Some(expired) = self.ledger().expired() {
                if expired == Expired::Idle {
                    self.say_goaway(cx, NO_ERROR);
                }
                self.time_is_up(expired)?;
            }
            match self.mode {
                Mode::Http => {
                    ready!(self.read_http(cx, buf))?;
                    if buf.filled().len() > before {
                        return Poll::Ready(Ok(()));
                    }
                }
                Mode::Opaque => {
                    ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
                    return Poll::Ready(self.passed(cx, buf.filled().get(before..).unwrap_or_default()));
                }
                Mode::Refused([]) => {
                    ready!(self.discard(cx, buf))?;
                    // The client has said all it will say and waits for our answer: hyper must not see the end, or it would drop the answer.
                    self.discarded = usize::MAX;
                    return Poll::Pending;
                }
                Mode::Refused(rest) => {
                    let (now, later) = rest.split_at_checked(buf.remaining()).unwrap_or((rest, &[]));
                    buf.put_slice(now);
                    self.mode = Mode::Refused(later);
                    return Poll::Ready(Ok(()));
                }
                Mode::Mute => return self.discard(cx, buf),
                Mode::Broken(violation) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, violation)));
                }
                Mode::Eof => return Poll::Ready(Ok(())),
            }
        }
    }

    /// One read of HTTP/1 bytes. May come back without having filled anything: the caller tries again.
    fn read_http(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.holding {
            match self.ledger().switch() {
                Switch::Opaque => {
                    self.ledger().enter(Phase::Opaque);
                    (self.mode, self.holding, self.released) = (Mode::Opaque, false, self.side.len());
                    return Poll::Ready(Ok(()));
                }
                Switch::StayHttp => {
                    self.holding = false;
                    self.framing.stay_http();
                    self.walk_side();
                    return Poll::Ready(Ok(()));
                }
                // No more room: the socket buffer is back-pressure enough.
                Switch::Undecided if self.side.len() >= HOLD_LIMIT => return Poll::Pending,
                Switch::Undecided => {}
            }
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let fresh = buf.filled().get(before..).unwrap_or_default();
        if fresh.is_empty() {
            // A head that never became whole is dropped with the connection; nobody waits for an answer to it.
            (self.mode, self.side) = (Mode::Eof, Vec::new());
            return Poll::Ready(Ok(()));
        }
        self.presence.0.touch();
        if self.holding || !self.side.is_empty() {
            self.side.extend_from_slice(fresh);
            buf.set_filled(before);
            if !self.holding {
                self.walk_side();
            }
            return Poll::Ready(Ok(()));
        }
        let (pass, keep) = self.walk(fresh);
        if keep {
            self.side.extend_from_slice(fresh.get(pass..).unwrap_or_default());
        }
        buf.set_filled(before.saturating_add(pass));
        Poll::Ready(Ok(()))
    }

    /// Reads and throws away; ready only at the end of the stream, or when a limit says that it is enough.
    fn discard(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            if self.discarded > DISCARD_LIMIT {
                return Poll::Pending;
            }
            let result = Pin::new(&mut self.io).poll_read(cx, buf);
            let count = buf.filled().len().saturating_sub(before);
            buf.set_filled(before);
            ready!(result)?;
            if count == 0 {
                return Poll::Ready(Ok(()));
            }
            self.discarded = self.discarded.saturating_add(count);
            if self.framing.is_over() && self.ledger().violation().is_none() && matches!(self.mode, Mode::Mute) {
                self.ledger().refuse(Violation::BytesAfterClose);
            }
        }
    }

    fn wrote(&mut self, cx: &mut Context<'_>, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Ready(written) => {
                self.presence.0.write_progress(written.as_ref().map_or(0, |count| *count));
                if self.h2.as_mut().is_none_or(|guard| guard.worked()) {
                    self.presence.0.touch();
                }
            }
            Poll::Pending => {
                self.presence.0.write_blocks();
                self.presence.0.register(&mut self.waker, cx);
            }
        }
    }

    fn check_write(&self) -> io::Result<()> {
        match self.ledger().expired() {
            Some(Expired::Write) => Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no bytes")),
            _ => Ok(()),
        }
    }

    /// Client bytes may still be on their way that we will never read: closing now would reset the connection and destroy our last answer.
    fn must_linger(&self) -> bool {
        let unread = self.framing.in_body() || self.framing.in_head() || self.ledger().violation().is_some();
        unread && !matches!(self.mode, Mode::Eof | Mode::Opaque)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let result = me.read(cx, buf);
        me.ledger().read_wanted.store(result.is_pending(), Relaxed);
        if result.is_pending() {
            me.presence.0.register(&mut me.waker, cx);
        }
        result
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        me.check_write()?;
        let result = Pin::new(&mut me.io).poll_write(cx, bytes);
        me.count_sent(&result, std::iter::once(bytes));
        me.wrote(cx, &result);
        result
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        me.check_write()?;
        let result = gather::poll_write(&mut me.io, cx, slices);
        me.count_sent(&result, slices.iter().map(|slice| &**slice));
        me.wrote(cx, &result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        me.check_write()?;
        let result = Pin::new(&mut me.io).poll_flush(cx);
        match &result {
            Poll::Pending => me.wrote(cx, &Poll::Pending),
            // What a stream with a buffer (TLS) held back has been taken: nothing is waited for any more.
            Poll::Ready(_) => me.ledger().flushed(),
        }
        result
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        if !me.said_goodbye {
            ready!(Pin::new(&mut me.io).poll_shutdown(cx))?;
            me.said_goodbye = true;
            if !me.must_linger() {
                return Poll::Ready(Ok(()));
            }
            me.ledger().enter(Phase::Linger);
        }
        if me.ledger().phase() != Phase::Linger || me.ledger().expired() == Some(Expired::Linger) {
            return Poll::Ready(Ok(()));
        }
        let mut scratch = [0u8; 4096];
        let mut buf = ReadBuf::new(&mut scratch);
        me.mode = Mode::Mute;
        let result = me.discard(cx, &mut buf);
        if result.is_pending() && me.discarded <= DISCARD_LIMIT {
            me.presence.0.register(&mut me.waker, cx);
            return Poll::Pending;
        }
        // Whatever ended it, the client's side of the connection is of no more interest.
        Poll::Ready(Ok(()))
    }
}
