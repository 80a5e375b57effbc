//! A stream socket between two of our processes: one half of a socketpair, as it stands between tls-terminator and
//! http-filter for every connection.
//!
//! It is registered with the event loop for reading only: `AF_UNIX` wakes a writer for everything its peer takes from the
//! queue, which would cost a wake-up per request. Writes are tried at once; only while the queue is full a second handle on
//! the same socket waits for room.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{AddressFamily, SendAncillaryBuffer, SendFlags, Shutdown, SocketFlags, SocketType};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe;

/// Bytes that the kernel may queue in each direction. The usual default holds three reads' worth less (and a machine that
/// allows less than this gives what it allows).
const QUEUE: usize = 208 * 1024;

/// See the module.
#[derive(Debug)]
pub struct QuietStream {
    socket: pipe::Receiver,
    room: Option<pipe::Sender>,
}

impl QuietStream {
    /// Makes a pair: our end, and the one to hand over.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        for end in [&ours, &theirs] {
            rustix::net::sockopt::set_socket_send_buffer_size(end, QUEUE)?;
        }
        Ok((Self { socket: pipe::Receiver::from_owned_fd_unchecked(ours)?, room: None }, theirs))
    }

    /// Takes an end that was handed over.
    pub fn from_handed_over(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self { socket: pipe::Receiver::from_owned_fd_unchecked(socket)?, room: None })
    }

    /// Reads; 0 is the end.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Sends some of `bytes`. An error means that the peer takes nothing more.
    pub fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_with_room(cx, |socket| {
            Ok(rustix::net::send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
        })
    }

    /// Sends some of `parts`, with one system call.
    pub fn poll_send_vectored(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.poll_with_room(cx, |socket| {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            Ok(rustix::net::sendmsg(socket, parts, &mut SendAncillaryBuffer::default(), flags)?)
        })
    }

    fn poll_with_room(
        &mut self,
        cx: &mut Context<'_>,
        send: impl Fn(&pipe::Receiver) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let socket = &self.socket;
        let room = match &self.room {
            Some(room) => room,
            None => match send(socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let second = rustix::io::fcntl_dupfd_cloexec(socket.as_fd(), 0)?;
                    self.room.insert(pipe::Sender::from_owned_fd_unchecked(second)?)
                }
                result => return Poll::Ready(result),
            },
        };
        loop {
            ready!(room.poll_write_ready(cx))?;
            match room.try_io(|| send(socket)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// The socket itself, to be handed on: no longer part of the event loop.
    pub fn into_socket(self) -> io::Result<OwnedFd> {
        self.socket.into_nonblocking_fd()
    }

    /// All is sent: no more waiting for room.
    pub fn relax(&mut self) {
        self.room = None;
    }

    /// Tells the peer that we send no more.
    pub fn finish(&mut self) {
        self.room = None;
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
    }

    /// Whether the peer has closed its end altogether, not only finished sending.
    pub fn is_hung_up(&self) -> bool {
        let mut wanted = [PollFd::new(&self.socket, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match rustix::event::poll(&mut wanted, Some(&now)) {
            Ok(_) => wanted.iter().any(|end| end.revents().intersects(PollFlags::HUP | PollFlags::ERR)),
            Err(_) => false,
        }
    }
}

impl AsyncRead for QuietStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for QuietStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = ready!(self.poll_send(cx, bytes))?;
        if sent == bytes.len() {
            self.relax();
        }
        Poll::Ready(Ok(sent))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = ready!(self.poll_send_vectored(cx, parts))?;
        if sent == parts.iter().map(|part| part.len()).sum::<usize>() {
            self.relax();
        }
        Poll::Ready(Ok(sent))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.finish();
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_full_queue_is_waited_for_and_every_byte_arrives_in_order() {
        let (mut ours, theirs) = QuietStream::pair().unwrap();
        let mut theirs = QuietStream::from_handed_over(theirs).unwrap();
        let sent: Vec<u8> = (0..3_000_000u32).map(|number| number.to_le_bytes()[1]).collect();
        let copy = sent.clone();
        let writing = async move {
            for chunk in copy.chunks(100_003) {
                let (head, rest) = chunk.split_at(chunk.len() / 3);
                let written = ours.write_vectored(&[IoSlice::new(head), IoSlice::new(rest)]).await.unwrap();
                ours.write_all(&chunk[written..]).await.unwrap();
            }
            ours.shutdown().await.unwrap();
            ours
        };
        let reading = async {
            tokio::task::yield_now().await; // let the queue fill first
            let mut received = Vec::new();
            theirs.read_to_end(&mut received).await.unwrap();
            received
        };
        let (ours, received) = tokio::join!(writing, reading);
        assert!(received == sent && ours.room.is_none(), "the second handle is gone when nothing waits");
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_is_an_error_and_no_signal() {
        let (mut ours, theirs) = QuietStream::pair().unwrap();
        assert!(!ours.is_hung_up());
        drop(theirs);
        assert!(ours.is_hung_up());
        assert_eq!(ours.write_all(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
