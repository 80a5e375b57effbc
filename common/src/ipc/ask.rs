//! One question to one socket: what the front door needs. Connect, wait until the process serves, ask, take the answer.
//!
//! No queue and no second try (that is [`super::sender`]'s work): the caller wants to know how *this* instance is. There is
//! no deadline in here either, the caller sets one.

use std::io;
use std::path::Path;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::Message;
use super::channel::{Channel, ChannelError};
use super::codec::{self, CodecError, FrameWriter, MAX_FRAME};
use super::sender::Back;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens there, or we may not connect.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// It ended before the answer, or answered something that is none.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// It takes no questions any more.
    #[error("the process returned the question: it is draining")]
    Returned,
}

impl From<CodecError> for AskError {
    fn from(error: CodecError) -> Self {
        Self::Channel(error.into())
    }
}

/// Asks the process that listens on `socket`. Call inside the runtime, and with a deadline: a process that hangs never
/// answers.
///
/// # Errors
/// See [`AskError`].
pub async fn ask<M: Message, R: Message>(socket: &Path, question: &M) -> Result<R, AskError> {
    debug_assert_eq!(question.descriptors(), 0);
    let channel = connect(socket).and_then(Channel::new).map_err(AskError::Connect)?;
    let mut buffer = vec![0; MAX_FRAME];
    loop {
        channel.readable().await.map_err(ChannelError::Io)?;
        while let Some((length, _descriptors)) = channel.receive(&mut buffer)? {
            let frame = buffer.get(..length).unwrap_or_default();
            for (_, back) in codec::decode::<Back<R>>(frame)? {
                match back {
                    Back::Ready => send(&channel, question)?,
                    Back::Answer(answer) => return Ok(answer),
                    Back::Returned(_) | Back::Draining => return Err(AskError::Returned),
                    Back::Taken(_) => {}
                }
            }
        }
    }
}

fn connect(socket: &Path) -> io::Result<std::os::fd::OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let end = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    rustix::net::connect(&end, &SocketAddrUnix::new(socket)?)?;
    Ok(end)
}

fn send<M: Message>(channel: &Channel, question: &M) -> Result<(), AskError> {
    let mut frame = FrameWriter::default();
    frame.push(1, question)?;
    Ok(channel.send(frame.bytes(), &[]).map_err(ChannelError::Io)?)
}
