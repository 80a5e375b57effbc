//! Two sockets become one connection: bytes both ways, half-close kept, resets passed on, deadlines for the quiet.
//!
//! What one side does the other side sees, as if there were no proxy between them:
//! - end of stream on one side is passed on after its last byte, the other direction goes on (RFC 9293 §3.6: closing is per direction);
//! - a reset on one side is a reset on the other (RFC 9293 §3.10.7). It must never look like a clean end: whoever reads "until the connection closes"
//!   would take a cut-off answer for a whole one;
//! - when one side stops reading but has still something to say, that is delivered first; and if it had said its last word already, nothing of it
//!   is lost because the other side goes on talking.
//!
//! One task drives both directions, and an idle tunnel holds no buffer and no pipe. Between two turns it can be stopped and go on in
//! another process (`stand_still.rs`).

mod stand_still;

use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::flow::{Failure, Flow, Turn, poll_discard};
use super::pipes::PipePool;

/// Further away than any connection lives; stands for "never" where a duration is too long to add.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Bytes sent this lately may not have arrived yet.
const ON_ITS_WAY: Duration = Duration::from_secs(10);
/// What a side may say, in bytes, after the other has left for good (acknowledgements, window updates, a goodbye) before it is told by a reset.
const LAST_WORDS: usize = 256 * 1024;

/// How long a tunnel may be quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelOptions {
    /// No byte either way for this long ends the tunnel.
    pub idle: Duration,
    /// The same once one direction is over (the smaller of the two counts): a peer that never closes its side must not live for ever.
    pub half_closed: Duration,
}

impl Default for TunnelOptions {
    fn default() -> Self {
        Self { idle: Duration::from_secs(600), half_closed: Duration::from_secs(60) }
    }
}

/// One of the two sockets of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first socket given to [`run`] (the client).
    A,
    /// The second one (the upstream).
    B,
}

/// Why a tunnel ended.
#[derive(Debug)]
pub enum EndReason {
    /// Both sides said that they had finished.
    Finished,
    /// Nothing moved for [`TunnelOptions::idle`].
    Idle,
    /// Nothing moved for [`TunnelOptions::half_closed`] after one side had finished.
    HalfClosedIdle,
    /// Reading from this side failed: it reset the connection, or TCP gave it up.
    Read(Side, io::Error),
    /// Writing to this side failed: it had closed or reset. What it had still to say was delivered.
    Write(Side, io::Error),
}

/// The account of a tunnel.
#[derive(Debug)]
pub struct TunnelEnd {
    /// Bytes written to B (those given as already read included).
    pub a_to_b: u64,
    /// Bytes written to A (those given as already read included).
    pub b_to_a: u64,
    /// How many of both were moved inside the kernel, never entering this process.
    pub spliced: u64,
    /// From its beginning, in whatever process.
    pub lasted: Duration,
    /// Who was the first to say that it had finished, if anybody did.
    pub finished_first: Option<Side>,
    /// Why it ended.
    pub reason: EndReason,
}

/// Why [`Tunnel::run`] returns.
#[derive(Debug)]
pub enum Stop {
    /// The conversation is over; [`Tunnel::close`] is next.
    Over(EndReason),
    /// It was asked to stop while it lives; [`Tunnel::stand_still`] is next.
    Asked,
}

/// Moves bytes between two connected sockets until the connection is over, and closes both.
///
/// `a_to_b` and `b_to_a` are bytes somebody has read already; they are delivered first, are not counted against any limit and are freed when sent.
/// The sockets must be non-blocking and registered with the current runtime. Dropping the future closes both sockets.
pub async fn run(
    a: TcpStream,
    b: TcpStream,
    a_to_b: Vec<u8>,
    b_to_a: Vec<u8>,
    options: &TunnelOptions,
    pipes: &PipePool,
) -> TunnelEnd {
    let mut tunnel = Tunnel::new(a, b, a_to_b, b_to_a);
    match tunnel.run(options, pipes, pending()).await {
        Stop::Over(reason) => tunnel.close(reason),
        Stop::Asked => tunnel.close(EndReason::Idle), // nobody asks
    }
}

/// Two sockets and what is between them.
pub struct Tunnel {
    a: TcpStream,
    b: TcpStream,
    a_to_b: Flow,
    b_to_a: Flow,
    a_to_b_over: Option<Over>,
    b_to_a_over: Option<Over>,
    finished_first: Option<Side>,
    began: Instant,
    last_activity: Instant,
    /// When a byte last went to B, and to A.
    last_a_to_b: Option<Instant>,
    last_b_to_a: Option<Instant>,
    /// How many bytes of last words may still be thrown away.
    last_words: usize,
    /// Nothing was tried yet.
    fresh: bool,
    /// The alarm is set for the half-closed deadline.
    half_closed: bool,
    /// Close with a reset. False only after an end that both sides could see coming.
    abort: bool,
}

