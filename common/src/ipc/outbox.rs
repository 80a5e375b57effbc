//! The replies of one channel, gathered until the end of the turn: what the tasks of one turn have to say goes out in one
//! frame, and wakes the peer once instead of once per reply.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::Message;
use super::channel::{Channel, MAX_DESCRIPTORS};
use super::codec::FrameWriter;

/// See the module.
#[derive(Debug)]
pub(super) struct Outbox {
    channel: Rc<Channel>,
    frame: RefCell<FrameWriter>,
    descriptors: RefCell<Vec<OwnedFd>>,
    scheduled: Cell<bool>,
}

impl Outbox {
    pub(super) fn new(channel: Rc<Channel>) -> Rc<Self> {
        Rc::new(Self {
            channel,
            frame: RefCell::default(),
            descriptors: RefCell::default(),
            scheduled: Cell::new(false),
        })
    }

    pub(super) fn channel(&self) -> &Rc<Channel> {
        &self.channel
    }

    /// Adds one reply; its descriptors are exactly those that it announces.
    pub(super) fn put<M: Message>(self: &Rc<Self>, id: u64, reply: &M, descriptors: Vec<OwnedFd>) {
        debug_assert_eq!(reply.descriptors(), descriptors.len());
        if self.descriptors.borrow().len() + descriptors.len() > MAX_DESCRIPTORS || !self.push(id, reply) {
            self.flush();
            if !self.push(id, reply) {
                return; // told, and the channel is given up
            }
        }
        self.descriptors.borrow_mut().extend(descriptors);
        if !self.scheduled.replace(true) {
            let outbox = Rc::clone(self);
            // Runs behind the tasks that are ready now, and so takes their replies along.
            tokio::task::spawn_local(async move {
                outbox.scheduled.set(false);
                outbox.flush();
            });
        }
    }

    /// False: it must go into the next frame, or (when the frame is empty) into none.
    fn push<M: Message>(&self, id: u64, reply: &M) -> bool {
        self.frame.borrow_mut().push(id, reply).unwrap_or_else(|error| {
            tracing::error!("a reply does not fit into a frame: {error}");
            self.channel.hang_up();
            false
        })
    }

    /// Sends what is gathered now. Whether nothing is left behind.
    pub(super) fn flush(&self) -> bool {
        let mut frame = self.frame.borrow_mut();
        if frame.items() == 0 {
            return true;
        }
        let sent = self.channel.post(frame.bytes(), self.descriptors.take());
        frame.clear();
        sent
    }
}
