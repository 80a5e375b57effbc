//! One channel of a sender, and what its receiver owes an acknowledgement or an answer for.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::super::Message;
use super::super::channel::{Channel, ChannelError, MAX_DESCRIPTORS, is_full};
use super::super::codec::{self, FrameWriter, MAX_FRAME};
use super::{Answer, Back, Item, Undelivered};

/// How long an instance that returned a parcel is left alone.
const PAUSE: Duration = Duration::from_millis(50);

/// Answers awaited before those are forgotten whose caller has given up: a receiver that never answers must not make us grow.
const MAX_AWAITED: usize = 1024;

pub(super) struct Link<M, R> {
    instance: String,
    channel: Rc<Channel>,
    before_ready: bool,
    /// What the receiver reads ([`codec::EDITION`]). Who has not said so and is sent to nevertheless is taken for one of our own release.
    edition: Cell<u64>,
    ready: Cell<bool>,
    draining: Cell<bool>,
    broken: Cell<bool>,
    paused_until: Cell<Option<Instant>>,
    turn: Cell<u64>,
    sent: RefCell<VecDeque<Item<M, R>>>,
    answers: RefCell<HashMap<u64, Item<M, R>>>,
}

/// What frames from the receiver changed.
pub(super) struct Progress<M, R> {
    pub taken: u64,
    pub returned: VecDeque<Item<M, R>>,
}

impl<M: Message, R: Message> Link<M, R> {
    pub(super) fn new(instance: String, channel: Channel, before_ready: bool) -> Self {
        Self {
            instance,
            channel: Rc::new(channel),
            before_ready,
            edition: Cell::new(if before_ready { codec::EDITION } else { 0 }),
            ready: Cell::new(false),
            draining: Cell::new(false),
            broken: Cell::new(false),
            paused_until: Cell::new(None),
            turn: Cell::new(0),
            sent: RefCell::default(),
            answers: RefCell::default(),
        }
    }

    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    pub(super) fn channel(&self) -> &Rc<Channel> {
        &self.channel
    }

    /// Takes parcels in general.
    pub(super) fn is_open(&self) -> bool {
        (self.ready.get() || self.before_ready) && !self.draining.get() && !self.broken.get()
    }

    /// Understands messages of this edition.
    pub(super) fn reads(&self, edition: u64) -> bool {
        edition <= self.edition.get()
    }

    /// Somebody has accepted the channel.
    pub(super) fn has_answered(&self) -> bool {
        self.ready.get() || self.draining.get()
    }

    /// Takes a parcel now.
    pub(super) fn has_room(&self, max: usize) -> bool {
        if self.paused_until.get().is_some_and(|until| Instant::now() >= until) {
            self.paused_until.set(None);
        }
        self.is_open() && self.paused_until.get().is_none() && self.unacknowledged() < max
    }

    pub(super) fn unacknowledged(&self) -> usize {
        self.sent.borrow().len()
    }

    /// Orders instances: the fewest unacknowledged parcels first, among equals the one whose turn is longest ago.
    /// Without the second part all long-lived connections of a quiet hour would end up with the first instance.
    pub(super) fn load(&self) -> (usize, u64) {
        (self.unacknowledged(), self.turn.get())
    }

    /// It is chosen now; turns are numbered upwards.
    pub(super) fn take_turn(&self, number: u64) {
        self.turn.set(number);
    }

