//! One HTTP/2 connection: the handle that opens streams, the task that moves its frames, and what is known of the other end.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use h2::{Ping, PingPong};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::super::pool::Open;
use super::super::{PoolLimits, SendError};
use super::H2Limits;
use crate::guarded::{Clock, millis};

/// How long the last frames of a connection that nobody needs any more may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// See the module's words.
pub(super) struct Link {
    sender: SendRequest<Bytes>,
    pulse: Rc<Pulse>,
    active: Cell<usize>,
    pub(super) born: u64,
    pub(super) idle_since: Cell<u64>,
    pub(super) served: Cell<u64>,
    /// Tells the task that the last user is gone.
    _alive: oneshot::Sender<()>,
    _open: Open,
}

/// What the task, the sweep and the users tell each other.
struct Pulse {
    clock: Clock,
    /// Moment of the last byte from the other end.
    heard: Cell<u64>,
    /// Moment of a PING that has no answer yet.
    asked: Cell<Option<u64>>,
    /// The other end has answered one: its settings are known.
    settled: Cell<bool>,
    /// No new streams.
    closed: Cell<bool>,
    /// The other end does not answer: the task is to let go.
    dead: Cell<bool>,
    task: RefCell<Option<Waker>>,
    changed: tokio::sync::Notify,
}

impl Pulse {
    fn wake_task(&self) {
        if let Some(task) = &*self.task.borrow() {
            task.wake_by_ref();
        }
    }
}

impl Link {
    /// Speaks HTTP/2 over a fresh connection.
    pub(super) async fn open<Io>(
        io: Io,
        limits: &PoolLimits,
        h2: &H2Limits,
        clock: Clock,
        open: Open,
    ) -> Result<Rc<Link>, SendError>
    where
        Io: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let now = clock.now();
        let pulse = Rc::new(Pulse {
            clock,
            heard: Cell::new(now),
            asked: Cell::new(Some(now)),
            settled: Cell::new(false),
            closed: Cell::new(false),
            dead: Cell::new(false),
            task: RefCell::new(None),
            changed: tokio::sync::Notify::new(),
        });
        let io = Stamped { io, pulse: Rc::clone(&pulse) };
        let (sender, mut connection) = super::builder(limits, h2).handshake(io).await.map_err(SendError::from_h2)?;
        let pings = connection.ping_pong();
        let (alive, over) = oneshot::channel();
        tokio::task::spawn_local(run(connection, pings, Rc::clone(&pulse), over));
        let (active, idle_since, served) = (Cell::new(0), Cell::new(now), Cell::new(0));
        Ok(Rc::new(Link { sender, pulse, active, born: now, idle_since, served, _alive: alive, _open: open }))
    }

    /// A handle for one more stream.
    pub(super) fn sender(&self) -> SendRequest<Bytes> {
        self.sender.clone()
    }

    /// One more request may use it.
    pub(super) fn has_room(&self, limit: usize) -> bool {
        !self.pulse.closed.get() && self.active.get() < limit.min(self.sender.current_max_send_streams())
    }

    pub(super) fn is_closed(&self) -> bool {
        self.pulse.closed.get()
    }

    /// Gets no new requests any more; those that use it go on.
    pub(super) fn retire(&self) {
        self.pulse.closed.set(true);
    }

    /// Nothing has come from the other end since then.
    pub(super) fn is_silent_since(&self, moment: u64) -> bool {
        self.pulse.heard.get() <= moment
    }

    /// Nobody uses it.
    pub(super) fn is_idle(&self) -> bool {
        self.active.get() == 0
    }

    /// Waits until the other end has told its settings. Returns whether it takes extended CONNECT (RFC 8441).
    pub(super) async fn extended_connect(&self) -> bool {
        while !self.pulse.settled.get() && !self.pulse.closed.get() {
            self.pulse.changed.notified().await;
        }
        self.sender.is_extended_connect_protocol_enabled()
    }

    /// Asks an end that has been silent for too long, lets go of one that does not answer.
    pub(super) fn sweep(&self, now: u64, h2: &H2Limits) {
        let pulse = &self.pulse;
        match pulse.asked.get() {
            Some(asked) if now.saturating_sub(asked.max(pulse.heard.get())) >= millis(h2.ping_deadline) => {
                pulse.dead.set(true);
                pulse.wake_task();
            }
            None if !h2.ping_interval.is_zero()
                && !self.is_idle()
                && now.saturating_sub(pulse.heard.get()) >= millis(h2.ping_interval) =>
            {
                pulse.asked.set(Some(now));
                pulse.wake_task();
            }
            _ => {}
        }
    }
}

/// A place on a connection, taken for the time of one request and its answer.
pub(in super::super) struct Seat {
    pub(super) link: Rc<Link>,
}

impl Seat {
    pub(super) fn take(link: &Rc<Link>) -> Seat {
        link.active.set(link.active.get().saturating_add(1));
        link.served.set(link.served.get().saturating_add(1));
        Seat { link: Rc::clone(link) }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.link.active.set(self.link.active.get().saturating_sub(1));
        self.link.idle_since.set(self.link.pulse.clock.now());
    }
}

/// The task of a connection: until it is over, or nobody needs it and its last frames are gone, or the other end is dead.
async fn run<Io>(
    mut connection: Connection<Io, Bytes>,
    pings: Option<PingPong>,
    pulse: Rc<Pulse>,
    unused: oneshot::Receiver<()>,
) where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let mut pings = pings.map(Pings::new);
    let mut moving = pin!(std::future::poll_fn(|cx| {
        if !pulse.task.borrow().as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *pulse.task.borrow_mut() = Some(cx.waker().clone());
        }
        if pulse.dead.get() {
            return Poll::Ready(());
        }
        if let Some(pings) = &mut pings {
            pings.poll(&pulse, cx);
        }
        Pin::new(&mut connection).poll(cx).map(drop)
    }));
    tokio::select! {
        biased;
        () = &mut moving => {}
        _ = unused => drop(tokio::time::timeout(FAREWELL, &mut moving).await),
    }
    pulse.closed.set(true);
    pulse.changed.notify_waiters();
}

/// Questions to the other end. The first one is asked at once: its answer comes after the settings.
struct Pings {
    pings: PingPong,
    sent: bool,
}

impl Pings {
    fn new(pings: PingPong) -> Self {
        Pings { pings, sent: false }
    }

    fn poll(&mut self, pulse: &Pulse, cx: &mut Context<'_>) {
        if pulse.asked.get().is_some() && !self.sent {
            self.sent = self.pings.send_ping(Ping::opaque()).is_ok();
        }
        if self.sent && self.pings.poll_pong(cx).is_ready() {
            self.sent = false;
            pulse.asked.set(None);
            pulse.settled.set(true);
            pulse.changed.notify_waiters();
        }
    }
}

/// A socket that notes when it brought something.
struct Stamped<Io> {
    io: Io,
    pulse: Rc<Pulse>,
}

impl<Io: AsyncRead + Unpin> AsyncRead for Stamped<Io> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_read(cx, buf);
        if result.is_ready() {
            self.pulse.heard.set(self.pulse.clock.now());
        }
        result
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Stamped<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
