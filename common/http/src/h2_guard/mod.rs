//! Watches one HTTP/2 connection for floods (RFC 9113 §10.5): frames that cost us work and the client nothing. hyper and h2 bound some of them,
//! not all, and not by configuration; so the frame headers of both directions are counted here while the bytes pass.
//!
//! Pure: bytes and the time in, verdict out; no allocation, no copy, a few instructions per frame. It decides nothing about the frames
//! themselves and never changes a byte.
//!
//! Each kind has a budget per window of time ([`budget`]). Work that was really done earns more, so that busy clients never meet a limit:
//! - an answer that we finish: one RST_STREAM, and one reset of ours
//! - a DATA frame that we send: one PING (gRPC measures with them), ten WINDOW_UPDATEs
//! - a stream that the client opens: four PRIORITYs, two WINDOW_UPDATEs

pub mod budget;
pub mod frames;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use budget::Account;
pub use budget::{Budgets, Counts, Flood};
use frames::{Frame, Walker, kind};

/// DATA frames with less data than this, other than the last of a stream, are tiny.
const TINY: u32 = 16;

/// Errors of the client that we answer with RST_STREAM: PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM,
/// COMPRESSION_ERROR, ENHANCE_YOUR_CALM (RFC 9113 §7). Others are our own decisions.
const PROVOKED: [u32; 7] = [1, 3, 5, 6, 7, 9, 11];

/// See the module's words.
#[derive(Debug)]
pub struct Guard {
    budgets: Arc<Budgets>,
    received: Walker,
    sent: Walker,
    tally: Tally,
}

/// What is counted.
#[derive(Debug, Default)]
struct Tally {
    account: Account,
    /// Nanoseconds; the last moment we were told.
    now: u64,
    /// Highest stream the client has opened.
    newest: u32,
    block_bytes: u32,
    block_frames: u32,
    /// Requests or data passed since it was last asked.
    worked: bool,
    flood: Option<Flood>,
}

impl Guard {
    /// Guards a new connection.
    #[must_use]
    pub fn new(budgets: Arc<Budgets>) -> Self {
        Guard { budgets, received: Walker::of_client(), sent: Walker::of_server(), tally: Tally::default() }
    }

    /// The next bytes from the client, at so many milliseconds.
    ///
    /// # Errors
    /// A budget is exceeded: the connection is to be closed.
    pub fn received(&mut self, bytes: &[u8], now: u64) -> Result<(), Flood> {
        let (tally, budgets) = (&mut self.tally, &*self.budgets);
        tally.now = now.saturating_mul(1_000_000);
        self.received.feed(bytes, |frame| tally.received(budgets, frame));
        self.verdict()
    }

    /// The next bytes to the client. What is found here is told by the next [`Guard::received`] or [`Guard::verdict`].
    pub fn sent(&mut self, bytes: &[u8]) {
        let (tally, budgets) = (&mut self.tally, &*self.budgets);
        self.sent.feed(bytes, |frame| tally.sent(budgets, frame));
    }

    /// Whether a budget has been exceeded.
    ///
    /// # Errors
    /// Which.
    pub fn verdict(&self) -> Result<(), Flood> {
        self.tally.flood.map_or(Ok(()), Err)
    }

    /// Whether requests, answers or data passed since this was last asked. The rest (PING, SETTINGS, ...) keeps no connection alive.
    pub fn worked(&mut self) -> bool {
        std::mem::take(&mut self.tally.worked)
    }

    /// A GOAWAY frame (RFC 9113 §6.8) with this code; `None` in the middle of another frame, where it could not be understood.
    #[must_use]
    pub fn goaway(&self, code: u32) -> Option<[u8; 17]> {
        if !self.sent.at_boundary() {
            return None;
        }
        let [s3, s2, s1, s0] = self.tally.newest.to_be_bytes();
        let [c3, c2, c1, c0] = code.to_be_bytes();
        Some([0, 0, 8, kind::GOAWAY, 0, 0, 0, 0, 0, s3, s2, s1, s0, c3, c2, c1, c0])
    }
}

impl Tally {
    fn received(&mut self, budgets: &Budgets, frame: &Frame) {
        match frame.kind {
            kind::DATA => {
                self.worked |= frame.data() > 0 || frame.ends_stream();
                match frame.data() {
                    _ if frame.ends_stream() => {}
                    0 => self.spend(budgets, Flood::EmptyData),
                    1..TINY => self.spend(budgets, Flood::TinyData),
                    _ => {}
                }
            }
            kind::HEADERS => {
                self.worked = true;
                if frame.stream > self.newest {
                    self.newest = frame.stream;
                    self.earn(budgets, Flood::Priorities, 4);
                    self.earn(budgets, Flood::WindowUpdates, 2);
                }
                (self.block_bytes, self.block_frames) = (frame.length, 0);
                self.judge_block(budgets);
            }
            kind::CONTINUATION => {
                self.block_bytes = self.block_bytes.saturating_add(frame.length);
                self.block_frames = self.block_frames.saturating_add(1);
                self.judge_block(budgets);
            }
            kind::PRIORITY | kind::PRIORITY_UPDATE => self.spend(budgets, Flood::Priorities),
            kind::RST_STREAM => self.spend(budgets, Flood::Resets),
            kind::SETTINGS => self.spend(budgets, Flood::Settings),
            kind::PING => self.spend(budgets, Flood::Pings),
            kind::WINDOW_UPDATE => self.spend(budgets, Flood::WindowUpdates),
            _ => self.spend(budgets, Flood::UnknownFrames),
        }
    }

    fn judge_block(&mut self, budgets: &Budgets) {
        if self.block_bytes > budgets.header_block {
            self.flood.get_or_insert(Flood::HeaderBlock);
        } else if self.block_frames > budgets.continuations {
            self.flood.get_or_insert(Flood::Continuations);
        }
    }

    fn sent(&mut self, budgets: &Budgets, frame: &Frame) {
        match frame.kind {
            kind::DATA | kind::HEADERS => {
                self.worked = true;
                if frame.kind == kind::DATA {
                    self.earn(budgets, Flood::Pings, 1);
                    self.earn(budgets, Flood::WindowUpdates, 10);
                }
                if frame.ends_stream() {
                    self.earn(budgets, Flood::Resets, 1);
                    self.earn(budgets, Flood::ProvokedResets, 1);
                }
            }
            kind::RST_STREAM if PROVOKED.contains(&frame.code()) => self.spend(budgets, Flood::ProvokedResets),
            _ => {}
        }
    }

    fn spend(&mut self, budgets: &Budgets, flood: Flood) {
        if let Err(flood) = self.account.spend(budgets, flood, self.now) {
            self.flood.get_or_insert(flood);
        }
    }

    fn earn(&mut self, budgets: &Budgets, flood: Flood, count: u32) {
        self.account.earn(budgets, flood, count);
    }
}
