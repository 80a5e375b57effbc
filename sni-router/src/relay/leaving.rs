//! The moment from which on nothing begins to live here any more: there is a successor, and every tunnel goes to it at its next pause.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::time::Duration;

use common::ipc::messages::relay_to_successor::HandedOn;
use common::ipc::succession::Successor;
use tokio::sync::Notify;

/// How long a server may still be waited for before its client is given away as it came.
const FOR_A_SERVER: Duration = Duration::from_secs(1);

/// Whether we stay.
#[derive(Debug, Default)]
pub struct Leaving {
    successor: RefCell<Option<Successor<HandedOn>>>,
    told: Notify,
}

impl Leaving {
    /// We leave.
    pub fn begin(&self, successor: Successor<HandedOn>) {
        *self.successor.borrow_mut() = Some(successor);
        self.told.notify_waiters();
    }

    /// Waits until we do.
    pub async fn begun(&self) {
        loop {
            let told = self.told.notified();
            if self.successor.borrow().as_ref().is_some_and(Successor::is_there) {
                return;
            }
            told.await;
        }
    }

    /// Waits until we do and have waited for a server for long enough.
    pub async fn impatient(&self) {
        self.begun().await;
        tokio::time::sleep(FOR_A_SERVER).await;
        self.begun().await; // the successor may be gone meanwhile
    }

    /// Gives something to the successor; only after [`Leaving::begun`], in the same turn.
    pub fn give(&self, message: HandedOn, descriptors: Vec<OwnedFd>) {
        if let Some(successor) = &*self.successor.borrow() {
            successor.give(message, descriptors);
        }
    }
}
