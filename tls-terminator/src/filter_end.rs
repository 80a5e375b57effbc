//! Our end of the stream to http-filter: one half of a socketpair.
//!
//! It is registered with the event loop for reading only: `AF_UNIX` wakes a writer for everything its peer takes from the
//! queue, which would cost a wake-up per request. Writes are tried at once; only while the queue is full a second handle on
//! the same socket waits for room.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{AddressFamily, SendFlags, Shutdown, SocketFlags, SocketType};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe;

/// Bytes that the kernel may queue in each direction. The usual default holds three reads' worth less (and a machine that
/// allows less than this gives what it allows).
const QUEUE: usize = 208 * 1024;

/// See the module.
#[derive(Debug)]
pub struct FilterEnd {
    socket: pipe::Receiver,
    room: Option<pipe::Sender>,
}

impl FilterEnd {
    /// Makes a pair: our end, and the one to hand over.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        for end in [&ours, &theirs] {
            rustix::net::sockopt::set_socket_send_buffer_size(end, QUEUE)?;
        }
        Ok((Self { socket: pipe::Receiver::from_owned_fd_unchecked(ours)?, room: None }, theirs))
    }

    /// Reads; 0 is the end.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Sends some of `bytes`. An error means that http-filter takes nothing more.
    pub fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let socket = &self.socket;
        let send =
            || rustix::net::send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL).map_err(io::Error::from);
        let room = match &self.room {
            Some(room) => room,
            None => match send() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let second = rustix::io::fcntl_dupfd_cloexec(socket.as_fd(), 0)?;
                    self.room.insert(pipe::Sender::from_owned_fd_unchecked(second)?)
                }
                result => return Poll::Ready(result),
            },
        };
        loop {
            ready!(room.poll_write_ready(cx))?;
            match room.try_io(send) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// All is sent: no more waiting for room.
    pub fn relax(&mut self) {
        self.room = None;
    }

    /// Tells http-filter that the client sends no more.
    pub fn finish(&mut self) {
        self.room = None;
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
    }

    /// Whether http-filter has closed its end altogether, not only finished sending.
    pub fn is_hung_up(&self) -> bool {
        let mut wanted = [PollFd::new(&self.socket, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match rustix::event::poll(&mut wanted, Some(&now)) {
            Ok(_) => wanted.iter().any(|end| end.revents().intersects(PollFlags::HUP | PollFlags::ERR)),
            Err(_) => false,
        }
    }
}
