//! One direction of a tunnel: take bytes from one socket, give them to the other, pass the end of stream on after the last byte.
//!
//! Small traffic is copied through one scratch buffer that the whole thread shares, so a quiet connection owns no buffer at all. After a read of
//! [`SPLICE_ABOVE`] bytes the direction splices through a pooled pipe, and goes back to copying when a splice moved less than [`COPY_BELOW`]:
//! for small messages a copy is cheaper than two system calls more.
//!
//! It must never reorder or lose a byte, never hold a pipe that is empty, and never turn a reset into a clean end of stream.

mod stand_still;

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::pipes::{HeldPipe, PipePool};

/// The most one read may bring when copying, in bytes; also the most a copying direction may hold back.
pub const SCRATCH_SIZE: usize = 64 * 1024;
/// A single read of this many bytes starts splicing.
pub const SPLICE_ABOVE: usize = 32 * 1024;
/// A splice that moved less than this stops splicing.
pub const COPY_BELOW: usize = 8 * 1024;
/// Rounds (read and write) one direction may do before the other connections of the process have their turn. With 1 MiB pipes: at most 4 MiB, about 1.4 ms.
const ROUNDS_PER_TURN: usize = 4;

thread_local! {
    /// Borrowed only inside one synchronous call, never across an await.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_SIZE].into_boxed_slice());
}

/// Why a direction cannot go on.
#[derive(Debug)]
pub enum Failure {
    /// The socket we read from failed (a reset, or TCP gave up on the peer).
    Read(io::Error),
    /// The socket we write to failed.
    Write(io::Error),
}

/// What a turn came to.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Waits for a socket; the waker is registered.
    Blocked,
    /// Could go on, but others are waiting. No waker is registered: the caller must arrange to be polled again.
    Tired,
    /// All bytes up to the end of stream are written, and the end itself was passed on (unless told to keep quiet about it).
    Ended,
}

/// One direction. Bytes are in at most one place: `held` or `pipe`.
pub(crate) struct Flow {
    /// Bytes read but not written yet; released as soon as it is empty.
    held: Vec<u8>,
    /// How much of `held` is written.
    sent: usize,
    pipe: Option<HeldPipe>,
    splicing: bool,
    /// End of stream was read.
    ended: bool,
    moved: u64,
    spliced: u64,
    progress: bool,
}

impl Flow {
    /// A direction that begins with bytes somebody has already read.
    pub(crate) fn new(held: Vec<u8>) -> Self {
        Self { held, sent: 0, pipe: None, splicing: false, ended: false, moved: 0, spliced: 0, progress: false }
    }

    /// Somebody read bytes for the receiving socket that it has not got yet.
    pub(crate) fn holds_bytes(&self) -> bool {
        self.sent < self.held.len()
    }

    /// Bytes written to the receiving socket.
    pub(crate) fn moved(&self) -> u64 {
        self.moved
    }

    /// How many of them never entered this process.
    pub(crate) fn spliced(&self) -> u64 {
        self.spliced
    }

