//! A client's socket with TLS on it that tls-terminator began and this process goes on with: records to plaintext and back.
//!
//! The record layer itself, with no I/O in it, is the crate [`tls_record`] (RFC 8446 §5; RFC 5246 §6.2), `layer` is that of either version; here are the buffers and the system calls. A small
//! request costs one of them each way. The buffers are shared by all connections and borrowed for one step; a connection keeps only
//! what a step could not finish, so an idle one has none: the beginning of a record, plaintext that the reader had no room for, and
//! records that the socket did not take. None of these exceeds the shared buffer.
//!
//! Ends (RFC 8446 §6.1): `close_notify` is the end of the stream; an end without it is an error, for what came may be cut off.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use common::ipc::messages::terminator_to_filter::{Tls12Keys, Tls13Secrets};
use common_http::guarded::Clock;
use tls_record::{Fault, Limits, MAX_PLAINTEXT, MAX_RECORD, Opened};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::succession::{Parted, Stream};
use layer::Layer;

mod layer;

/// Bytes read from a socket at once, and bytes of plaintext sealed for one write. Larger ones gained nothing.
const STEP: usize = 64 * 1024;
/// After so many milliseconds without a write, what is written first goes out in small records: one fits into one packet, so the client can
/// use it before the next ones come. (It waits for whole records.)
const IDLE: u64 = 1_000;
/// Plaintext of such a record: what is left of an Ethernet frame's 1,500 bytes beside IPv6, TCP with timestamps, and the record itself, of which
/// AES-GCM in TLS 1.2 adds most.
const SMALL_RECORD: usize = 1_500 - 40 - 32 - tls_record::tls12::OVERHEAD;
/// So many bytes are written that way: about the first window of a TCP connection (RFC 6928).
const SMALL_FIRST: usize = 14_000;
/// Bytes of a client that broke the protocol which are read and forgotten.
const FAREWELL: usize = 128 * 1024;

/// See the module.
#[derive(Debug)]
pub struct TlsStream {
    socket: TcpStream,
    layer: Box<Layer>,
    /// Ciphertext that was not opened yet.
    held: Vec<u8>,
    /// Plaintext for which the reader had no room; `given` bytes of it are gone.
    plain: Vec<u8>,
    given: usize,
    /// Records that the socket did not take; `sent` bytes of them are gone.
    unsent: Vec<u8>,
    sent: usize,
    clock: Clock,
    wrote: u64,
    /// Bytes still to be written in small records.
    small: usize,
    /// The socket did not take the last write whole.
    slow: bool,
    /// Bytes read and forgotten after a fault.
    forgotten: usize,
}

/// Why a connection cannot be gone on with. tls-terminator is at fault.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The secrets do not fit together.
    #[error("{0}")]
    Secrets(#[from] tls_record::Error),
    /// More than one record of a client whose handshake is just done.
    #[error("{0} bytes were read behind the handshake, at most {STEP} can be taken over")]
    TooMuch(usize),
}

struct Scratch {
    input: Vec<u8>,
    output: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        input: vec![0; STEP + MAX_RECORD],
        output: Vec::with_capacity(STEP + 4096),
    });
}

impl TlsStream {
    /// Goes on with TLS 1.3 where tls-terminator stopped. Seals nothing before it is written to or read from.
    ///
    /// # Errors
    /// The message makes no sense.
    pub fn tls13(socket: TcpStream, secrets: Tls13Secrets, limits: Limits, clock: Clock) -> Result<Self, Unusable> {
        Self::new(socket, Layer::tls13(&secrets, limits)?, secrets.received, clock)
    }

    /// The same with TLS 1.2.
    ///
    /// # Errors
    /// The message makes no sense.
    pub fn tls12(socket: TcpStream, keys: Tls12Keys, limits: Limits, clock: Clock) -> Result<Self, Unusable> {
        Self::new(socket, Layer::tls12(&keys, limits)?, keys.received, clock)
    }

