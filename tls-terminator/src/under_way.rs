//! The handshake that is under way: whatever rustls asks of keys and judges meanwhile, it asks in this client's name. rustls hands its callbacks
//! neither the client's address nor a place for notes, so both travel with the task.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;

use crate::handshake_rate::Guard;

/// One handshake.
#[derive(Debug)]
pub struct Handshake {
    client: IpAddr,
    guard: Rc<Guard>,
    refused: Cell<bool>,
    /// The subject of a certificate that was refused although an authority of the site has signed it.
    subject: RefCell<Option<Box<str>>>,
}

impl Handshake {
    /// That of this client.
    #[must_use]
    pub fn new(client: IpAddr, guard: &Rc<Guard>) -> Rc<Self> {
        Rc::new(Self { client, guard: Rc::clone(guard), refused: Cell::new(false), subject: RefCell::default() })
    }

    /// Whether a key may be asked for a signature. It counts.
    pub fn may_sign(&self) -> bool {
        let may = self.guard.count(self.client);
        self.refused.set(self.refused.get() || !may);
        may
    }

    /// Whether it was refused a signature because of its rate.
    pub fn refused(&self) -> bool {
        self.refused.get()
    }

    /// Notes whose certificate is refused.
    pub fn refuses(&self, subject: Box<str>) {
        *self.subject.borrow_mut() = Some(subject);
    }

    /// Whose certificate was refused.
    pub fn subject(&self) -> Option<Box<str>> {
        self.subject.borrow().clone()
    }
}

tokio::task_local! {
    static UNDER_WAY: Rc<Handshake>;
}

/// Runs a handshake.
pub async fn within<T>(handshake: Rc<Handshake>, work: impl Future<Output = T>) -> T {
    UNDER_WAY.scope(handshake, work).await
}

/// Asks the handshake that is under way; `None`: there is none.
pub fn current<R>(ask: impl FnOnce(&Handshake) -> R) -> Option<R> {
    UNDER_WAY.try_with(|handshake| ask(handshake)).ok()
}
