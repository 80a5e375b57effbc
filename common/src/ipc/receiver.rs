//! The receiving end of an edge: accepts channels, hands out parcels, acknowledges once per turn.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use rustix::net::SocketFlags;
use tokio::net::unix::pipe;
use tokio::sync::Notify;
use zeroize::Zeroize as _;

use super::Message;
use super::channel::{Channel, ChannelError};
use super::codec::{self, MAX_FRAME};
use super::outbox::Outbox;
use super::peer::PeerCheck;
use super::sender::{Back, Parcel};

/// Channels that one receiver serves at a time: senders are few, so more than this is a mistake or an attack.
pub const MAX_CHANNELS: usize = 256;
/// Frames read from one channel before its parcels are served and acknowledged.
const FRAMES_PER_TURN: usize = 8;

/// Begins to serve a parcel.
pub type Begin = Box<dyn FnOnce()>;

/// What the handler says to a parcel.
pub enum Verdict {
    /// It is ours now.
    Taken,
    /// It is ours as soon as the sender cannot give it to anybody else any more; serving begins then, with this. Until then
    /// not one byte may be made from it. (Keys: two processes that seal with the same ones would repeat nonces.)
    TakenOnce(Begin),
    /// No room; the sender may offer it to another instance.
    Full,
}

/// Sends the answer of a call. Dropping it unused leaves the caller waiting until its own deadline or our death.
#[derive(Debug)]
pub struct Replier<R> {
    outbox: Rc<Outbox>,
    id: u64,
    reply: std::marker::PhantomData<R>,
}

impl<R: Message> Replier<R> {
    /// Answers, with exactly the descriptors the message announces.
    pub fn send(self, reply: R, descriptors: Vec<OwnedFd>) {
        self.outbox.put(self.id, &Back::Answer(reply), descriptors);
    }
}

/// One arrival: the parcel, and how to answer if it is a call (the sender waits) rather than a hand-over.
#[derive(Debug)]
pub struct Arrival<M, R> {
    /// What came.
    pub parcel: Parcel<M>,
    /// Present for calls only.
    pub replier: Option<Replier<R>>,
}

type Handler<M, R> = dyn Fn(Arrival<M, R>) -> Verdict;

/// The receiving end; start it with [`Receiver::serve`].
pub struct Receiver<M, R> {
    edge: &'static str,
    peers: PeerCheck,
    handler: Box<Handler<M, R>>,
    heir: bool,
    channels: RefCell<Vec<Rc<Outbox>>>,
    draining: Cell<bool>,
    drain: Notify,
    refused: Cell<u64>,
}

impl<M: Message, R: Message> Receiver<M, R> {
    /// A receiver of `edge` that lets `peers` in and gives every parcel to `handler`.
    pub fn new(edge: &'static str, peers: PeerCheck, handler: impl Fn(Arrival<M, R>) -> Verdict + 'static) -> Rc<Self> {
        Rc::new(Self::with(edge, peers, handler, false))
    }

    /// The receiving end of a succession. Its sender ends a channel by dying only, so what lies in front of that end is nobody else's.
    pub fn heir(
        edge: &'static str,
        peers: PeerCheck,
        handler: impl Fn(Arrival<M, R>) -> Verdict + 'static,
    ) -> Rc<Self> {
        Rc::new(Self::with(edge, peers, handler, true))
    }

    fn with(
        edge: &'static str,
        peers: PeerCheck,
        handler: impl Fn(Arrival<M, R>) -> Verdict + 'static,
        heir: bool,
    ) -> Self {
        Self {
            edge,
            peers,
            handler: Box::new(handler),
            heir,
            channels: RefCell::default(),
            draining: Cell::new(false),
            drain: Notify::new(),
            refused: Cell::new(0),
        }
    }