    fn new(socket: TcpStream, layer: Layer, received: Box<[u8]>, clock: Clock) -> Result<Self, Unusable> {
        if received.len() > STEP {
            return Err(Unusable::TooMuch(received.len()));
        }
        Ok(Self {
            socket,
            layer: Box::new(layer),
            held: received.into(),
            plain: Vec::new(),
            given: 0,
            unsent: Vec::new(),
            sent: 0,
            wrote: clock.now(),
            clock,
            small: SMALL_FIRST,
            slow: false,
            forgotten: 0,
        })
    }

    /// Passes on plaintext that was left over. Whether there was any.
    fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let rest = self.plain.get(self.given..).unwrap_or_default();
        if rest.is_empty() {
            return false;
        }
        let count = rest.len().min(buf.remaining());
        buf.put_slice(rest.get(..count).unwrap_or_default());
        self.given += count;
        if self.given == self.plain.len() {
            (self.plain, self.given) = (Vec::new(), 0);
        }
        true
    }

    fn read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>, scratch: &mut Scratch) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let mut filled = self.held.len();
        if let Some(place) = scratch.input.get_mut(..filled) {
            place.copy_from_slice(&self.held);
        }
        loop {
            let (consumed, opened) = self.open(scratch.input.get_mut(..filled).unwrap_or_default(), buf);
            scratch.input.copy_within(consumed..filled, 0);
            filled -= consumed;
            self.answer(cx, opened.is_err(), &mut scratch.output);
            if buf.filled().len() > before || opened == Ok(true) {
                self.hold(scratch.input.get(..filled).unwrap_or_default());
                return Poll::Ready(Ok(()));
            }
            if let Err(fault) = opened {
                self.held = Vec::new();
                return self.part(cx, fault, &mut scratch.input);
            }
            let room = filled + buf.remaining().clamp(MAX_RECORD, STEP);
            let mut fresh = ReadBuf::new(scratch.input.get_mut(filled..room).unwrap_or_default());
            match Pin::new(&mut self.socket).poll_read(cx, &mut fresh).map_ok(|()| fresh.filled().len()) {
                Poll::Ready(Ok(0)) => return Poll::Ready(self.layer.end().map_err(fault_error)),
                Poll::Ready(Ok(count)) => filled += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.hold(scratch.input.get(..filled).unwrap_or_default());
                    return Poll::Pending;
                }
            }
        }
    }

    /// Opens records as long as there is room for their plaintext: bytes consumed, and whether the client has finished.
    fn open(&mut self, input: &mut [u8], buf: &mut ReadBuf<'_>) -> (usize, Result<bool, Fault>) {
        let mut at = 0;
        while buf.remaining() > 0 {
            match self.layer.open(input.get_mut(at..).unwrap_or_default()) {
                Ok(Opened::Data { consumed, plain }) => {
                    at += consumed;
                    let (now, later) = plain.split_at(plain.len().min(buf.remaining()));
                    buf.put_slice(now);
                    if !later.is_empty() {
                        self.plain = later.to_vec();
                    }
                }
                Ok(Opened::Nothing { consumed }) => at += consumed,
                Ok(Opened::Closed { consumed }) => return (at + consumed, Ok(true)),
                Ok(Opened::Incomplete { .. }) => return (at, Ok(false)),
                Err(fault) => return (input.len(), Err(fault)),
            }
        }
        (at, Ok(false))
    }

    /// Keeps what was not opened for the next step.
    fn hold(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            self.held = Vec::new();
        } else {
            self.held.clear();
            self.held.extend_from_slice(rest);
        }
    }

    /// Ends the connection of a client that broke the protocol. The alert is on its way; closing now, with bytes unread, would reset the
    /// connection and destroy it. So what still comes is read and forgotten until the client leaves, or a deadline says that it is enough.
    fn part(&mut self, cx: &mut Context<'_>, fault: Fault, input: &mut [u8]) -> Poll<io::Result<()>> {
        ready!(self.flush(cx))?;
        if self.forgotten == 0 {
            let _ = Pin::new(&mut self.socket).poll_shutdown(cx);
        }
        while self.forgotten < FAREWELL {
            let mut fresh = ReadBuf::new(input);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut fresh))?;
            match fresh.filled().len() {
                0 => break,
                count => self.forgotten += count,
            }
        }
        Poll::Ready(Err(fault_error(fault)))
    }

    /// Sends what the record layer has to say by itself: an answer to a new key, a refusal of a new handshake, an alert. Best effort; it goes before anything later.
    ///
    /// While the socket does not take what was sent before, keys that the client asks for stay due: one answer is enough for all of them
    /// (RFC 8446 §4.6.3), and a client that asks but never reads cannot pile up answers here. An alert is the last thing and does not wait.
    fn answer(&mut self, cx: &mut Context<'_>, ended: bool, output: &mut Vec<u8>) {
        if self.layer.wants_control() && (matches!(self.flush(cx), Poll::Ready(Ok(()))) || ended) {
            output.clear();
            self.layer.control(output);
            self.unsent.extend_from_slice(output);
            let _ = self.flush(cx);
        }
    }

    /// Sends what is left.
    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.unsent.len() {
            let rest = self.unsent.get(self.sent..).unwrap_or_default();
            match ready!(Pin::new(&mut self.socket).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
        }
        if self.sent > 0 {
            (self.unsent, self.sent) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }

    fn write(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>], output: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        ready!(self.flush(cx))?;
        output.clear();
        let record = self.record_size();
        // To a client that takes its time one record goes at a time: only what was handed over whole counts as taken.
        let step = if self.slow { MAX_PLAINTEXT } else { STEP };
        let taken = self.layer.seal(parts, step, record, output).map_err(fault_error);
        if taken.is_err() {
            self.layer.control(output); // a key that is worn, in TLS 1.2: nothing may come behind its last record
        }
        self.small = self.small.saturating_sub(*taken.as_ref().unwrap_or(&0));
        // What was sealed must go out whatever the socket says: its numbers are used up.
        let sent = match Pin::new(&mut self.socket).poll_write(cx, output) {
            Poll::Ready(Ok(sent)) => sent,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => 0,
        };
        let rest = output.get(sent..).unwrap_or_default();
        self.slow = !rest.is_empty();
        self.unsent.extend_from_slice(rest);
        Poll::Ready(taken)
    }

    /// Bytes of plaintext per record now.
    fn record_size(&mut self) -> usize {
        let now = self.clock.now();
        if now.saturating_sub(std::mem::replace(&mut self.wrote, now)) >= IDLE {
            self.small = SMALL_FIRST;
        }
        if self.small > 0 { SMALL_RECORD } else { MAX_PLAINTEXT }
    }
}

/// A fault as the stream's error; [`fault`] finds it again.
fn fault_error(fault: Fault) -> io::Error {
    let kind = match fault {
        Fault::Truncated => io::ErrorKind::UnexpectedEof,
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, fault)
}

/// The fault of the client's TLS behind an error of its connection, if that is what ended it.
pub fn fault<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Fault> {
    let error =
        std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref::<io::Error>());
    error?.get_ref()?.downcast_ref()
}

impl Stream for TlsStream {
    fn is_movable(&self) -> bool {
        self.unsent.is_empty() && self.layer.is_movable()
    }

    fn part(mut self) -> io::Result<Parted> {
        if !self.is_movable() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let kind = self.layer.into_kind(self.held).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Parted {
            socket: self.socket.into_std()?.into(),
            kind: Some(kind),
            ahead: self.plain.split_off(self.given.min(self.plain.len())),
        })
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        if me.give(buf) || buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        SCRATCH.with_borrow_mut(|scratch| me.read(cx, buf, scratch))
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        SCRATCH.with_borrow_mut(|scratch| me.write(cx, parts, &mut scratch.output))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        me.layer.close(&mut me.unsent);
        ready!(me.flush(cx))?;
        Pin::new(&mut me.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
