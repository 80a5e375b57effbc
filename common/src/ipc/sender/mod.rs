//! The sending end of an edge: one queue, one persistent channel to each receiving instance.
//!
//! Parcels are flushed once per turn of the event loop, up to 32 per frame, to the instance with the fewest
//! unacknowledged ones, equals in turn. Nothing is forgotten before the receiver has said *taken*: what a dead, silent or refusing
//! instance still owed goes to another one, in the old order. When none can take it in time, the owner is told.
//!
//! Files: this one is the interface; `link.rs` is one channel and what it owes; `tasks.rs` connects, reads and watches.

mod link;
mod tasks;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, oneshot};

use super::Message;
use super::codec::FrameWriter;
use super::directory::Directory;
use link::Link;

/// What travels back on a channel. `Taken` and `Returned` count parcels in the order in which they were sent.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::ipc) enum Back<R> {
    /// The receiver serves; nothing is sent before this.
    Ready,
    /// The next so many parcels are the receiver's.
    Taken(u32),
    /// The next so many parcels are not: the receiver is full or draining. Its copies are closed.
    Returned(u32),
    /// Send no more here; what is on its way comes back as `Returned`.
    Draining,
    /// The answer to the call with this frame item's id.
    Answer(R),
}

impl<R: Message> Message for Back<R> {
    fn descriptors(&self) -> usize {
        if let Self::Answer(reply) = self { reply.descriptors() } else { 0 }
    }
}

/// Bounds of one edge at its sending end; all from the configuration.
#[derive(Debug, Clone, Copy)]
pub struct SenderLimits {
    /// Parcels sent to one instance and not yet acknowledged.
    pub max_unacknowledged: usize,
    /// Parcels that wait because no instance has room.
    pub max_waiting: usize,
    /// How long a parcel waits before its owner is told.
    pub wait_deadline: Duration,
    /// The same for one that an instance had no place for.
    pub full_deadline: Duration,
    /// How long an instance may leave the oldest parcel unacknowledged before it is given up.
    pub answer_deadline: Duration,
    /// Send before the receiver has said that it serves: its socket outlives it, and whoever serves next reads what lies there.
    pub before_ready: bool,
}

impl Default for SenderLimits {
    fn default() -> Self {
        Self {
            max_unacknowledged: 256,
            max_waiting: 4096,
            wait_deadline: Duration::from_secs(5),
            full_deadline: Duration::from_secs(5),
            answer_deadline: Duration::from_secs(2),
            before_ready: false,
        }
    }
}

impl SenderLimits {
    /// How long a parcel waits, depending on whether an instance had no place for it.
    fn patience(&self, returned: bool) -> Duration {
        if returned { self.full_deadline.min(self.wait_deadline) } else { self.wait_deadline }
    }
}

/// A message with the descriptors it speaks of.
#[derive(Debug)]
pub struct Parcel<M> {
    /// What to do.
    pub body: M,
    /// On what.
    pub descriptors: Vec<OwnedFd>,
}

/// Why a parcel or call reached nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// Every instance is dead, full or draining, for longer than the deadline.
    #[error("no instance of the receiving process took it in time; is one running? see `bulkhead status`")]
    NoReceiver,
    /// Too many wait already.
    #[error("too many already wait for the receiving process (max_waiting)")]
    QueueFull,
    /// The message does not fit into a frame.
    #[error("the message is too large for one frame")]
    TooLarge,
    /// The instance that was working on the call died and no other answered.
    #[error("the receiving process died before it answered")]
    Died,
}

/// Counters of one edge, for status and tests.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeCounts {
    /// Parcels acknowledged by a receiver.
    pub delivered: u64,
    /// Parcels given to another instance because the first one died, refused or was silent.
    pub redirected: u64,
    /// Parcels whose owner was told that nobody took them.
    pub undelivered: u64,
    /// Channels that ended.
    pub channels_lost: u64,
}

type Answer<R> = Result<(R, Vec<OwnedFd>), Undelivered>;

/// A parcel with what we must remember while it is ours.
struct Item<M, R> {
    id: u64,
    parcel: Parcel<M>,
    call: Option<oneshot::Sender<Answer<R>>>,
    queued: Instant,
    sent: Instant,
    /// An instance had no place for it.
    returned: bool,
}