    /// Accepts channels on an inherited listener until drained. Never returns an error for what a peer does.
    pub async fn serve(self: Rc<Self>, listener: OwnedFd) -> std::io::Result<()> {
        rustix::io::ioctl_fionbio(&listener, true)?;
        let listener = pipe::Receiver::from_owned_fd_unchecked(listener)?;
        loop {
            tokio::select! {
                ready = listener.readable() => ready?,
                () = self.drain.notified() => return Ok(()),
            }
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            match listener.try_io(|| Ok(rustix::net::accept_with(&listener, flags)?)) {
                Ok(socket) => self.admit(socket),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    tracing::error!(edge = self.edge, "cannot accept a channel: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// From now on everything that arrives goes back to its sender, which looks for another instance.
    pub fn drain(&self) {
        self.draining.set(true);
        self.drain.notify_one();
        for outbox in self.channels.borrow().iter() {
            outbox.put(0, &Back::<R>::Draining, Vec::new());
        }
    }

    /// Peers and frames refused so far.
    pub fn refused(&self) -> u64 {
        self.refused.get()
    }

    fn admit(self: &Rc<Self>, socket: OwnedFd) {
        if let Err(error) = self.peers.check(&socket) {
            self.refuse(&error.to_string());
        } else if self.channels.borrow().len() >= MAX_CHANNELS {
            self.refuse(&format!("more than {MAX_CHANNELS} channels"));
        } else {
            match Channel::new(socket) {
                Ok(channel) => drop(tokio::task::spawn_local(Rc::clone(self).converse(Outbox::new(Rc::new(channel))))),
                Err(error) => self.refuse(&error.to_string()),
            }
        }
    }

    fn refuse(&self, why: &str) {
        self.refused.set(self.refused.get() + 1);
        tracing::warn!(edge = self.edge, "channel refused: {why}");
    }

    async fn converse(self: Rc<Self>, outbox: Rc<Outbox>) {
        let channel = Rc::clone(outbox.channel());
        self.channels.borrow_mut().push(Rc::clone(&outbox));
        let greeting: Back<R> = if self.draining.get() { Back::Draining } else { Back::Ready };
        outbox.put(codec::EDITION, &greeting, Vec::new());
        let mut buffer = vec![0; MAX_FRAME];
        let why = loop {
            if let Err(error) = channel.readable().await {
                break ChannelError::Io(error);
            }
            if let Err(error) = self.turn(&outbox, &mut buffer).await {
                break error;
            }
        };
        self.channels.borrow_mut().retain(|other| !Rc::ptr_eq(other, &outbox));
        channel.hang_up();
        match why {
            ChannelError::HungUp | ChannelError::Io(_) => tracing::debug!(edge = self.edge, "channel ended: {why}"),
            why => self.refuse(&why.to_string()),
        }
    }

    /// Reads what is there, serves it, acknowledges it. An error in any frame, or the end of the channel, drops all that
    /// this turn has read: the sender has it still and knows that we did not acknowledge. (An heir serves what lies in front of
    /// the end.)
    async fn turn(&self, outbox: &Rc<Outbox>, buffer: &mut [u8]) -> Result<(), ChannelError> {
        let channel = outbox.channel();
        let mut arrived = Vec::new();
        let mut frames = 0;
        while frames < FRAMES_PER_TURN {
            let (length, descriptors) = match channel.receive(buffer) {
                Ok(Some(received)) => received,
                Ok(None) => break,
                Err(ChannelError::HungUp) if self.heir && !arrived.is_empty() => break, // met again in the next turn
                Err(error) => return Err(error),
            };
            let frame = buffer.get_mut(..length).unwrap_or_default();
            let items = read_items(outbox, frame, descriptors, &mut arrived);
            frame.zeroize();
            items?;
            frames += 1;
        }
        // Frames are read before the end that stands behind them: who slept through a long queue must look for it.
        if !self.heir && frames == FRAMES_PER_TURN && channel.has_ended() {
            return Err(ChannelError::HungUp);
        }
        if arrived.is_empty() {
            return Ok(());
        }
        let (replies, beginnings) = self.serve_all(arrived);
        if beginnings.is_empty() {
            // The tasks that the handler started run first: *taken* then means that serving has begun.
            tokio::task::yield_now().await;
        }
        for reply in &replies {
            outbox.put(0, reply, Vec::new());
        }
        if !beginnings.is_empty() {
            // A sender hangs up before it gives a parcel to somebody else, and reads what was sent before that. So what has
            // left is final, and what has not is nobody's: dropped here, the sender has it still.
            let said = outbox.flush();
            if !(said || self.heir && channel.was_left()) {
                return Err(ChannelError::HungUp);
            }
            beginnings.into_iter().for_each(|begin| begin());
        }
        Ok(())
    }

    /// Offers everything to the handler: what to reply, and what may begin once that has left.
    fn serve_all(&self, arrived: Vec<Arrival<M, R>>) -> (Vec<Back<R>>, Vec<Begin>) {
        let mut replies: Vec<Back<R>> = Vec::new();
        let mut beginnings = Vec::new();
        for arrival in arrived {
            let verdict = if self.draining.get() { Verdict::Full } else { (self.handler)(arrival) };
            let taken = !matches!(verdict, Verdict::Full);
            match (replies.last_mut(), taken) {
                (Some(Back::Taken(count)), true) | (Some(Back::Returned(count)), false) => *count += 1,
                (_, true) => replies.push(Back::Taken(1)),
                (_, false) => replies.push(Back::Returned(1)),
            }
            if let Verdict::TakenOnce(begin) = verdict {
                beginnings.push(begin);
            }
        }
        (replies, beginnings)
    }
}

fn read_items<M: Message, R: Message>(
    outbox: &Rc<Outbox>,
    frame: &[u8],
    descriptors: Vec<OwnedFd>,
    arrived: &mut Vec<Arrival<M, R>>,
) -> Result<(), ChannelError> {
    let items: Vec<(u64, M)> = codec::decode(frame)?;
    let announced: usize = items.iter().map(|(_, body)| body.descriptors()).sum();
    if announced != descriptors.len() {
        return Err(ChannelError::DescriptorCount { announced, carried: descriptors.len() });
    }
    let mut descriptors = descriptors.into_iter();
    for (id, body) in items {
        let own = descriptors.by_ref().take(body.descriptors()).collect();
        let replier = (id != 0).then(|| Replier { outbox: Rc::clone(outbox), id, reply: std::marker::PhantomData });
        arrived.push(Arrival { parcel: Parcel { body, descriptors: own }, replier });
    }
    Ok(())
}
