//! How much one client may hold: a bounded number of places, in all and per client. Every process that holds connections
//! counts its own with this.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;

/// One client as limits see it: an IPv4 address, or the /64 that one IPv6 host can choose addresses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientKey(Ipv6Addr);

impl From<IpAddr> for ClientKey {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(v4.to_ipv6_mapped()),
            IpAddr::V6(v6) => Self(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        }
    }
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlace {
    /// All are taken.
    Full,
    /// This client has its share.
    ClientFull,
}

#[derive(Debug, Default)]
struct Counts {
    by_client: RefCell<HashMap<ClientKey, usize>>,
    total: Cell<usize>,
}

/// Places, so many in all and so many per client.
#[derive(Debug)]
pub struct ClientLimit {
    counts: Rc<Counts>,
    max: Cell<usize>,
    max_per_client: Cell<usize>,
}

/// A place; dropping it frees it.
#[derive(Debug)]
#[must_use = "dropping it frees the place"]
pub struct Place {
    counts: Rc<Counts>,
    client: Option<ClientKey>,
}

impl ClientLimit {
    /// `max` places in all, `max_per_client` for each client.
    pub fn new(max: usize, max_per_client: usize) -> Self {
        Self { counts: Rc::default(), max: Cell::new(max), max_per_client: Cell::new(max_per_client) }
    }

    /// Other limits from now on (reload). Who has a place keeps it.
    pub fn set_limits(&self, max: usize, max_per_client: usize) {
        self.max.set(max);
        self.max_per_client.set(max_per_client);
    }

    /// Takes a place.
    pub fn enter(&self, client: ClientKey) -> Result<Place, NoPlace> {
        if self.counts.total.get() >= self.max.get() {
            return Err(NoPlace::Full);
        }
        let mut by_client = self.counts.by_client.borrow_mut();
        let own = by_client.get(&client).copied().unwrap_or(0);
        if own >= self.max_per_client.get() {
            return Err(NoPlace::ClientFull);
        }
        by_client.insert(client, own + 1);
        self.counts.total.set(self.counts.total.get() + 1);
        Ok(Place { counts: Rc::clone(&self.counts), client: Some(client) })
    }

    /// Takes a place for somebody who was let in before and now comes from another process: it counts, but the client's share does not
    /// keep it out. `None`: all are taken.
    pub fn enter_again(&self, client: ClientKey) -> Option<Place> {
        if self.counts.total.get() >= self.max.get() {
            return None;
        }
        *self.counts.by_client.borrow_mut().entry(client).or_default() += 1;
        self.counts.total.set(self.counts.total.get() + 1);
        Some(Place { counts: Rc::clone(&self.counts), client: Some(client) })
    }

    /// Takes a place for somebody who speaks for many clients, such as a trusted load balancer that has not yet said for whom:
    /// counts in all, but for no client.
    pub fn enter_unattributed(&self) -> Result<Place, NoPlace> {
        if self.counts.total.get() >= self.max.get() {
            return Err(NoPlace::Full);
        }
        self.counts.total.set(self.counts.total.get() + 1);
        Ok(Place { counts: Rc::clone(&self.counts), client: None })
    }

    /// Places taken now.
    pub fn taken(&self) -> usize {
        self.counts.total.get()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.counts.total.set(self.counts.total.get().saturating_sub(1));
        let Some(client) = self.client else { return };
        let mut by_client = self.counts.by_client.borrow_mut();
        if let Some(count) = by_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                by_client.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(text: &str) -> ClientKey {
        ClientKey::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn an_ipv6_host_is_one_client_whatever_address_it_picks() {
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }

    #[test]
    fn who_speaks_for_many_is_held_to_the_whole_only() {
        let limit = ClientLimit::new(3, 1);
        let held: Vec<_> = (0..3).map(|_| limit.enter_unattributed().unwrap()).collect();
        assert_eq!(limit.enter_unattributed().unwrap_err(), NoPlace::Full);
        assert_eq!(limit.enter(key("192.0.2.1")).unwrap_err(), NoPlace::Full);
        drop(held);
        assert_eq!(limit.taken(), 0);
    }

    #[test]
    fn who_was_let_in_before_counts_and_is_not_kept_out_by_the_share() {
        let (limit, one) = (ClientLimit::new(3, 1), key("192.0.2.1"));
        let held: Vec<_> = (0..3).map(|_| limit.enter_again(one).unwrap()).collect();
        assert!(limit.enter_again(one).is_none(), "there is an end to it");
        drop(held);
        let again = limit.enter_again(one).unwrap();
        assert_eq!(limit.enter(one).unwrap_err(), NoPlace::ClientFull);
        drop(again);
        assert!(limit.enter(one).is_ok() && limit.counts.by_client.borrow().is_empty());
    }

    #[test]
    fn places_are_given_back() {
        let limit = ClientLimit::new(3, 2);
        let (one, two) = (key("192.0.2.1"), key("192.0.2.2"));
        let held = [limit.enter(one).unwrap(), limit.enter(one).unwrap()];
        assert_eq!(limit.enter(one).unwrap_err(), NoPlace::ClientFull);
        let other = limit.enter(two).unwrap();
        assert_eq!(limit.enter(two).unwrap_err(), NoPlace::Full);
        drop((held, other));
        assert_eq!(limit.taken(), 0);
        assert!(limit.enter(one).is_ok());
        assert!(limit.counts.by_client.borrow().is_empty());
    }
}
