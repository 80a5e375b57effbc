//! Bytes of HTTP/2 answers that wait in memory for their clients to take them, counted exactly and bounded per client address.
//!
//! HTTP/2 lets a client ask for a hundred answers on one connection and take none of them (a window that stays shut, a socket that is not
//! read). One connection is bounded by its streams; an address may have hundreds of connections. So every piece of an answer is a [`Piece`]
//! that is counted from when it is given to hyper until it has been written to the connection, or thrown away with its stream.
//!
//! An address that has too much waiting is not cut off, because innocent neighbours may have the same one: from then on each of its
//! connections gets a new piece of any answer only when little waits on that very connection ([`Unsent::may_give`]), and backends are
//! read no further meanwhile. Who takes what was asked for goes on, who hoards cannot hoard more, and the deadlines for streams that
//! make no progress hold as ever.
//!
//! HTTP/1 needs none of this: a connection has one answer, and one piece of it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::IoSlice;
use std::net::IpAddr;
use std::rc::{Rc, Weak};
use std::task::{Context, Waker};

use bytes::{Buf, Bytes};
use common::net::client_limit::ClientKey;
use common::observe::metrics::Figure;

/// What a connection of an address with too much may have waiting when it is given more.
const LITTLE: u64 = 64 * 1024;

/// The addresses that have HTTP/2 connections.
#[derive(Debug)]
pub struct Addresses {
    known: Rc<RefCell<HashMap<ClientKey, Weak<Address>>>>,
    shared: Rc<Shared>,
}

/// What all addresses share.
#[derive(Debug)]
struct Shared {
    max: Cell<u64>,
    waiting: Figure,
    held_back: Figure,
}

/// One client address.
#[derive(Debug)]
struct Address {
    client: IpAddr,
    waiting: Cell<u64>,
    /// It was said in the log that it has too much; forgotten when it has half of it.
    said: Cell<bool>,
    shared: Rc<Shared>,
    known: Rc<RefCell<HashMap<ClientKey, Weak<Address>>>>,
}

/// What waits on one connection.
#[derive(Debug)]
pub struct Unsent {
    waiting: Cell<u64>,
    address: Rc<Address>,
    /// Streams that were told to wait.
    held_back: RefCell<Vec<Waker>>,
}

impl Addresses {
    /// At most `max` bytes for each address; `waiting` is the sum of all, `held_back` counts how often a piece had to wait.
    pub fn new(max: u64, waiting: Figure, held_back: Figure) -> Self {
        Self { known: Rc::default(), shared: Rc::new(Shared { max: Cell::new(max), waiting, held_back }) }
    }

    /// Another limit from now on (reload).
    pub fn set_max(&self, max: u64) {
        self.shared.max.set(max);
    }

    /// For a new connection of this client.
    pub fn connection(&self, client: IpAddr) -> Rc<Unsent> {
        let key = ClientKey::from(client);
        let known = self.known.borrow().get(&key).and_then(Weak::upgrade);
        let address = known.unwrap_or_else(|| {
            let address = Rc::new(Address {
                client,
                waiting: Cell::new(0),
                said: Cell::new(false),
                shared: Rc::clone(&self.shared),
                known: Rc::clone(&self.known),
            });
            self.known.borrow_mut().insert(key, Rc::downgrade(&address));
            address
        });
        Rc::new(Unsent { waiting: Cell::new(0), address, held_back: RefCell::default() })
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        self.known.borrow_mut().remove(&ClientKey::from(self.client));
    }
}

impl Address {
    fn has_too_much(&self) -> bool {
        self.waiting.get() >= self.shared.max.get()
    }

    fn say(&self) {
        self.shared.held_back.up();
        if !self.said.replace(true) {
            let (client, max) = (self.client, self.shared.max.get());
            tracing::info!(%client, "more than max_unsent_per_address ({max} bytes) of HTTP/2 answers wait for this address: its connections get the rest piece by piece");
        }
    }

    fn sub(&self, bytes: u64) {
        let left = self.waiting.get().saturating_sub(bytes);
        self.waiting.set(left);
        self.shared.waiting.set(self.shared.waiting.get().saturating_sub(bytes));
        if left < self.shared.max.get() / 2 {
            self.said.set(false);
        }
    }
}

