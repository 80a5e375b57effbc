//! One question to one socket: what the front door needs. Connect, wait until the process serves, ask, take the answer.
//!
//! No queue and no second try (that is [`super::sender`]'s work): the caller wants to know how *this* instance is. There is
//! no deadline in here either, the caller sets one.

use std::io;
use std::os::fd::BorrowedFd;
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
    ask_with(socket, question, &[]).await
}

/// As [`ask`], with the descriptors that the question announces.
///
/// # Errors
/// See [`AskError`].
pub async fn ask_with<M: Message, R: Message>(
    socket: &Path,
    question: &M,
    descriptors: &[BorrowedFd<'_>],
) -> Result<R, AskError> {
    debug_assert_eq!(question.descriptors(), descriptors.len());
    let channel = connect(socket).and_then(Channel::new).map_err(AskError::Connect)?;
    let mut buffer = vec![0; MAX_FRAME];
    loop {
        channel.readable().await.map_err(ChannelError::Io)?;
        while let Some((length, _descriptors)) = channel.receive(&mut buffer)? {
            let frame = buffer.get(..length).unwrap_or_default();
            for (_, back) in codec::decode::<Back<R>>(frame)? {
                match back {
                    Back::Ready => send(&channel, question, descriptors)?,
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

fn send<M: Message>(channel: &Channel, question: &M, descriptors: &[BorrowedFd<'_>]) -> Result<(), AskError> {
    let mut frame = FrameWriter::default();
    frame.push(1, question)?;
    Ok(channel.send(frame.bytes(), descriptors).map_err(ChannelError::Io)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use std::cell::Cell;
    use std::future::Future;
    use std::os::fd::OwnedFd;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::ipc::messages::control::{Control, ControlReply};
    use crate::ipc::peer::PeerCheck;
    use crate::ipc::receiver::{Arrival, Receiver, Verdict};

    fn in_runtime(test: impl Future<Output = ()>) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build_local(tokio::runtime::LocalOptions::default()).unwrap();
        runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), test).await.expect("it hangs") });
    }

    fn listener() -> (tempfile::TempDir, PathBuf, OwnedFd) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.sock");
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        rustix::net::bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&socket, 8).unwrap();
        (folder, path, socket)
    }

    #[test]
    fn a_receiver_that_starts_late_still_answers() {
        in_runtime(async {
            let (_folder, path, socket) = listener();
            let asked = std::rc::Rc::new(Cell::new(0));
            let count = std::rc::Rc::clone(&asked);
            tokio::task::spawn_local(async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let peers = PeerCheck::new([nix::unistd::geteuid().as_raw()]);
                let receiver = Receiver::new("control", peers, move |arrival: Arrival<Control, ControlReply>| {
                    count.set(count.get() + 1);
                    arrival.replier.expect("it is a call").send(ControlReply::Done, Vec::new());
                    Verdict::Taken
                });
                receiver.serve(socket).await
            });
            for _ in 0..3 {
                let answer: ControlReply = ask(&path, &Control::Drain).await.unwrap();
                assert!(matches!(answer, ControlReply::Done));
            }
            assert_eq!(asked.get(), 3);
        });
    }

    #[test]
    fn strangers_and_the_dead_give_errors() {
        in_runtime(async {
            let (folder, path, socket) = listener();
            for said in [&b""[..], b"\xff\x01garbage", b"\x01\x01\x00\x63"] {
                let asking = tokio::task::spawn_local({
                    let path = path.clone();
                    async move { ask::<Control, ControlReply>(&path, &Control::Status).await }
                });
                tokio::task::yield_now().await;
                let peer = rustix::net::accept(&socket).unwrap();
                if !said.is_empty() {
                    rustix::net::send(&peer, said, rustix::net::SendFlags::empty()).unwrap();
                }
                drop(peer);
                let error = asking.await.unwrap().unwrap_err();
                assert!(matches!(error, AskError::Channel(_)), "{said:?}: {error}");
            }
            drop(socket);
            let gone = ask::<Control, ControlReply>(&path, &Control::Status).await.unwrap_err();
            assert!(matches!(gone, AskError::Connect(ref error) if error.kind() == io::ErrorKind::ConnectionRefused));
            let never =
                ask::<Control, ControlReply>(&folder.path().join("2.sock"), &Control::Status).await.unwrap_err();
            assert!(matches!(never, AskError::Connect(ref error) if error.kind() == io::ErrorKind::NotFound));
        });
    }
}
