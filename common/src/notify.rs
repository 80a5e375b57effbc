//! What the service manager is told: sd_notify(3) over `$NOTIFY_SOCKET`, and its watchdog (sd_watchdog_enabled(3)).
//!
//! The socket is connected before the sandbox closes, because a path is needed for that. Every message is sent without
//! waiting: a service manager that does not read must never stop a proxy. Without the variable nothing happens.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

/// How often the process looks after itself where no watchdog says it.
const WITHOUT_WATCHDOG: Duration = Duration::from_secs(1);
/// So often per deadline of the watchdog.
const PER_DEADLINE: u32 = 4;

/// The way to the service manager, if there is one.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Reads the environment and connects. Call before the sandbox closes.
    #[must_use]
    pub fn from_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let address = variable("NOTIFY_SOCKET");
        let socket =
            address.as_deref().filter(|address| !address.is_empty()).and_then(|address| match connect(address) {
                Ok(socket) => Some(socket),
                Err(error) => {
                    tracing::warn!("the service manager cannot be told that we serve: {address}: {error}");
                    None
                }
            });
        let own = variable("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let watchdog = variable("WATCHDOG_USEC").filter(|_| own).and_then(|microseconds| microseconds.parse().ok());
        Self { socket, watchdog: watchdog.filter(|microseconds| *microseconds > 0).map(Duration::from_micros) }
    }

    /// It serves. `status` is for `systemctl status`.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}", status.replace('\n', " ")));
    }

    /// It finishes what it has begun.
    pub fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=finishing what was begun");
    }

    /// It still serves.
    pub fn alive(&self) {
        if self.watchdog.is_some() {
            self.send("WATCHDOG=1");
        }
    }

    /// How often to look and to say so.
    #[must_use]
    pub fn pace(&self) -> Duration {
        self.watchdog.map_or(WITHOUT_WATCHDOG, |deadline| deadline / PER_DEADLINE)
    }

    fn send(&self, text: &str) {
        if let Some(socket) = &self.socket {
            let _ = socket.send(text.as_bytes()); // full: it is behind, and the next message says the same
        }
    }
}

/// Whether there is a service manager.
#[must_use]
pub fn is_there() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some_and(|address| !address.is_empty())
}

/// Gives a descriptor to the service manager, which passes it to the next life of this service, under this name, among its
/// sockets (`FDSTORE=1`, sd_pid_notify_with_fds(3)). Only where the unit has `FileDescriptorStoreMax=`; elsewhere it is closed. Call
/// before the sandbox closes.
///
/// # Errors
/// There is no service manager, or it cannot be reached.
pub fn keep(name: &str, descriptor: BorrowedFd<'_>) -> std::io::Result<()> {
    let address = std::env::var("NOTIFY_SOCKET").map_err(std::io::Error::other)?;
    store(&connect(&address)?, name, descriptor)
}

fn store(socket: &UnixDatagram, name: &str, descriptor: BorrowedFd<'_>) -> std::io::Result<()> {
    let text = format!("FDSTORE=1\nFDNAME={name}");
    let descriptors = [descriptor];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(socket, &[IoSlice::new(text.as_bytes())], &mut control, SendFlags::empty())?;
    Ok(())
}

fn connect(address: &str) -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match address.strip_prefix('@') {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(address)?,
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    fn read(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let count = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    }

    #[test]
    fn the_manager_hears_that_it_serves_lives_and_finishes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let socket = Some(connect(path.to_str().unwrap()).unwrap());
        let notifier = Notifier { socket, watchdog: Some(Duration::from_secs(8)) };
        notifier.ready("two\nlines");
        assert_eq!(read(&manager), "READY=1\nSTATUS=two lines");
        notifier.alive();
        assert_eq!(read(&manager), "WATCHDOG=1");
        notifier.stopping();
        assert!(read(&manager).starts_with("STOPPING=1\n"));
        assert_eq!(notifier.pace(), Duration::from_secs(2));
    }

    #[test]
    fn a_manager_that_does_not_read_stops_nobody() {
        let name = format!("@bulkhead-test-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name[1..]).unwrap()).unwrap();
        let notifier = Notifier { socket: Some(connect(&name).unwrap()), watchdog: Some(Duration::from_secs(1)) };
        (0..10_000).for_each(|_| notifier.alive());
        drop(manager);
        notifier.ready("nobody hears it");
    }
}
