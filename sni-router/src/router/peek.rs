//! Looking at what a client has sent without consuming it, and waiting for *more* than is there without spinning.
//!
//! `MSG_PEEK` leaves the bytes in the kernel for the process that will own the socket. `SO_RCVLOWAT` keeps the event loop
//! quiet until as many bytes are there as the reader asked for: a client that drips costs no wake-ups.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use common::sys::socket::set_receive_low_water;
use rustix::net::RecvFlags;
use tokio::io::Interest;
use tokio::net::unix::pipe;

thread_local! {
    /// One buffer for the whole process: a peek is read and judged within one call.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What a look gave.
#[derive(Debug)]
pub enum Look<T> {
    /// The reader has its answer.
    Done(T),
    /// The reader needs so many bytes in all.
    Wait(usize),
    /// The client is gone.
    Gone,
}

/// Peeks up to `limit` bytes and lets `read` judge them. `read` returns `Err(n)` when it needs `n` bytes in all.
pub fn look<T>(socket: impl AsFd, limit: usize, read: impl FnOnce(&[u8]) -> Result<T, usize>) -> Look<T> {
    BUFFER.with_borrow_mut(|buffer| {
        if buffer.len() < limit {
            buffer.resize(limit, 0);
        }
        let Some(room) = buffer.get_mut(..limit) else { return Look::Gone };
        match rustix::net::recv(socket, &mut *room, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((0, _)) => Look::Gone,
            Ok((count, _)) => match read(room.get(..count).unwrap_or_default()) {
                Ok(answer) => Look::Done(answer),
                Err(needed) => Look::Wait(needed),
            },
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Look::Wait(1),
            Err(_) => Look::Gone,
        }
    })
}

/// A socket that is waited on, read-only, until a reader has its answer; then it is as if nothing had happened to it.
#[derive(Debug)]
pub struct Watched {
    pipe: pipe::Receiver,
}

impl Watched {
    /// Begins to wait on a connected socket.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self { pipe: pipe::Receiver::from_owned_fd_unchecked(socket)? })
    }

    /// Looks again and again, each time there is as much as the reader asked for. `None`: the client is gone.
    pub async fn until<T>(&self, limit: usize, read: impl Fn(&[u8]) -> Result<T, usize>) -> Option<T> {
        loop {
            let ended = self.pipe.ready(Interest::READABLE).await.ok()?.is_read_closed();
            let needed = match look(&self.pipe, limit, &read) {
                Look::Done(answer) => return Some(answer),
                Look::Gone => return None,
                // Nothing more will come, and what is there is not enough.
                Look::Wait(_) if ended => return None,
                Look::Wait(needed) => needed,
            };
            set_receive_low_water(&self.pipe, needed).ok()?;
            // More may have come between the look and the new mark: ask once more before giving up the readiness.
            let enough = || match look(&self.pipe, limit, &read) {
                Look::Wait(_) => Err(io::ErrorKind::WouldBlock.into()),
                other => Ok(other),
            };
            match self.pipe.try_io(enough) {
                Ok(Look::Done(answer)) => return Some(answer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                _ => return None,
            }
        }
    }

    /// Gives the socket back with its mark as before.
    pub fn release(self) -> io::Result<OwnedFd> {
        set_receive_low_water(&self.pipe, 1)?;
        self.pipe.into_nonblocking_fd()
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}
