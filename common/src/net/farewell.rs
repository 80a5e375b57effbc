//! Telling a client no so that the answer arrives.
//!
//! The client's own bytes are often still unread in the kernel, and closing over unread bytes sends a reset that can
//! overtake the answer. So: answer, end our direction, discard what comes for a short while, close.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::{RecvFlags, SendFlags, Shutdown};
use tokio::net::unix::pipe;

use crate::observe::metrics::Figure;

/// Refused connections of a process that may linger at a time; beyond it they are closed at once.
pub const MAX_LINGERING: u64 = 1024;
/// How long a refused client may take to read its answer and close.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes discarded at most before closing anyway.
const MAX_DISCARDED: usize = 256 * 1024;

/// Sends `answer` and closes politely. Returns at once; `lingering` counts the connections that are still being closed.
pub fn part(socket: OwnedFd, answer: &[u8], lingering: &Figure) {
    let _ = rustix::net::send(&socket, answer, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    let _ = rustix::net::shutdown(&socket, Shutdown::Write);
    if lingering.get() < MAX_LINGERING {
        let held = lingering.hold();
        tokio::task::spawn_local(async move {
            let _held = held;
            let _ = tokio::time::timeout(LINGER, discard(socket)).await;
        });
    }
}

async fn discard(socket: OwnedFd) -> Option<()> {
    let socket = pipe::Receiver::from_owned_fd_unchecked(socket).ok()?;
    let mut scratch = [0u8; 4096];
    let mut discarded = 0usize;
    while discarded < MAX_DISCARDED {
        socket.readable().await.ok()?;
        match socket.try_io(|| Ok(rustix::net::recv(&socket, &mut scratch[..], RecvFlags::DONTWAIT)?.1)) {
            Ok(0) => return None,
            Ok(count) => discarded = discarded.saturating_add(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
    Some(())
}
