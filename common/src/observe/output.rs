//! Where log lines go: standard error, by way of one bounded buffer per process.
//!
//! Once the event loop runs nothing here waits: lines gather for a moment (`log.gather`) and go out in few writes, each of
//! whole lines; what standard error does not take stays in the buffer (`log.buffer`) and is tried again; what does not fit
//! any more is dropped, counted (`log_dropped`) and, as soon as there is room, told in a line. Before and after the event
//! loop lines are written at once, with a moment of patience.
//!
//! `O_NONBLOCK` is never set on standard error itself: that flag belongs to the open file, which the starter's terminal and
//! our siblings share. A pipe or terminal is opened once more instead, a socket is sent to with `MSG_DONTWAIT`. Several
//! processes may write into one pipe: pieces of at most `PIPE_BUF` bytes are never mixed (pipe(7)).

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::SendFlags;

use super::line::{Line, Style};
use super::stamp::Stamp;
use crate::config::Log;

/// Names and meanings of what every process counts of its log.
pub const TABLE: &[(&str, &str)] = &[
    ("log_lines", "log lines written"),
    ("log_dropped", "log lines dropped because standard error did not take them in time (log.buffer)"),
];

/// Pieces that several writers of one pipe do not mix: `PIPE_BUF` of Linux.
const PIECE: usize = 4096;
/// Pieces where nobody else writes: a socket of journald, a file.
const LARGE_PIECE: usize = 64 * 1024;
/// Part of the buffer that is kept for lines other than those of requests.
const RESERVE: usize = 16 * 1024;
/// Pause before standard error is tried again.
const RETRY: Duration = Duration::from_millis(20);
/// How long a write waits before and after the event loop.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long the last lines of a process may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

static OUTPUT: Mutex<Option<Output>> = Mutex::new(None);

/// How bytes get out.
#[derive(Debug)]
enum Way {
    /// A regular file: a write of a page cache, as fast as memory.
    File,
    /// A socket.
    Socket,
    /// A pipe or terminal, opened once more without blocking.
    Reopened(OwnedFd),
    /// What cannot be opened again: asked first whether it would take a piece.
    Asked,
}

#[derive(Debug)]
struct Output {
    style: Style,
    stamp: Stamp,
    way: Way,
    waiting: VecDeque<u8>,
    scratch: Vec<u8>,
    limit: usize,
    gather: Duration,
    /// The event loop runs and [`tend`] writes what has gathered.
    tended: bool,
    blocked: bool,
    waker: Option<Waker>,
    lines: u64,
    dropped: u64,
    untold: u64,
}

/// Sets the form and limits of the log; until then lines go nowhere. A second call changes limits and form only.
pub fn start(tag: &str, json: bool, log: &Log) {
    let style = Style::new(tag, json);
    let mut output = lock();
    match &mut *output {
        Some(output) => (output.style, output.limit, output.gather) = (style, log.buffer, log.gather),
        none => *none = Some(Output::new(style, Way::of_standard_error(false), log)),
    }
}

/// Opens a way that never waits, if standard error has one. Call it when inherited descriptors have been sorted out and the
/// sandbox is still open.
pub fn open() {
    if let Some(output) = &mut *lock() {
        output.way = Way::of_standard_error(true);
    }
}

