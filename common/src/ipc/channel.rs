//! One end of a `SOCK_SEQPACKET` connection: whole frames with their descriptors, never half of either.
//!
//! It is registered with the event loop for reading only (through tokio's pipe receiver, which accepts any descriptor):
//! a read-and-write registration would wake us for every frame the peer takes from its queue. Writes are tried at once;
//! the bounded number of unacknowledged items keeps the queue short, so a full one is the exception.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, Shutdown,
};
use tokio::net::unix::pipe;

use super::codec::{CodecError, MAX_FRAME};

/// Descriptors that one frame may carry.
pub const MAX_DESCRIPTORS: usize = 32;
/// Replies that may wait for a peer that does not read; then the peer is given up.
const MAX_POSTPONED: usize = 4096;
const POSTPONED_RETRY: Duration = Duration::from_millis(2);

/// Why a channel is of no more use. The text names the side at fault.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The peer closed its end or died.
    #[error("the peer hung up")]
    HungUp,
    /// The kernel cut the frame: the peer sent more than a frame may hold.
    #[error("the peer sent a frame of more than {MAX_FRAME} bytes")]
    Oversize,
    /// The kernel dropped descriptors: more than [`MAX_DESCRIPTORS`] were sent, or this process has none free.
    #[error(
        "descriptors were lost on the way: the peer sent more than {MAX_DESCRIPTORS} or this process is at its limit of open files"
    )]
    DescriptorsLost,
    /// Not the number of descriptors that the messages announce.
    #[error("the peer's frame announces {announced} descriptors and carries {carried}")]
    DescriptorCount {
        /// By the messages.
        announced: usize,
        /// By the kernel.
        carried: usize,
    },
    /// The bytes are no frame of this edge.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Anything else the kernel says.
    #[error("system error: {0}")]
    Io(#[from] io::Error),
}

/// A connected end. Dropping it closes the connection.
#[derive(Debug)]
pub struct Channel {
    pipe: pipe::Receiver,
    postponed: RefCell<VecDeque<(Vec<u8>, Vec<OwnedFd>)>>,
    retrying: Cell<bool>,
    /// By us.
    hung_up: Cell<bool>,
}

impl Channel {
    /// Takes a connected socket; must be called inside the runtime.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self {
            pipe: pipe::Receiver::from_owned_fd_unchecked(socket)?,
            postponed: RefCell::default(),
            retrying: Cell::new(false),
            hung_up: Cell::new(false),
        })
    }

    /// Waits until something can be read (or the peer is gone).
    pub async fn readable(&self) -> io::Result<()> {
        self.pipe.readable().await
    }

    /// Sends one frame now or says why not: `WouldBlock` (peer is behind), `ETOOMANYREFS` (too many descriptors in
    /// flight), or the connection is broken.
    pub fn send(&self, frame: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::other("more descriptors than a frame may carry"));
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        rustix::net::sendmsg(&self.pipe, &[IoSlice::new(frame)], &mut ancillary, flags)?;
        Ok(())
    }

    /// Sends one frame now or as soon as the peer has room, in order. For replies, which nobody waits for. Whether the
    /// frame has left already: then the peer can read it even if it hangs up.
    pub fn post(self: &Rc<Self>, frame: &[u8], descriptors: Vec<OwnedFd>) -> bool {
        let mut postponed = self.postponed.borrow_mut();
        if postponed.is_empty() {
            let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
            match self.send(frame, &borrowed) {
                Err(error) if is_full(&error) => {}
                sent_or_broken => return sent_or_broken.is_ok(), // broken: the reading side will meet the end of the channel
            }
        }
        if postponed.len() >= MAX_POSTPONED {
            self.hang_up();
            return false;
        }
        postponed.push_back((frame.to_vec(), descriptors));
        if !self.retrying.replace(true) {
            tokio::task::spawn_local(retry(Rc::clone(self)));
        }
        false
    }

    /// Takes one frame: `Ok(None)` when there is none just now. `buffer` holds the bytes afterwards.
    pub fn receive(&self, buffer: &mut [u8]) -> Result<Option<(usize, Vec<OwnedFd>)>, ChannelError> {
        match self.pipe.try_io(|| receive_frame(&self.pipe, buffer)) {
            Ok(received) => received.map(Some),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the peer has ended the channel, even though frames that it sent before may still wait to be read
    /// (`POLLRDHUP`, poll(2)).
    pub fn has_ended(&self) -> bool {
        let ends = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        let mut watched = [PollFd::new(&self.pipe, PollFlags::RDHUP)];
        let asked = rustix::event::poll(&mut watched, Some(&Timespec::default()));
        asked.is_ok() && watched.iter().any(|seen| seen.revents().intersects(ends))
    }

    /// Whether the peer, and not we, has ended it.
    pub fn was_left(&self) -> bool {
        !self.hung_up.get() && self.has_ended()
    }

    /// Ends both directions at once: from here on the peer can neither send nor be sent to. What the peer had sent
    /// before can still be received.
    pub fn hang_up(&self) {
        self.hung_up.set(true);
        let _ = rustix::net::shutdown(&self.pipe, Shutdown::Both);
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

/// "Not now" in its two forms: the peer's queue is full, or too many descriptors are in flight for this user.
pub fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
        || error.raw_os_error() == Some(rustix::io::Errno::TOOMANYREFS.raw_os_error())
        || error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error())
}

async fn retry(channel: Rc<Channel>) {
    loop {
        tokio::time::sleep(POSTPONED_RETRY).await;
        let mut postponed = channel.postponed.borrow_mut();
        while let Some((frame, descriptors)) = postponed.front() {
            let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
            match channel.send(frame, &borrowed) {
                Err(error) if is_full(&error) => break,
                Ok(()) => drop(postponed.pop_front()),
                Err(_) => postponed.clear(),
            }
        }
        if postponed.is_empty() {
            channel.retrying.set(false);
            return;
        }
    }
}

/// One `recvmsg`. Outer error: the system call; inner error: the frame is unacceptable (what came with it is closed).
#[allow(clippy::type_complexity)]
fn receive_frame(
    socket: &pipe::Receiver,
    buffer: &mut [u8],
) -> io::Result<Result<(usize, Vec<OwnedFd>), ChannelError>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message = rustix::net::recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut ancillary, flags)?;
    let mut descriptors = Vec::new();
    for part in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = part {
            descriptors.extend(received);
        }
    }
    Ok(if message.flags.contains(ReturnFlags::CTRUNC) {
        Err(ChannelError::DescriptorsLost)
    } else if message.flags.contains(ReturnFlags::TRUNC) {
        Err(ChannelError::Oversize)
    } else if message.bytes == 0 {
        Err(ChannelError::HungUp)
    } else {
        Ok((message.bytes, descriptors))
    })
}
