//! Which receivers of an edge exist: the directory of their sockets, watched.
//!
//! One socket `<instance>.sock` per receiving instance; adding or removing a file is all that scaling takes. Everything
//! that needs a path is opened before the sandbox closes; afterwards the held descriptors are enough to list and watch.
//!
//! The letter box of a succession counts as several instances, `any#1`, `any#2` …: each channel through it is accepted by whoever
//! is quickest, so several share the load among the successors, and hold more if nobody is there to read.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::inotify;
use rustix::fs::{CWD, Dir, Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::unix::pipe;

use crate::wiring::LETTER_BOX;

/// More sockets than this in one directory are ignored (and said so once by the sender).
pub const MAX_INSTANCES: usize = 64;
/// Channels through one letter box.
pub const CHANNELS_OF_A_LETTER_BOX: usize = 16;

/// An edge's directory, opened but not yet part of an event loop.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    listing: RefCell<Dir>,
    changes: OwnedFd,
}

impl Directory {
    /// Opens the directory for listing and watching. The error names the path and who should have made it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let explain = |error: rustix::io::Errno| {
            let error = io::Error::from(error);
            io::Error::new(
                error.kind(),
                format!(
                    "cannot open the edge directory {}: {error}; `bulkhead up` or the .socket unit creates it",
                    path.display()
                ),
            )
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(explain)?;
        let changes = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).map_err(explain)?;
        let events = inotify::WatchFlags::CREATE
            | inotify::WatchFlags::DELETE
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::MOVED_FROM
            | inotify::WatchFlags::ATTRIB;
        inotify::add_watch(&changes, path, events).map_err(explain)?;
        Ok(Self { path: path.to_owned(), listing: RefCell::new(Dir::new(directory).map_err(explain)?), changes })
    }

    /// A second handle on the folder, by which the sandbox names where this process may connect.
    pub fn folder(&self) -> io::Result<OwnedFd> {
        self.listing.borrow().fd()?.try_clone_to_owned()
    }

    /// Begins to watch; call inside the runtime.
    pub fn watch(&self) -> io::Result<Changes> {
        Changes::over(self.changes.try_clone()?)
    }

    /// The instances whose sockets are there now, by name, in order.
    pub fn instances(&self) -> io::Result<Vec<String>> {
        self.first_instances(MAX_INSTANCES)
    }

    /// The same where more than one process has its sockets.
    pub fn first_instances(&self, most: usize) -> io::Result<Vec<String>> {
        let mut listing = self.listing.borrow_mut();
        listing.rewind();
        let mut found = Vec::new();
        while let Some(entry) = listing.read() {
            let entry = entry?;
            if let Some(instance) = entry.file_name().to_str().ok().and_then(|name| name.strip_suffix(".sock"))
                && !instance.is_empty()
                && found.len() < most
            {
                match instance {
                    LETTER_BOX => found.extend((1..=CHANNELS_OF_A_LETTER_BOX).map(|n| format!("{LETTER_BOX}#{n}"))),
                    _ => found.push(instance.to_owned()),
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Connects to one instance without waiting. `WouldBlock`: its backlog is full just now.
    pub fn connect(&self, instance: &str) -> io::Result<OwnedFd> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let file = instance.split_once('#').map_or(instance, |(file, _)| file);
        let address = SocketAddrUnix::new(self.path.join(format!("{file}.sock")))?;
        rustix::net::connect(&socket, &address)?;
        Ok(socket)
    }
}

/// Wakes when the directory has changed.
#[derive(Debug)]
pub struct Changes(pipe::Receiver);

impl Changes {
    /// Of an inotify descriptor that does not block; inside the runtime.
    ///
    /// # Errors
    /// The event loop cannot take it.
    pub fn over(inotify: OwnedFd) -> io::Result<Self> {
        Ok(Self(pipe::Receiver::from_owned_fd_unchecked(inotify)?))
    }

    /// Waits for a change; several at once count as one.
    pub async fn changed(&self) -> io::Result<()> {
        loop {
            self.0.readable().await?;
            let mut buffer = [0u8; 4096];
            let mut any = false;
            loop {
                match self.0.try_read(&mut buffer) {
                    Ok(0) => break,
                    Ok(_) => any = true,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            if any {
                return Ok(());
            }
        }
    }
}