    /// Whether a byte moved since the last time this was asked.
    pub(crate) fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.progress)
    }

    /// Forgets what could not be delivered; a pipe with bytes inside is closed by this.
    pub(crate) fn discard(&mut self) {
        self.held = Vec::new();
        self.sent = 0;
        self.pipe = None;
    }

    /// Before tokio knows whether the sockets are ready: send what is held and try one read and one write, directly.
    ///
    /// For a connection that was just handed over with its first bytes waiting in the kernel this saves two turns of the event loop.
    /// It leaves tokio's idea of readiness alone, so no wake-up can be lost.
    pub(crate) fn begin(&mut self, from: &TcpStream, to: &TcpStream) -> Result<(), Failure> {
        self.send_held_now(to)?;
        if !self.held.is_empty() {
            return Ok(());
        }
        SCRATCH.with_borrow_mut(|scratch| match recv(from, &mut scratch[..], RecvFlags::DONTWAIT) {
            Ok((_, 0)) => {
                self.ended = true;
                Ok(())
            }
            Ok((_, count)) => {
                self.progress = true;
                self.splicing = count >= SPLICE_ABOVE;
                self.held = scratch.get(..count).unwrap_or_default().to_vec();
                self.send_held_now(to)
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(Failure::Read(error.into())),
        })
    }

    fn send_held_now(&mut self, to: &TcpStream) -> Result<(), Failure> {
        if self.held.is_empty() {
            return Ok(());
        }
        match send(to, &self.held, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(count) => {
                self.wrote_held(count);
                Ok(())
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(Failure::Write(error.into())),
        }
    }

    /// Moves bytes until a socket blocks, the stream ends or the turn is over. With `pass_end` false the end of stream is *not* passed on.
    pub(crate) fn turn(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
        pipes: &PipePool,
        pass_end: bool,
    ) -> Result<Turn, Failure> {
        for _ in 0..ROUNDS_PER_TURN {
            match self.round(cx, from, to, pipes) {
                Poll::Pending => return Ok(Turn::Blocked),
                Poll::Ready(Err(failure)) => return Err(failure),
                Poll::Ready(Ok(())) if self.ended => {
                    if pass_end {
                        // Fails only when the peer has reset meanwhile; reading from it will tell.
                        let _ = shutdown(&*to, Shutdown::Write);
                    }
                    return Ok(Turn::Ended);
                }
                Poll::Ready(Ok(())) => {}
            }
        }
        Ok(Turn::Tired)
    }

    /// Writes all that is held, then reads once and writes it. After `Ready(Ok)` nothing is held if the stream has ended.
    fn round(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
        pipes: &PipePool,
    ) -> Poll<Result<(), Failure>> {
        ready!(self.write_held(cx, to))?;
        ready!(self.drain_pipe(cx, to))?;
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        if self.splicing
            && let Some(done) = ready!(self.fill_pipe(cx, from, pipes))?
        {
            return if done { Poll::Ready(Ok(())) } else { self.drain_pipe(cx, to) };
        }
        self.copy(cx, from, to)
    }

    fn write_held(&mut self, cx: &mut Context<'_>, to: &mut TcpStream) -> Poll<Result<(), Failure>> {
        while let Some(rest) = self.held.get(self.sent..).filter(|rest| !rest.is_empty()) {
            let count = ready!(Pin::new(&mut *to).poll_write(cx, rest)).map_err(Failure::Write)?;
            if count == 0 {
                return Poll::Ready(Err(Failure::Write(io::ErrorKind::WriteZero.into())));
            }
            self.wrote_held(count);
        }
        Poll::Ready(Ok(()))
    }

    fn wrote_held(&mut self, count: usize) {
        self.sent = self.sent.saturating_add(count);
        self.wrote(count);
        if self.sent >= self.held.len() {
            self.held = Vec::new();
            self.sent = 0;
        }
    }

    fn wrote(&mut self, count: usize) {
        self.moved = self.moved.saturating_add(count as u64);
        self.progress = true;
    }

    fn drain_pipe(&mut self, cx: &mut Context<'_>, to: &TcpStream) -> Poll<Result<(), Failure>> {
        while let Some(pipe) = &mut self.pipe {
            ready!(to.poll_write_ready(cx)).map_err(Failure::Write)?;
            match pipe.drain(to) {
                Ok(count) => {
                    if pipe.bytes() == 0 {
                        self.pipe = None; // back to the pool
                    }
                    self.wrote(count);
                    self.spliced = self.spliced.saturating_add(count as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {} // tokio now knows; the next poll registers the waker
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(Failure::Write(error))),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// `Some(true)`: end of stream. `Some(false)`: the pipe holds bytes. `None`: no pipe to be had, copy instead.
    fn fill_pipe(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        pipes: &PipePool,
    ) -> Poll<Result<Option<bool>, Failure>> {
        loop {
            ready!(from.poll_read_ready(cx)).map_err(Failure::Read)?;
            // Taken only now, so that waiting for bytes does not hold a pipe.
            let Some(mut pipe) = pipes.take() else { return Poll::Ready(Ok(None)) };
            match pipe.fill(from) {
                Ok(0) => {
                    self.ended = true;
                    return Poll::Ready(Ok(Some(true)));
                }
                Ok(count) => {
                    self.progress = true;
                    self.splicing = count >= COPY_BELOW;
                    self.pipe = Some(pipe);
                    return Poll::Ready(Ok(Some(false)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The kernel cannot splice this socket (it never happens with plain TCP): copying always works.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    self.splicing = false;
                    return Poll::Ready(Ok(None));
                }
                Err(error) => return Poll::Ready(Err(Failure::Read(error))),
            }
        }
    }

    fn copy(&mut self, cx: &mut Context<'_>, from: &mut TcpStream, to: &mut TcpStream) -> Poll<Result<(), Failure>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(from).poll_read(cx, &mut buffer)).map_err(Failure::Read)?;
            let mut rest = buffer.filled();
            if rest.is_empty() {
                self.ended = true;
                return Poll::Ready(Ok(()));
            }
            self.progress = true;
            self.splicing = rest.len() >= SPLICE_ABOVE;
            while !rest.is_empty() {
                match Pin::new(&mut *to).poll_write(cx, rest) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(Failure::Write(io::ErrorKind::WriteZero.into()))),
                    Poll::Ready(Ok(count)) => {
                        self.wrote(count);
                        rest = rest.get(count..).unwrap_or_default();
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(Failure::Write(error))),
                    Poll::Pending => {
                        self.held = rest.to_vec();
                        return Poll::Pending;
                    }
                }
            }
            Poll::Ready(Ok(()))
        })
    }
}

/// Reads and throws away what a peer still says after the other side stopped listening, `budget` bytes at most. Ready with `true` at its end of
/// stream, with `false` when it failed or said too much.
///
/// Closing a socket with unread bytes makes the kernel send a reset, and that destroys what is still on its way *to* this peer.
pub(crate) fn poll_discard(cx: &mut Context<'_>, from: &mut TcpStream, budget: &mut usize) -> Poll<bool> {
    SCRATCH.with_borrow_mut(|scratch| {
        loop {
            let mut buffer = ReadBuf::new(scratch);
            let read = ready!(Pin::new(&mut *from).poll_read(cx, &mut buffer));
            let count = buffer.filled().len();
            if read.is_err() || count == 0 {
                return Poll::Ready(read.is_ok());
            }
            match budget.checked_sub(count) {
                Some(left) => *budget = left,
                None => return Poll::Ready(false),
            }
        }
    })
}