/// Appends a line about a request or connection (level info, `log.access`). Dropped first when the buffer fills up.
pub fn access(message: &str, write: impl FnOnce(&mut Line<'_>)) {
    let mut output = lock();
    let Some(output) = &mut *output else { return };
    let mut scratch = std::mem::take(&mut output.scratch);
    scratch.clear();
    let mut line = output.style.begin(&mut scratch, &mut output.stamp, "INFO", message);
    write(&mut line);
    line.end();
    output.put(&scratch, false);
    output.scratch = scratch;
}

/// Appends a line that is whole. `urgent`: it does not wait for others.
pub fn append(line: &[u8], urgent: bool) {
    if let Some(output) = &mut *lock() {
        output.put(line, true);
        if urgent && output.tended && !output.blocked {
            output.write_out();
        }
    }
}

/// Begins a line in the form of this process; `None` before [`start`].
pub fn format(level: &str, message: &str, write: impl FnOnce(&mut Line<'_>)) -> Option<Vec<u8>> {
    let mut output = lock();
    let output = output.as_mut()?;
    let mut bytes = Vec::with_capacity(256);
    let mut line = output.style.begin(&mut bytes, &mut output.stamp, level, message);
    write(&mut line);
    line.end();
    Some(bytes)
}

/// Lines written and lines dropped, in the order of [`TABLE`].
#[must_use]
pub fn figures() -> [(&'static str, u64); 2] {
    let (lines, dropped) = lock().as_ref().map_or((0, 0), |output| (output.lines, output.dropped));
    [("log_lines", lines), ("log_dropped", dropped)]
}

/// Writes what gathers, for as long as the event loop runs: spawn it there. When it is dropped, lines are written at once again.
pub async fn tend() {
    let _end = Tending::begin();
    loop {
        let gather = poll_fn(|cx| {
            let mut output = lock();
            let Some(output) = &mut *output else { return Poll::Pending };
            if output.waiting.is_empty() {
                output.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(output.gather)
        })
        .await;
        if gather.is_zero() {
            tokio::task::yield_now().await; // the other tasks of this turn have lines, too
        } else {
            tokio::time::sleep(gather).await;
        }
        while lock().as_mut().is_some_and(Output::write_out) {
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// The last lines of a process: waits up to a second until standard error has taken them.
pub fn finish() {
    if let Some(output) = &mut *lock() {
        output.tended = false;
        output.wait_and_write(LAST_WORDS);
    }
}

struct Tending;

impl Tending {
    fn begin() -> Self {
        if let Some(output) = &mut *lock() {
            output.tended = true;
        }
        Self
    }
}

impl Drop for Tending {
    fn drop(&mut self) {
        if let Some(output) = &mut *lock() {
            output.tended = false;
            output.waker = None;
        }
    }
}

/// The lock is held by one thread for good, except where a process has helper threads that log.
fn lock() -> MutexGuard<'static, Option<Output>> {
    OUTPUT.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Output {
    fn new(style: Style, way: Way, log: &Log) -> Self {
        Self {
            style,
            stamp: Stamp::default(),
            way,
            waiting: VecDeque::new(),
            scratch: Vec::with_capacity(1024),
            limit: log.buffer,
            gather: log.gather,
            tended: false,
            blocked: false,
            waker: None,
            lines: 0,
            dropped: 0,
            untold: 0,
        }
    }

    fn put(&mut self, line: &[u8], important: bool) {
        let room = if important { self.limit } else { self.limit.saturating_sub(RESERVE.min(self.limit / 4)) };
        if self.waiting.len() + line.len() > room {
            self.lost(1);
            return;
        }
        self.lines = self.lines.saturating_add(1);
        self.waiting.extend(line);
        if !self.tended {
            self.wait_and_write(PATIENCE);
        } else if self.waiting.len() >= PIECE && !self.blocked {
            self.write_out();
        }
        if self.tended
            && !self.waiting.is_empty()
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }

    fn lost(&mut self, lines: u64) {
        self.dropped = self.dropped.saturating_add(lines);
        self.untold = self.untold.saturating_add(lines);
    }

    /// Writes all that is taken without waiting. True: something is left.
    fn write_out(&mut self) -> bool {
        loop {
            let most = if self.way.is_shared() { PIECE } else { LARGE_PIECE };
            let piece = next_piece(&mut self.waiting, most);
            if piece.is_empty() {
                self.blocked = false;
                if self.untold == 0 {
                    return false;
                }
                self.tell_of_loss();
                continue;
            }
            match self.way.write(piece) {
                Ok(count) => drop(self.waiting.drain(..count.min(self.waiting.len()))),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.blocked = true;
                    return true;
                }
                // Nobody reads any more, or the disk is full: lines are lost, the service goes on.
                Err(_) => {
                    let lines = self.waiting.iter().filter(|byte| **byte == b'\n').count();
                    self.waiting.clear();
                    self.dropped = self.dropped.saturating_add(u64::try_from(lines).unwrap_or(u64::MAX));
                    self.blocked = false;
                    return false;
                }
            }
        }
    }

    fn tell_of_loss(&mut self) {
        let lost = std::mem::take(&mut self.untold);
        let mut bytes = Vec::with_capacity(256);
        let message = "log lines were dropped: standard error did not take them in time (log.buffer)";
        let mut line = self.style.begin(&mut bytes, &mut self.stamp, "WARN", message);
        line.number("dropped", lost);
        line.end();
        self.lines = self.lines.saturating_add(1);
        self.waiting.extend(&bytes);
    }

    /// For when there is no event loop to come back to.
    fn wait_and_write(&mut self, patience: Duration) {
        let end = Instant::now() + patience;
        while self.write_out() {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = rustix::event::Timespec::try_from(left).unwrap_or_default();
            if left.is_zero() || self.way.wait(&timeout).is_err() {
                return;
            }
        }
    }
}

/// The next bytes to write: whole lines, at most `most` bytes of them; of a longer line its beginning.
fn next_piece(waiting: &mut VecDeque<u8>, most: usize) -> &[u8] {
    let whole = waiting.make_contiguous();
    let Some(first) = whole.get(..most) else { return whole };
    let lines = first.iter().rposition(|byte| *byte == b'\n').map_or(most, |at| at + 1);
    whole.get(..lines).unwrap_or(whole)
}

impl Way {
    fn of_standard_error(reopen: bool) -> Self {
        let stderr = io::stderr();
        let kind = rustix::fs::fstat(&stderr).map(|found| FileType::from_raw_mode(found.st_mode));
        match kind {
            Ok(FileType::RegularFile) => Self::File,
            Ok(FileType::Socket) => Self::Socket,
            Ok(FileType::Fifo | FileType::CharacterDevice) if reopen => {
                let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
                rustix::fs::openat(rustix::fs::CWD, "/proc/self/fd/2", flags, Mode::empty())
                    .map_or(Self::Asked, Self::Reopened)
            }
            _ => Self::Asked,
        }
    }

    /// Whether others may write into the same, so that pieces must stay small.
    fn is_shared(&self) -> bool {
        matches!(self, Self::Reopened(_) | Self::Asked)
    }

    fn write(&self, piece: &[u8]) -> Result<usize, Errno> {
        let stderr = io::stderr();
        match self {
            Self::File => rustix::io::write(&stderr, piece),
            Self::Socket => rustix::net::send(&stderr, piece, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
            Self::Reopened(own) => rustix::io::write(own, piece),
            Self::Asked => {
                // Whoever shares this pipe may fill it between question and write; then this waits, as every logger does.
                self.wait(&rustix::event::Timespec::default())?;
                rustix::io::write(&stderr, piece)
            }
        }
    }

    /// Waits until a piece is taken; `EAGAIN`: it was not in time.
    fn wait(&self, timeout: &rustix::event::Timespec) -> Result<(), Errno> {
        let stderr = io::stderr();
        let target = match self {
            Self::Reopened(own) => own.as_fd(),
            _ => stderr.as_fd(),
        };
        let ready = rustix::event::poll(&mut [PollFd::new(&target, PollFlags::OUT)], Some(timeout))?;
        if ready == 0 { Err(Errno::AGAIN) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use std::io::Read;

    /// An output into a pipe, and its reading end.
    fn piped(buffer: usize) -> (Output, std::fs::File) {
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).unwrap();
        let log = Log { buffer, ..crate::config::Config::default().log };
        let mut output = Output::new(Style::new("x@1", false), Way::Reopened(writer), &log);
        output.tended = true;
        (output, reader.into())
    }

    fn read(reader: &mut std::fs::File) -> String {
        let mut bytes = Vec::new();
        let _ = reader.read_to_end(&mut bytes); // ends with EAGAIN
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_gather_until_they_are_written() {
        let (mut output, mut reader) = piped(1 << 20);
        output.put(b"one\n", false);
        output.put(b"two\n", false);
        assert_eq!(read(&mut reader), "");
        assert!(!output.write_out());
        assert_eq!(read(&mut reader), "one\ntwo\n");
        assert_eq!((output.lines, output.dropped), (2, 0));
    }

    #[test]
    fn a_piece_ends_with_a_line() {
        let lines = |text: &str, most| next_piece(&mut text.bytes().collect(), most).to_vec();
        assert_eq!(lines("one\ntwo\nthree\n", 9), b"one\ntwo\n");
        assert_eq!(lines("one\ntwo\n", 64), b"one\ntwo\n");
        assert_eq!(lines("a line that is longer\n", 6), b"a line");
        assert_eq!(lines("", 6), b"");
    }

    #[test]
    fn a_reader_that_sleeps_costs_lines_but_never_silence() {
        let (mut output, mut reader) = piped(256 << 10);
        let mut sent = 0_u64;
        while output.dropped < 10 {
            sent += 1;
            output.put(format!("{sent:0>99}\n").as_bytes(), false);
        }
        assert!(output.blocked && output.waiting.len() <= output.limit);
        // Lines that are no requests still find room.
        output.put(b"important\n", true);
        let mut all = String::new();
        while output.write_out() {
            all += &read(&mut reader);
        }
        all += &read(&mut reader);
        let whole: Vec<&str> = all.lines().collect();
        assert_eq!(u64::try_from(whole.len()).unwrap(), sent - 10 + 2);
        assert!(whole[..whole.len() - 2].iter().all(|line| line.len() == 99), "every line is whole");
        assert_eq!(whole[whole.len() - 2], "important");
        assert!(whole[whole.len() - 1].ends_with("dropped=10"), "{}", whole[whole.len() - 1]);
        assert_eq!(output.dropped, 10);
    }

    #[test]
    fn when_nobody_reads_any_more_lines_are_counted_as_lost() {
        let (mut output, reader) = piped(1 << 20);
        drop(reader);
        output.put(b"one\n", false);
        assert!(!output.write_out());
        assert_eq!((output.dropped, output.waiting.len()), (1, 0));
    }
}
