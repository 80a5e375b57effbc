//! How many connections may be open: in all, in handshake, and per client address. Counts only; no I/O.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use tokio::sync::Notify;

/// What counts as one client: an IPv4 address, or the /64 that an IPv6 customer usually has to himself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressKey {
    /// The whole address.
    V4([u8; 4]),
    /// The first 64 bits.
    V6(u64),
}

impl AddressKey {
    /// The key of an address; an IPv4 address written as IPv6 is the IPv4 address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => Self::V6(u64::try_from(address.to_bits() >> 64).unwrap_or_default()),
        }
    }
}

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

/// Why a connection may not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// This process has no room; another instance may have.
    Process,
    /// This client has enough; it is its own fault, so nobody else shall be bothered with it.
    Address,
}

/// The counts.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    handshakes: Cell<usize>,
    connections: Cell<usize>,
    addresses: RefCell<HashMap<AddressKey, usize>>,
    empty: Notify,
}

impl Admission {
    /// Nobody in yet.
    pub fn new(limits: Limits) -> Rc<Self> {
        Rc::new(Self {
            limits,
            handshakes: Cell::new(0),
            connections: Cell::new(0),
            addresses: RefCell::default(),
            empty: Notify::new(),
        })
    }

    /// Lets a connection begin its handshake, or says why not.
    pub fn admit(self: &Rc<Self>, client: IpAddr) -> Result<(Place, HandshakePlace), Full> {
        let limits = self.limits;
        if self.handshakes.get() >= limits.handshakes || self.connections.get() >= limits.connections {
            return Err(Full::Process);
        }
        let key = AddressKey::of(client);
        let mut addresses = self.addresses.borrow_mut();
        let count = addresses.entry(key).or_insert(0);
        if *count >= limits.per_address {
            return Err(Full::Address);
        }
        *count += 1;
        self.connections.set(self.connections.get() + 1);
        self.handshakes.set(self.handshakes.get() + 1);
        Ok((Place { admission: Rc::clone(self), key }, HandshakePlace(Rc::clone(self))))
    }

    /// Waits until no connection is left.
    pub async fn empty(&self) {
        while self.connections.get() > 0 {
            self.empty.notified().await;
        }
    }
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub struct Place {
    admission: Rc<Admission>,
    key: AddressKey,
}

impl Drop for Place {
    fn drop(&mut self) {
        let admission = &self.admission;
        let mut addresses = admission.addresses.borrow_mut();
        if let Some(count) = addresses.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                addresses.remove(&self.key);
            }
        }
        admission.connections.set(admission.connections.get().saturating_sub(1));
        if admission.connections.get() == 0 {
            admission.empty.notify_one();
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
        assert_eq!(admission.admit(ip("192.0.2.9")).unwrap_err(), Full::Process, "handshakes");
        drop((a_shaking, b_shaking));
        assert_eq!(admission.admit(ip("192.0.2.1")).unwrap_err(), Full::Address);
        let (c, _) = admission.admit(ip("192.0.2.2")).unwrap();
        assert_eq!(admission.admit(ip("192.0.2.3")).unwrap_err(), Full::Process, "connections");
        drop(a);
        drop(admission.admit(ip("192.0.2.1")).unwrap());
        drop((b, c));
        assert!(admission.addresses.borrow().is_empty(), "nothing is remembered of who is gone");
        assert_eq!((admission.connections.get(), admission.handshakes.get()), (0, 0));
    }

    #[test]
    fn ipv6_clients_are_their_64() {
        assert_eq!(AddressKey::of(ip("2001:db8:1:2::1")), AddressKey::of(ip("2001:db8:1:2:ffff::9")));
        assert_ne!(AddressKey::of(ip("2001:db8:1:2::1")), AddressKey::of(ip("2001:db8:1:3::1")));
    }
}