struct Shared<M, R> {
    edge: &'static str,
    limits: Cell<SenderLimits>,
    waiting: RefCell<VecDeque<Item<M, R>>>,
    links: RefCell<Vec<Rc<Link<M, R>>>>,
    frame: RefCell<FrameWriter>,
    work: Notify,
    watch: Notify,
    reconnect: Notify,
    room: Notify,
    /// Every instance that exists was tried once.
    looked_around: Cell<bool>,
    ids: Cell<u64>,
    turns: Cell<u64>,
    counts: Cell<EdgeCounts>,
    undelivered: Box<dyn Fn(Parcel<M>, Undelivered)>,
}

/// The sending end. Cheap to clone; it lives as long as the runtime.
pub struct Sender<M, R>(Rc<Shared<M, R>>);

impl<M, R> Clone for Sender<M, R> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<M, R> std::fmt::Debug for Sender<M, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("edge", &self.0.edge).finish_non_exhaustive()
    }
}

impl<M: Message, R: Message> Sender<M, R> {
    /// Starts the tasks of this edge; call inside a local runtime. `undelivered` gets every handed-over parcel back that
    /// nobody took.
    pub fn start(
        edge: &'static str,
        directory: Directory,
        limits: SenderLimits,
        undelivered: impl Fn(Parcel<M>, Undelivered) + 'static,
    ) -> Self {
        let shared = Rc::new(Shared {
            edge,
            limits: Cell::new(limits),
            waiting: RefCell::default(),
            links: RefCell::default(),
            frame: RefCell::default(),
            work: Notify::new(),
            watch: Notify::new(),
            reconnect: Notify::new(),
            room: Notify::new(),
            looked_around: Cell::new(false),
            ids: Cell::new(1),
            turns: Cell::new(1),
            counts: Cell::default(),
            undelivered: Box::new(undelivered),
        });
        tokio::task::spawn_local(tasks::flush_each_turn(Rc::clone(&shared)));
        tokio::task::spawn_local(tasks::keep_connected(Rc::clone(&shared), directory));
        tokio::task::spawn_local(tasks::watch_deadlines(Rc::clone(&shared)));
        Self(shared)
    }

    /// Gives a parcel away. It is flushed at the end of this turn; if nobody ever takes it, `undelivered` gets it back.
    /// `Err` returns it at once because too many wait.
    pub fn hand_over(&self, body: M, descriptors: Vec<OwnedFd>) -> Result<(), Parcel<M>> {
        debug_assert_eq!(body.descriptors(), descriptors.len());
        self.0.enqueue(Parcel { body, descriptors }, 0, None).map_err(|item| item.parcel)
    }

    /// Asks and waits for the answer. If the instance dies meanwhile, another one is asked, so the request must be one
    /// that may be made twice.
    pub async fn call(&self, body: M, descriptors: Vec<OwnedFd>) -> Answer<R> {
        let (sender, receiver) = oneshot::channel();
        let id = self.0.ids.replace(self.0.ids.get().wrapping_add(1).max(1));
        if self.0.enqueue(Parcel { body, descriptors }, id, Some(sender)).is_err() {
            return Err(Undelivered::QueueFull);
        }
        receiver.await.unwrap_or(Err(Undelivered::Died))
    }

    /// Other bounds from now on (reload). What waits already goes on waiting.
    pub fn set_limits(&self, limits: SenderLimits) {
        self.0.limits.set(limits);
        self.0.room.notify_waiters();
        self.0.work.notify_one();
    }

    /// Waits until the queue is at most half full: what an accept loop does before it accepts more.
    pub async fn room(&self) {
        while !self.has_room() {
            self.0.room.notified().await;
        }
    }

    /// Whether the queue is at most half full.
    pub fn has_room(&self) -> bool {
        self.0.waiting.borrow().len() * 2 <= self.0.limits.get().max_waiting
    }

    /// Instances that take parcels now.
    pub fn ready_instances(&self) -> usize {
        self.0.links.borrow().iter().filter(|link| link.is_open()).count()
    }

    /// Whether a message of this edition would be read: by one instance at least, if any takes parcels now. If none does, those that will are
    /// taken for our own release.
    pub fn is_read(&self, edition: u64) -> bool {
        let links = self.0.links.borrow();
        let mut open = links.iter().filter(|link| link.is_open()).peekable();
        open.peek().is_none() || open.any(|link| link.reads(edition))
    }

    /// Waits until every instance that exists now was tried once: connecting waits for nobody, but other tasks may be before ours.
    pub async fn looked_around(&self) {
        while !self.0.looked_around.get() {
            tokio::task::yield_now().await;
        }
    }

