//! Accepting on an inherited listener: everything that is ready in one turn, and alive when descriptors run out.
//!
//! Accepted sockets are not part of the event loop; most are handed on before they ever need to be.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::SocketFlags;
use tokio::net::unix::pipe;

use crate::ipc::messages::Ends;
use crate::observe::metrics::Figure;

/// Connections accepted in one turn, so that what else the process does is never kept waiting by a flood.
const PER_TURN: usize = 64;
/// How long an exhausted process waits before it looks again.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(5);
/// One line in the log per so many clients turned away for want of a descriptor.
const TOLD_EVERY: u64 = 1000;

/// A listener with its reserve descriptor.
#[derive(Debug)]
pub struct Acceptor {
    listener: pipe::Receiver,
    bound: Option<SocketAddr>,
    spare: Option<OwnedFd>,
    exhausted: Figure,
}

impl Acceptor {
    /// Takes a listening TCP socket; inside the runtime. `exhausted` counts clients turned away for want of a descriptor.
    pub fn new(listener: OwnedFd, exhausted: Figure) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&listener, true)?;
        let bound = local_address(&listener).filter(|address| !address.ip().is_unspecified());
        let spare = Some(rustix::io::fcntl_dupfd_cloexec(&listener, 3)?);
        Ok(Self { listener: pipe::Receiver::from_owned_fd_unchecked(listener)?, bound, spare, exhausted })
    }

    /// Waits for clients and gives those that are there (at most 64) to `admit`, which says whether there is room for one more in this
    /// turn. An error means that the listener is lost.
    pub async fn turn(&mut self, mut admit: impl FnMut(OwnedFd, Ends) -> bool) -> io::Result<()> {
        self.listener.readable().await?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        for _ in 0..PER_TURN {
            match self.listener.try_io(|| Ok(rustix::net::acceptfrom_with(&self.listener, flags)?)) {
                Ok((socket, peer)) => {
                    // Only a wildcard listener has to ask which of the machine's addresses was meant.
                    let local = self.bound.or_else(|| local_address(&socket));
                    if let (Some(Ok(client)), Some(local)) = (peer.map(SocketAddr::try_from), local) {
                        let ends = Ends { client: canonical(client), local: canonical(local) };
                        if !admit(socket, ends) {
                            break;
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if is_exhausted(&error) => {
                    self.turn_one_away();
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                    break;
                }
                Err(error) => tracing::debug!("accept: {error}"), // concerns one connection only (accept(2))
            }
        }
        tokio::task::yield_now().await;
        Ok(())
    }

    /// The reserve descriptor is spent to take a client off the queue and close it: the queue moves on, the client learns at
    /// once, and we do not spin.
    fn turn_one_away(&mut self) {
        drop(self.spare.take());
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        if rustix::net::accept_with(&self.listener, flags).is_ok() {
            if self.exhausted.get().is_multiple_of(TOLD_EVERY) {
                tracing::error!(
                    "out of descriptors: clients are turned away; raise LimitNOFILE or lower the limits of this process"
                );
            }
            self.exhausted.up();
        }
        self.spare = rustix::io::fcntl_dupfd_cloexec(&self.listener, 3).ok();
    }
}

fn is_exhausted(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn local_address(socket: impl AsFd) -> Option<SocketAddr> {
    SocketAddr::try_from(rustix::net::getsockname(socket).ok()?).ok()
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