    /// When the oldest unacknowledged parcel left.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.sent.borrow().front().map(|item| item.sent)
    }

    /// Fills one frame from the head of the queue and sends it; what the receiver does not read waits for another one. What could not go is back
    /// in the queue, in the old order. Returns a parcel that fits into no frame at all.
    pub(super) fn send(
        &self,
        frame: &mut FrameWriter,
        waiting: &mut VecDeque<Item<M, R>>,
        max: usize,
    ) -> Option<Item<M, R>> {
        frame.clear();
        let mut sent = self.sent.borrow_mut();
        let kept = sent.len();
        let mut descriptors = 0;
        while let Some((at, item)) = self.next(waiting) {
            let count = item.parcel.descriptors.len();
            if descriptors + count > MAX_DESCRIPTORS || sent.len() >= max {
                break;
            }
            match frame.push(item.id, &item.parcel.body) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if frame.items() == 0 => {
                    tracing::error!(instance = self.instance, "{error}");
                    return waiting.remove(at);
                }
                Err(_) => break,
            }
            descriptors += count;
            sent.extend(waiting.remove(at));
        }
        let borrowed: Vec<_> =
            sent.iter().skip(kept).flat_map(|item| &item.parcel.descriptors).map(AsFd::as_fd).collect();
        let result = self.channel.send(frame.bytes(), &borrowed);
        drop(borrowed);
        match result {
            Ok(()) => {
                let now = Instant::now();
                sent.iter_mut().skip(kept).for_each(|item| item.sent = now);
            }
            Err(error) => {
                for item in sent.drain(kept..).rev() {
                    waiting.push_front(item);
                }
                if is_full(&error) {
                    self.pause(Duration::from_millis(5));
                } else {
                    self.broken.set(true); // the reading task meets the end and clears up
                }
            }
        }
        None
    }

    /// The first that the receiver reads, and its place. That is the head of the queue, unless two releases are at work.
    fn next<'w>(&self, waiting: &'w VecDeque<Item<M, R>>) -> Option<(usize, &'w Item<M, R>)> {
        waiting.iter().enumerate().find(|(_, item)| self.reads(item.parcel.body.edition()))
    }

    /// Whether something waits that it could be sent.
    pub(super) fn has_work(&self, waiting: &VecDeque<Item<M, R>>) -> bool {
        self.next(waiting).is_some()
    }

    fn pause(&self, time: Duration) {
        self.paused_until.set(Some(Instant::now() + time));
    }

    /// Reads all frames that are there. What came before an error counts.
    pub(super) fn read(&self, buffer: &mut [u8], progress: &mut Progress<M, R>) -> Result<(), ChannelError> {
        while let Some((length, descriptors)) = self.channel.receive(buffer)? {
            let frame = buffer.get(..length.min(MAX_FRAME)).unwrap_or_default();
            let items: Vec<(u64, Back<R>)> = codec::decode(frame)?;
            let announced: usize = items.iter().map(|(_, back)| back.descriptors()).sum();
            if announced != descriptors.len() {
                return Err(ChannelError::DescriptorCount { announced, carried: descriptors.len() });
            }
            let mut descriptors = descriptors.into_iter();
            for (id, back) in items {
                match back {
                    Back::Ready => {
                        self.edition.set(id);
                        self.ready.set(true);
                    }
                    Back::Draining => self.draining.set(true),
                    Back::Taken(count) => progress.taken += self.taken(count),
                    Back::Returned(count) => self.returned(count, &mut progress.returned),
                    Back::Answer(reply) => {
                        let own = descriptors.by_ref().take(reply.descriptors()).collect();
                        self.answered(id, Ok((reply, own)));
                    }
                }
            }
        }
        Ok(())
    }

    fn taken(&self, count: u32) -> u64 {
        let mut sent = self.sent.borrow_mut();
        let mut taken = 0;
        for _ in 0..count {
            let Some(mut item) = sent.pop_front() else { break };
            taken += 1;
            if item.call.is_some() {
                item.parcel.descriptors.clear();
                let mut answers = self.answers.borrow_mut();
                if answers.len() >= MAX_AWAITED {
                    answers.retain(|_, item| item.call.as_ref().is_some_and(|caller| !caller.is_closed()));
                }
                answers.insert(item.id, item);
            }
        }
        taken
    }

    fn returned(&self, count: u32, into: &mut VecDeque<Item<M, R>>) {
        self.pause(PAUSE);
        let mut sent = self.sent.borrow_mut();
        for _ in 0..count {
            into.extend(sent.pop_front().map(|item| Item { returned: true, ..item }));
        }
    }

    /// The answer may come before the acknowledgement.
    fn answered(&self, id: u64, answer: Answer<R>) {
        let call = match self.answers.borrow_mut().remove(&id) {
            Some(item) => item.call,
            None => self.sent.borrow_mut().iter_mut().find(|item| item.id == id).and_then(|item| item.call.take()),
        };
        if let Some(caller) = call {
            let _ = caller.send(answer);
        }
    }

    /// Everything for which the receiver still owes something; calls that lost their descriptors cannot be repeated.
    pub(super) fn take_owed(&self) -> VecDeque<Item<M, R>> {
        self.broken.set(true);
        let mut owed = VecDeque::new();
        for (_, item) in self.answers.borrow_mut().drain() {
            if item.parcel.body.descriptors() == 0 {
                owed.push_back(item);
            } else if let Some(caller) = item.call {
                let _ = caller.send(Err(Undelivered::Died));
            }
        }
        // A call whose answer has come needs no second asking; a hand-over has no caller and always goes on.
        owed.extend(self.sent.borrow_mut().drain(..).filter(|item| item.id == 0 || item.call.is_some()));
        owed
    }
}