    /// Whether there is somebody, or somebody's letter box, to send to.
    pub fn is_connected(&self) -> bool {
        self.0.links.borrow().iter().any(|link| link.is_open())
    }

    /// Whether somebody has opened one of our channels.
    pub fn is_heard(&self) -> bool {
        self.0.links.borrow().iter().any(|link| link.has_answered())
    }

    /// Parcels that wait for an instance with room, or for whose acknowledgement an instance that lives must be waited for. What lies
    /// in a letter box that nobody has opened yet is not among them.
    pub fn unsettled(&self) -> usize {
        let links = self.0.links.borrow();
        let owed: usize = links.iter().filter(|link| link.has_answered()).map(|link| link.unacknowledged()).sum();
        self.0.waiting.borrow().len() + owed
    }

    /// Parcels that wait or are unacknowledged.
    pub fn pending(&self) -> usize {
        let links = self.0.links.borrow();
        self.0.waiting.borrow().len() + links.iter().map(|link| link.unacknowledged()).sum::<usize>()
    }

    /// What happened so far.
    pub fn counts(&self) -> EdgeCounts {
        self.0.counts.get()
    }
}

impl<M: Message, R: Message> Shared<M, R> {
    fn enqueue(&self, parcel: Parcel<M>, id: u64, call: Option<oneshot::Sender<Answer<R>>>) -> Result<(), Item<M, R>> {
        let now = Instant::now();
        let item = Item { id, parcel, call, queued: now, sent: now, returned: false };
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= self.limits.get().max_waiting {
            return Err(item);
        }
        waiting.push_back(item);
        self.work.notify_one();
        Ok(())
    }

    fn count(&self, change: impl FnOnce(&mut EdgeCounts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }

    /// Sends what waits, to whoever has room; what finds no room stays where it is.
    fn flush(&self) {
        while !self.waiting.borrow().is_empty() {
            let Some(link) = self.least_loaded() else { break };
            self.send_frame(&link);
        }
        if !self.waiting.borrow().is_empty() || self.links.borrow().iter().any(|link| link.unacknowledged() > 0) {
            self.watch.notify_one();
        }
        if self.waiting.borrow().len() * 2 <= self.limits.get().max_waiting {
            self.room.notify_waiters();
        }
    }

    fn least_loaded(&self) -> Option<Rc<Link<M, R>>> {
        let links = self.links.borrow();
        let waiting = self.waiting.borrow();
        let with_room = links.iter().filter(|link| link.has_room(self.limits.get().max_unacknowledged));
        let with_room = with_room.filter(|link| link.has_work(&waiting));
        let chosen = with_room.min_by_key(|link| link.load()).cloned()?;
        chosen.take_turn(self.turns.replace(self.turns.get() + 1));
        Some(chosen)
    }

    fn send_frame(&self, link: &Rc<Link<M, R>>) {
        let mut frame = self.frame.borrow_mut();
        let too_large = link.send(&mut frame, &mut self.waiting.borrow_mut(), self.limits.get().max_unacknowledged);
        drop(frame);
        if let Some(item) = too_large {
            self.give_up(item, Undelivered::TooLarge);
        }
    }

    /// The owner hears that nobody took it.
    fn give_up(&self, item: Item<M, R>, why: Undelivered) {
        self.count(|counts| counts.undelivered += 1);
        match item.call {
            Some(caller) => drop(caller.send(Err(why))),
            None => (self.undelivered)(item.parcel, why),
        }
    }

    /// A channel has ended: what it owed goes to the head of the queue, in the old order.
    fn lose(&self, link: &Rc<Link<M, R>>, why: &str) {
        self.links.borrow_mut().retain(|other| !Rc::ptr_eq(other, link));
        let owed = link.take_owed();
        self.count(|counts| {
            counts.channels_lost += 1;
            counts.redirected += u64::try_from(owed.len()).unwrap_or(u64::MAX);
        });
        tracing::warn!(edge = self.edge, instance = link.instance(), owed = owed.len(), "channel ended: {why}");
        self.requeue(owed);
        self.reconnect.notify_one();
    }

    fn requeue(&self, items: VecDeque<Item<M, R>>) {
        let mut waiting = self.waiting.borrow_mut();
        for item in items.into_iter().rev() {
            waiting.push_front(item);
        }
        self.work.notify_one();
    }
}
