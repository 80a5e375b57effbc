//! Requests that wait for a free server: in the order in which they came, bounded in number and time.
//!
//! A place that becomes free is handed over to the first who can use it, before anybody new is asked; so nobody overtakes. Who gave up
//! waiting is passed over. Only a sticky client, whose one server is full, lets others pass.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Instant;

use common::net::balance::{Ask, Balancer, Choice, Pick};
use tokio::sync::oneshot;

/// What a request wants of its server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// Key of the consistent hash.
    pub hash: Option<u64>,
    /// The server that its sticky cookie names.
    pub prefer: Option<usize>,
    /// The client came over TLS.
    pub tls: bool,
}

impl Wish {
    /// In the balancer's words.
    pub fn ask<'a>(&self, tried: &'a [usize]) -> Ask<'a> {
        Ask { tried, hash: self.hash, prefer: self.prefer }
    }
}

/// One who waits.
struct Waiter<T> {
    wish: Wish,
    tried: Box<[usize]>,
    reply: oneshot::Sender<Option<T>>,
}

/// Those who wait at one pool; `T` is what they get.
pub struct Queue<T>(RefCell<VecDeque<Waiter<T>>>);

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<T> std::fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Queue").field(&self.0.borrow().len()).finish()
    }
}

impl<T> Queue<T> {
    /// Nobody waits (those who gave up may still be counted).
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Those who wait.
    pub fn len(&self) -> usize {
        self.0.borrow().iter().filter(|waiter| !waiter.reply.is_closed()).count()
    }

    /// Queues up, unless `limit` wait already. The receiver gets the place, or `None` when there will never be one; dropping it is giving up.
    pub fn enter(&self, wish: Wish, tried: &[usize], limit: usize) -> Option<oneshot::Receiver<Option<T>>> {
        let mut waiting = self.0.borrow_mut();
        if waiting.len() >= limit {
            waiting.retain(|waiter| !waiter.reply.is_closed());
        }
        if waiting.len() >= limit {
            return None;
        }
        let (reply, receiver) = oneshot::channel();
        waiting.push_back(Waiter { wish, tried: tried.into(), reply });
        Some(receiver)
    }

    /// Hands out what is free now. `place` makes of a chosen server what a waiter gets.
    pub fn serve(&self, balancer: &Balancer, now: Instant, place: impl Fn(Pick) -> T) {
        let mut at = 0;
        loop {
            let choice = match self.0.borrow().get(at) {
                None => return,
                Some(waiter) if waiter.reply.is_closed() => None,
                Some(waiter) => Some((balancer.pick(&waiter.wish.ask(&waiter.tried), now), waiter.wish.prefer)),
            };
            let given = match choice {
                Some((Choice::Full, Some(_))) => {
                    at += 1;
                    continue;
                }
                // Whoever has no wish can use any server, so there is none.
                Some((Choice::Full, None)) => return,
                Some((Choice::Server(pick), _)) => Some(place(pick)),
                Some((Choice::Nobody, _)) => None,
                None => {
                    self.0.borrow_mut().remove(at);
                    continue;
                }
            };
            let waiter = self.0.borrow_mut().remove(at);
            if let Some(waiter) = waiter {
                // One who gave up just now gives the place back by dropping it.
                let _ = waiter.reply.send(given);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

    use common::net::balance::Options;

    use super::*;

    fn balancer(servers: usize) -> Balancer {
        let labels: Vec<String> = (0..servers).map(|index| format!("s{index}:1")).collect();
        let options = Options { max_connections_per_server: 1, ..Options::default() };
        Balancer::new(options, labels.iter().map(|label| (label.as_str(), 1)), None)
    }

    fn sticky(server: usize) -> Wish {
        Wish { prefer: Some(server), ..Wish::default() }
    }

    #[test]
    fn places_go_to_the_first_who_waits() {
        let (balancer, queue, now) = (balancer(1), Queue::<Pick>::default(), Instant::now());
        let busy = balancer.pick(&Ask::default(), now).server().unwrap();
        let mut first = queue.enter(Wish::default(), &[], 3).unwrap();
        let gone = queue.enter(Wish::default(), &[], 3).unwrap();
        let mut third = queue.enter(Wish::default(), &[], 3).unwrap();
        assert!(queue.enter(Wish::default(), &[], 3).is_none(), "no room for a fourth");
        queue.serve(&balancer, now, |pick| pick);
        assert!(first.try_recv().is_err(), "nothing is free yet");
        drop(gone);
        drop(busy);
        queue.serve(&balancer, now, |pick| pick);
        let place = first.try_recv().unwrap().unwrap();
        assert!(third.try_recv().is_err());
        drop(place);
        queue.serve(&balancer, now, |pick| pick);
        assert!(third.try_recv().unwrap().is_some() && queue.is_empty());
    }

    #[test]
    fn who_gave_up_makes_room() {
        let (balancer, queue, now) = (balancer(1), Queue::<Pick>::default(), Instant::now());
        drop(queue.enter(Wish::default(), &[], 1));
        assert!(queue.enter(Wish::default(), &[], 1).is_some());
        queue.serve(&balancer, now, |pick| pick);
        assert!(queue.is_empty(), "the receiver is gone");
        assert_eq!(balancer.active(), 0);
        assert!(queue.enter(Wish::default(), &[], 0).is_none());
    }

    #[test]
    fn sticky_clients_wait_for_their_server_and_let_others_pass() {
        let (balancer, queue, now) = (balancer(2), Queue::<Pick>::default(), Instant::now());
        let of_zero = balancer.pick(&sticky(0).ask(&[]), now).server().unwrap();
        let of_one = balancer.pick(&sticky(1).ask(&[]), now).server().unwrap();
        let mut waits = queue.enter(sticky(0), &[], 9).unwrap();
        let mut passes = queue.enter(Wish::default(), &[], 9).unwrap();
        drop(of_one);
        queue.serve(&balancer, now, |pick| pick);
        assert_eq!(passes.try_recv().unwrap().unwrap().server, 1);
        assert!(waits.try_recv().is_err());
        drop(of_zero);
        queue.serve(&balancer, now, |pick| pick);
        assert_eq!(waits.try_recv().unwrap().unwrap().server, 0);
    }

    #[test]
    fn nobody_waits_for_what_will_never_be() {
        let (balancer, queue, now) = (balancer(1), Queue::<Pick>::default(), Instant::now());
        let _busy = balancer.pick(&Ask::default(), now).server().unwrap();
        let mut waits = queue.enter(Wish::default(), &[], 9).unwrap();
        balancer.drain("s0:1", true, now);
        queue.serve(&balancer, now, |pick| pick);
        assert!(waits.try_recv().unwrap().is_none());
    }
}
