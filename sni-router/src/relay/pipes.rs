//! Kernel pipes for `splice(2)`, pooled, because a big pipe is scarce and expensive to make.
//!
//! Bytes that go socket → pipe → socket are never copied to this process. What that saves depends on the size of the pipe (measured, CPU-s/GB:
//! 64 KiB 0.67, 256 KiB 0.50–0.55, 1 MiB 0.33–0.35, copying 0.69), so pipes are big and therefore few: the kernel lets an unprivileged user own
//! 64 MiB of pipe buffers in all (`pipe-user-pages-soft`).
//!
//! A pipe is borrowed only while it holds bytes. It must never go back to the pool with bytes in it: they would come out in another tunnel.
//! `HeldPipe` therefore counts what is inside and closes the pipe instead of returning it when the count is not zero.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// The size asked for, in bytes (the default of `/proc/sys/fs/pipe-max-size`).
pub const PIPE_SIZE: usize = 1024 * 1024;
/// A smaller pipe is not worth having: splicing through it costs as much as copying.
pub const SMALLEST_PIPE: usize = 64 * 1024;
/// How many pipes a process makes unless told otherwise: 16 MiB, a quarter of what an unprivileged user may own.
pub const DEFAULT_PIPES: usize = 16;
/// After the kernel refused a pipe, do not ask again for this long: the answer costs system calls on every bulk read.
const REFUSAL_PAUSE: Duration = Duration::from_secs(1);

/// A shared, bounded stock of empty pipes. Cheap to clone; all clones are the same pool.
#[derive(Clone)]
pub struct PipePool {
    inner: Arc<Inner>,
}

struct Inner {
    limit: usize,
    size: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Empty pipes; the most recently used last, because its pages are warm.
    idle: Vec<Pipe>,
    in_use: usize,
    made: u64,
    closed_with_bytes: u64,
    gone_without: u64,
    refused_until: Option<Instant>,
}

/// What the pool has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PipeStats {
    /// Empty pipes waiting in the pool.
    pub idle: usize,
    /// Pipes that hold bytes of a tunnel now.
    pub in_use: usize,
    /// Pipes ever made.
    pub made: u64,
    /// Pipes closed because their tunnel ended with bytes still inside.
    pub closed_with_bytes: u64,
    /// How often a direction wanted a pipe and had to copy instead.
    pub gone_without: u64,
}

struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    size: usize,
}

impl PipePool {
    /// A pool that makes at most `limit` pipes of `size` bytes each, or as near to it as the kernel allows. `limit` 0 means: always copy.
    #[must_use]
    pub fn new(limit: usize, size: usize) -> Self {
        Self { inner: Arc::new(Inner { limit, size: size.max(SMALLEST_PIPE), state: Mutex::default() }) }
    }

    /// The figures so far.
    #[must_use]
    pub fn stats(&self) -> PipeStats {
        let state = self.inner.lock();
        PipeStats {
            idle: state.idle.len(),
            in_use: state.in_use,
            made: state.made,
            closed_with_bytes: state.closed_with_bytes,
            gone_without: state.gone_without,
        }
    }

    /// An empty pipe, or `None` when all are in use or the kernel gives no more: the caller then copies.
    pub(crate) fn take(&self) -> Option<HeldPipe> {
        let mut state = self.inner.lock();
        let pipe = match state.idle.pop() {
            Some(pipe) => pipe,
            None => match self.make(&mut state) {
                Some(pipe) => pipe,
                None => {
                    state.gone_without += 1;
                    return None;
                }
            },
        };
        state.in_use += 1;
        Some(HeldPipe { pipe: Some(pipe), bytes: 0, guest: false, pool: self.inner.clone() })
    }

    /// Takes a pipe that another process has filled. It counts while it holds bytes, even above the limit, and is closed then.
    ///
    /// # Errors
    /// These are not the two ends of a pipe.
    pub(crate) fn adopt(&self, read: OwnedFd, write: OwnedFd) -> io::Result<HeldPipe> {
        let size = fcntl_getpipe_size(&read)?;
        if fcntl_getpipe_size(&write)? != size {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let bytes = usize::try_from(rustix::io::ioctl_fionread(&read)?).unwrap_or(usize::MAX);
        self.inner.lock().in_use += 1;
        Ok(HeldPipe { pipe: Some(Pipe { read, write, size }), bytes, guest: true, pool: self.inner.clone() })
    }

    fn make(&self, state: &mut State) -> Option<Pipe> {
        if state.in_use >= self.inner.limit {
            return None;
        }
        if let Some(until) = state.refused_until {
            if Instant::now() < until {
                return None;
            }
            state.refused_until = None;
        }
        match Pipe::new(self.inner.size) {
            Ok(pipe) => {
                state.made += 1;
                Some(pipe)
            }
            Err(error) => {
                tracing::debug!(%error, "no pipe for splicing: copying instead (see /proc/sys/fs/pipe-user-pages-soft)");
                state.refused_until = Instant::now().checked_add(REFUSAL_PAUSE);
                None
            }
        }
    }
}

impl Default for PipePool {
    fn default() -> Self {
        Self::new(DEFAULT_PIPES, PIPE_SIZE)
    }
}

impl fmt::Debug for PipePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

impl Inner {
    /// A panic elsewhere cannot leave the counters half-changed, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipe {
    /// Asks for `size` and halves until the kernel agrees; fails when what remains is not worth having.
    fn new(size: usize) -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
        let mut wanted = size;
        while wanted > SMALLEST_PIPE && fcntl_setpipe_size(&write, wanted).is_err() {
            wanted /= 2;
        }
        let size = fcntl_getpipe_size(&write)?;
        if size < SMALLEST_PIPE {
            return Err(io::Error::other(format!("the kernel gives pipes of {size} bytes only")));
        }
        Ok(Self { read, write, size })
    }
}