impl Unsent {
    /// Whether the connection may be given a piece now; if not, the task of `cx` is woken when it may be asked again.
    pub fn may_give(&self, cx: &Context<'_>) -> bool {
        if self.waiting.get() < LITTLE || !self.address.has_too_much() {
            return true;
        }
        self.address.say();
        let mut held_back = self.held_back.borrow_mut();
        if !held_back.iter().any(|waker| waker.will_wake(cx.waker())) {
            held_back.push(cx.waker().clone());
        }
        false
    }

    /// A piece that is about to be given.
    pub fn piece(self: &Rc<Self>, bytes: Bytes) -> Piece {
        let count = count(bytes.len());
        self.waiting.set(self.waiting.get().saturating_add(count));
        self.address.waiting.set(self.address.waiting.get().saturating_add(count));
        self.address.shared.waiting.add(count);
        Piece { bytes, unsent: Some(Rc::clone(self)) }
    }

    fn sub(&self, bytes: u64) {
        let before = self.waiting.get();
        let left = before.saturating_sub(bytes);
        self.waiting.set(left);
        self.address.sub(bytes);
        if left < LITTLE && before >= LITTLE {
            self.held_back.take().into_iter().for_each(Waker::wake);
        }
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// A piece of an answer on its way out.
#[derive(Debug)]
pub struct Piece {
    bytes: Bytes,
    /// HTTP/2: where it is counted.
    unsent: Option<Rc<Unsent>>,
}

impl Piece {
    /// One that is not counted (HTTP/1).
    pub fn uncounted(bytes: Bytes) -> Self {
        Self { bytes, unsent: None }
    }

    fn sent(&self, bytes: usize) {
        if let Some(unsent) = &self.unsent {
            unsent.sub(count(bytes));
        }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.bytes.chunks_vectored(slices)
    }

    fn advance(&mut self, count: usize) {
        let count = count.min(self.bytes.len());
        self.sent(count);
        self.bytes.advance(count);
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        let count = count.min(self.bytes.len());
        self.sent(count);
        self.bytes.copy_to_bytes(count)
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.sent(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn addresses(max: u64) -> Addresses {
        Addresses::new(max, Figure::default(), Figure::default())
    }

    fn kib(count: usize) -> Bytes {
        Bytes::from(vec![0; count * 1024])
    }

    #[test]
    fn pieces_count_until_they_are_written_or_thrown_away() {
        let addresses = addresses(100 * 1024);
        let connection = addresses.connection(IpAddr::from([192, 0, 2, 1]));
        let (mut one, two) = (connection.piece(kib(10)), connection.piece(kib(20)));
        assert_eq!((connection.waiting.get(), addresses.shared.waiting.get()), (30 * 1024, 30 * 1024));
        one.advance(4 * 1024);
        assert_eq!(connection.address.waiting.get(), 26 * 1024);
        assert_eq!(one.copy_to_bytes(1024).len(), 1024);
        drop((one, two));
        assert_eq!((connection.waiting.get(), addresses.shared.waiting.get()), (0, 0));
        drop(connection);
        assert!(addresses.known.borrow().is_empty());
    }

    #[test]
    fn an_address_with_too_much_gets_more_only_where_little_waits() {
        let addresses = addresses(128 * 1024);
        let client = |last| IpAddr::from([192, 0, 2, last]);
        let [hoarder, neighbour, other] = [1, 1, 2].map(|last| addresses.connection(client(last)));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let cx = Context::from_waker(&waker);
        let mut held = vec![hoarder.piece(kib(64))];
        assert!(hoarder.may_give(&cx), "the address has room");
        held.push(hoarder.piece(kib(64)));
        assert!(!hoarder.may_give(&cx) && !hoarder.may_give(&cx));
        assert_eq!(hoarder.held_back.borrow().len(), 1);
        assert!(neighbour.may_give(&cx) && other.may_give(&cx));
        held.pop();
        assert_eq!(woken.0.load(Relaxed), 0, "64 KiB are not little");
        held.clear();
        assert_eq!(woken.0.load(Relaxed), 1);
        assert!(hoarder.may_give(&cx));
    }
}
