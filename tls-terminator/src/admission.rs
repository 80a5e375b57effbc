//! How many connections may be open: in all, in handshake, and per client address. Counts only; no I/O.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;

use common::net::client_limit::{self, ClientKey, ClientLimit, NoPlace};
use tokio::sync::Notify;

/// The limits, from `[tls-terminator]`.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Handshakes at once.
    pub handshakes: usize,
    /// Connections at once.
    pub connections: usize,
    /// Connections of one client at once.
    pub per_address: usize,
}

/// The counts.
#[derive(Debug)]
pub struct Admission {
    clients: ClientLimit,
    max_handshakes: Cell<usize>,
    handshakes: Cell<usize>,
    empty: Notify,
}

impl Admission {
    /// Nobody in yet.
    pub fn new(limits: Limits) -> Rc<Self> {
        Rc::new(Self {
            clients: ClientLimit::new(limits.connections, limits.per_address),
            max_handshakes: Cell::new(limits.handshakes),
            handshakes: Cell::new(0),
            empty: Notify::new(),
        })
    }

    /// Other limits from now on (reload). Who has a place keeps it.
    pub fn set_limits(&self, limits: Limits) {
        self.clients.set_limits(limits.connections, limits.per_address);
        self.max_handshakes.set(limits.handshakes);
    }

    /// Lets a connection begin its handshake, or says why not.
    pub fn admit(self: &Rc<Self>, client: IpAddr) -> Result<(Place, HandshakePlace), NoPlace> {
        if self.handshakes.get() >= self.max_handshakes.get() {
            return Err(NoPlace::Full);
        }
        let place = self.clients.enter(ClientKey::from(client))?;
        self.handshakes.set(self.handshakes.get() + 1);
        Ok((Place { admission: Rc::clone(self), place: Some(place) }, HandshakePlace(Rc::clone(self))))
    }

    /// Waits until no connection is left.
    pub async fn empty(&self) {
        while self.clients.taken() > 0 {
            self.empty.notified().await;
        }
    }
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub struct Place {
    admission: Rc<Admission>,
    place: Option<client_limit::Place>,
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.place.take());
        if self.admission.clients.taken() == 0 {
            self.admission.empty.notify_one();
        }
    }
}

/// A handshake's place; given back when dropped.
#[derive(Debug)]
pub struct HandshakePlace(Rc<Admission>);

impl Drop for HandshakePlace {
    fn drop(&mut self) {
        self.0.handshakes.set(self.0.handshakes.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_limit_is_its_own_and_places_come_back() {
        let admission = Admission::new(Limits { handshakes: 2, connections: 3, per_address: 2 });
        let (a, a_shaking) = admission.admit(ip("192.0.2.1")).unwrap();
        let (b, b_shaking) = admission.admit(ip("::ffff:192.0.2.1")).unwrap();
        assert_eq!(admission.admit(ip("192.0.2.9")).unwrap_err(), NoPlace::Full, "handshakes");
        drop((a_shaking, b_shaking));
        assert_eq!(admission.admit(ip("192.0.2.1")).unwrap_err(), NoPlace::ClientFull);
        let (c, _) = admission.admit(ip("192.0.2.2")).unwrap();
        assert_eq!(admission.admit(ip("192.0.2.3")).unwrap_err(), NoPlace::Full, "connections");
        drop(a);
        drop(admission.admit(ip("192.0.2.1")).unwrap());
        drop((b, c));
        assert_eq!((admission.clients.taken(), admission.handshakes.get()), (0, 0));
    }
}