/// A pipe lent to one direction of one tunnel. Dropping it returns it to the pool if it is empty and closes it if not.
pub(crate) struct HeldPipe {
    /// `None` only while dropping.
    pipe: Option<Pipe>,
    bytes: usize,
    /// Not made by this pool.
    guest: bool,
    pool: Arc<Inner>,
}

/// A pipe with the end of `bytes` inside, as much as fits at once, and how many bytes of the beginning are left outside. `None`: the kernel
/// gives no pipe now.
pub(crate) fn filled(bytes: &[u8]) -> Option<(OwnedFd, OwnedFd, usize)> {
    let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).ok()?;
    let outside = bytes.len().saturating_sub(fcntl_getpipe_size(&write).ok()?);
    let inside = bytes.get(outside..)?;
    // An empty pipe takes its whole size in one write, or the pipe is dropped with what it took.
    (rustix::io::write(&write, inside).ok()? == inside.len()).then_some((read, write, outside))
}

impl HeldPipe {
    /// Both ends, with whatever is inside.
    pub(crate) fn into_ends(mut self) -> Option<(OwnedFd, OwnedFd)> {
        self.pipe.take().map(|pipe| (pipe.read, pipe.write))
    }

    /// Bytes inside.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Moves what the socket holds into the pipe; `Ok(0)` is end of stream.
    ///
    /// Call it only on an empty pipe: `EAGAIN` must mean "the socket has nothing", and with bytes inside it could mean "the pipe is full",
    /// for which tokio would wrongly forget that the socket is readable.
    pub(crate) fn fill(&mut self, from: &TcpStream) -> io::Result<usize> {
        debug_assert_eq!(self.bytes, 0, "a pipe is filled only when it is empty");
        let Some(pipe) = &self.pipe else { return Err(io::ErrorKind::NotConnected.into()) };
        let moved = from.try_io(Interest::READABLE, || {
            Ok(splice(from, None, &pipe.write, None, pipe.size, SpliceFlags::MOVE | SpliceFlags::NONBLOCK)?)
        })?;
        self.bytes += moved;
        Ok(moved)
    }

    /// Moves bytes from the pipe to the socket. Call it only while [`HeldPipe::bytes`] is not zero, so that `EAGAIN` can only mean "the socket is full".
    pub(crate) fn drain(&mut self, to: &TcpStream) -> io::Result<usize> {
        debug_assert_ne!(self.bytes, 0, "there is something to drain");
        let Some(pipe) = &self.pipe else { return Err(io::ErrorKind::NotConnected.into()) };
        let moved = to.try_io(Interest::WRITABLE, || {
            Ok(splice(&pipe.read, None, to, None, self.bytes, SpliceFlags::MOVE | SpliceFlags::NONBLOCK)?)
        })?;
        if moved == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.bytes = self.bytes.saturating_sub(moved);
        Ok(moved)
    }
}

impl Drop for HeldPipe {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.in_use = state.in_use.saturating_sub(1);
        match self.pipe.take() {
            Some(pipe) if self.bytes == 0 && !self.guest => state.idle.push(pipe),
            Some(_) if self.bytes > 0 => state.closed_with_bytes += 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_limit_holds_and_empty_pipes_come_back() {
        let pool = PipePool::new(2, PIPE_SIZE);
        let (first, second) = (pool.take().unwrap(), pool.take().unwrap());
        assert!(pool.take().is_none());
        assert_eq!(pool.stats(), PipeStats { idle: 0, in_use: 2, made: 2, closed_with_bytes: 0, gone_without: 1 });
        drop((first, second));
        let again = pool.take().unwrap();
        assert_eq!(pool.stats(), PipeStats { idle: 1, in_use: 1, made: 2, closed_with_bytes: 0, gone_without: 1 });
        drop(again);
        assert!(PipePool::new(0, PIPE_SIZE).take().is_none());
    }

    /// As an ordinary user the kernel stops giving big pipes after 64 MiB; as root it does not.
    #[test]
    fn what_the_kernel_gives_is_enough() {
        let pool = PipePool::new(200, PIPE_SIZE);
        let held: Vec<_> = (0..200).filter_map(|_| pool.take()).collect();
        let sizes: Vec<usize> = held.iter().map(|held| held.pipe.as_ref().unwrap().size).collect();
        assert!(sizes.iter().all(|size| *size >= SMALLEST_PIPE), "{sizes:?}");
        assert_eq!(held.len() as u64 + pool.stats().gone_without, 200);
        let total: usize = sizes.iter().sum();
        println!("{} pipes, {} MiB", sizes.len(), total / PIPE_SIZE);
    }
}