/// How one direction came to its end.
enum Over {
    /// All bytes are delivered, and the receiver was told that there will be no more (or will be, by closing at once).
    Ended,
    /// All bytes are delivered, but this is the second half of a reset, of which the receiver will be told instead.
    EndedSilently,
    /// The receiver does not take any more; the other direction may still go on.
    NotTaken(io::Error),
}

impl Tunnel {
    /// Of two sockets, with bytes that were read from each already; see [`run`].
    pub fn new(a: TcpStream, b: TcpStream, a_to_b: Vec<u8>, b_to_a: Vec<u8>) -> Self {
        let now = Instant::now();
        Self {
            a,
            b,
            a_to_b: Flow::new(a_to_b),
            b_to_a: Flow::new(b_to_a),
            a_to_b_over: None,
            b_to_a_over: None,
            finished_first: None,
            began: now,
            last_activity: now,
            last_a_to_b: None,
            last_b_to_a: None,
            last_words: LAST_WORDS,
            fresh: true,
            half_closed: false,
            abort: true,
        }
    }

    /// Moves bytes until the conversation is over or, between two turns, until `asked` is ready.
    pub async fn run(&mut self, options: &TunnelOptions, pipes: &PipePool, asked: impl Future<Output = ()>) -> Stop {
        if std::mem::take(&mut self.fresh)
            && let Some(reason) = self.begin()
        {
            return Stop::Over(reason);
        }
        let mut alarm = pin!(sleep_until(later(self.last_activity, options.idle)));
        let mut asked = pin!(asked);
        poll_fn(|cx| match asked.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Stop::Asked),
            Poll::Pending => self.poll(cx, alarm.as_mut(), options, pipes).map(Stop::Over),
        })
        .await
    }

    /// Bytes so far: from A to B, from B to A, and how many of both were spliced.
    pub fn moved(&self) -> [u64; 3] {
        let spliced = self.a_to_b.spliced().saturating_add(self.b_to_a.spliced());
        [self.a_to_b.moved(), self.b_to_a.moved(), spliced]
    }

    /// The client's first bytes are usually there when a tunnel starts, unless it waits for an answer of ours (to CONNECT); the
    /// upstream's never are. So one direction is tried at most.
    fn begin(&mut self) -> Option<EndReason> {
        if self.b_to_a.holds_bytes() && !self.a_to_b.holds_bytes() {
            return None;
        }
        let first = self.a_to_b.begin(&self.a, &self.b);
        self.settle(Side::A, first.map(|()| Turn::Blocked))
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        alarm: Pin<&mut Sleep>,
        options: &TunnelOptions,
        pipes: &PipePool,
    ) -> Poll<EndReason> {
        let mut tired = false;
        if self.a_to_b_over.is_none() {
            // If the other direction is over, closing says it, or a reset is to say something else.
            let pass_end = self.b_to_a_over.is_none();
            let turn = self.a_to_b.turn(cx, &mut self.a, &mut self.b, pipes, pass_end);
            tired |= matches!(turn, Ok(Turn::Tired));
            if let Some(reason) = self.settle(Side::A, turn) {
                return Poll::Ready(reason);
            }
        }
        if self.b_to_a_over.is_none() {
            let pass_end = self.a_to_b_over.is_none();
            let turn = self.b_to_a.turn(cx, &mut self.b, &mut self.a, pipes, pass_end);
            tired |= matches!(turn, Ok(Turn::Tired));
            if let Some(reason) = self.settle(Side::B, turn) {
                return Poll::Ready(reason);
            }
        }
        self.note_progress();
        if self.a_to_b_over.is_some()
            && self.b_to_a_over.is_some()
            && let Poll::Ready(clean) = self.poll_last_words(cx)
        {
            self.abort = !clean;
            return Poll::Ready(self.both_over());
        }
        if tired {
            wake_after_the_others(cx);
        }
        self.poll_alarm(cx, alarm, options)
    }

    /// Both directions are over: may the sockets be closed quietly?
    ///
    /// If one side has finished and then takes no more bytes from the other, the other may still be receiving: let it say its last words into the void.
    /// That is no activity, so the half-closed deadline bounds it. If nothing was sent to it lately, it has nothing to lose and is told by a reset
    /// at once: a cancelled download must not go on for a minute.
    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let (talker, sent_to_it) = match (&self.a_to_b_over, &self.b_to_a_over) {
            (Some(Over::Ended), Some(Over::Ended)) => return Poll::Ready(true),
            (Some(Over::NotTaken(_)), Some(Over::Ended)) => (&mut self.a, self.last_b_to_a),
            (Some(Over::Ended), Some(Over::NotTaken(_))) => (&mut self.b, self.last_a_to_b),
            _ => return Poll::Ready(false),
        };
        if sent_to_it.is_none_or(|at| at.elapsed() > ON_ITS_WAY) {
            return Poll::Ready(false);
        }
        poll_discard(cx, talker, &mut self.last_words)
    }

    /// The clock is read once for all the bytes of a turn.
    fn note_progress(&mut self) {
        let (up, down) = (self.a_to_b.take_progress(), self.b_to_a.take_progress());
        if up || down {
            let now = Instant::now();
            self.last_activity = now;
            self.last_a_to_b = if up { Some(now) } else { self.last_a_to_b };
            self.last_b_to_a = if down { Some(now) } else { self.last_b_to_a };
        }
    }

    /// Notes how a turn of the direction *from* `from` ended. An answer means that the whole tunnel is over.
    fn settle(&mut self, from: Side, turn: Result<Turn, Failure>) -> Option<EndReason> {
        let (flow, over, other) = match from {
            Side::A => (&mut self.a_to_b, &mut self.a_to_b_over, &self.b_to_a_over),
            Side::B => (&mut self.b_to_a, &mut self.b_to_a_over, &self.a_to_b_over),
        };
        match turn {
            Ok(Turn::Blocked | Turn::Tired) => {}
            Ok(Turn::Ended) if matches!(other, Some(Over::NotTaken(_))) => *over = Some(Over::EndedSilently),
            Ok(Turn::Ended) => {
                *over = Some(Over::Ended);
                self.finished_first.get_or_insert(from);
            }
            Err(Failure::Read(error)) => return Some(EndReason::Read(from, error)),
            Err(Failure::Write(error)) => {
                flow.discard();
                *over = Some(Over::NotTaken(error));
            }
        }
        None
    }

    fn both_over(&mut self) -> EndReason {
        match (self.a_to_b_over.take(), self.b_to_a_over.take()) {
            (Some(Over::NotTaken(error)), _) => EndReason::Write(Side::B, error),
            (_, Some(Over::NotTaken(error))) => EndReason::Write(Side::A, error),
            _ => EndReason::Finished,
        }
    }

    /// One timer per tunnel, moved only when it fires: bytes merely note the time.
    fn poll_alarm(
        &mut self,
        cx: &mut Context<'_>,
        mut alarm: Pin<&mut Sleep>,
        options: &TunnelOptions,
    ) -> Poll<EndReason> {
        let half_closed = self.a_to_b_over.is_some() || self.b_to_a_over.is_some();
        let limit = if half_closed { options.half_closed.min(options.idle) } else { options.idle };
        let due = later(self.last_activity, limit);
        if half_closed && !self.half_closed {
            self.half_closed = true;
            alarm.as_mut().reset(due);
        }
        while alarm.as_mut().poll(cx).is_ready() {
            if Instant::now() >= due {
                return Poll::Ready(if half_closed { EndReason::HalfClosedIdle } else { EndReason::Idle });
            }
            alarm.as_mut().reset(due);
        }
        Poll::Pending
    }

    /// Closes both sockets: quietly after a clean end, with a reset after anything else.
    ///
    /// A reset discards what the kernel has not sent yet. That is the price of not telling a lie, and what a direct connection does, too.
    pub fn close(mut self, reason: EndReason) -> TunnelEnd {
        let [a_to_b, b_to_a, spliced] = self.moved();
        let end = TunnelEnd {
            a_to_b,
            b_to_a,
            spliced,
            lasted: self.began.elapsed(),
            finished_first: self.finished_first,
            reason,
        };
        self.a_to_b.discard();
        self.b_to_a.discard();
        if self.abort {
            // Both: a socket that is dead already does not mind, and unsent bytes of a dead connection need not linger in the kernel.
            let _ = self.a.set_zero_linger();
            let _ = self.b.set_zero_linger();
        }
        end
    }
}

fn later(from: Instant, by: Duration) -> Instant {
    from.checked_add(by.min(NEVER)).unwrap_or(from)
}

/// Polls this task again, but only after the event loop has looked for other connections' events. A plain `wake_by_ref` would keep a few
/// busy tunnels running for dozens of turns before anybody else is heard.
fn wake_after_the_others(cx: &mut Context<'_>) {
    let deferred = pin!(tokio::task::yield_now());
    let _ = deferred.poll(cx);
}
