//! The policies. Each sees the servers that may be used, and their weights at this moment.
//!
//! All comparisons of load per weight are done crosswise (a/w < b/v as a·v < b·w), so nothing is rounded.

use std::time::Instant;

use super::server::Server;
use super::{Balancer, Policy, hash};

impl Balancer {
    /// One of those that `usable` lets through.
    pub(super) fn choose(
        &self,
        key: Option<u64>,
        now: Instant,
        usable: impl Fn(usize, &Server) -> bool,
    ) -> Option<usize> {
        if let [server] = &self.servers[..] {
            return usable(0, server).then_some(0);
        }
        match (self.options.policy, key) {
            (Policy::LeastConnections, _) => self.least_loaded(now, usable),
            (Policy::TwoChoices, _) => self.better_of_two(now, usable),
            (Policy::Hash { balance_factor }, Some(key)) => self.nearest(key, balance_factor, now, usable),
            (Policy::RoundRobin | Policy::Hash { .. }, _) => self.next_in_turn(now, usable),
        }
    }

    fn usable<'a>(
        &'a self,
        now: Instant,
        usable: impl Fn(usize, &Server) -> bool + 'a,
    ) -> impl Iterator<Item = (usize, &'a Server, u64)> {
        let every = self.servers.iter().enumerate().filter(move |(index, server)| usable(*index, server));
        every.map(move |(index, server)| (index, server, server.weight(self.options.slow_start, now)))
    }

    /// Smooth weighted round robin: everybody earns their weight, the richest is chosen and pays for all. A server of weight 3 gets its
    /// turns spread, not three in a row.
    fn next_in_turn(&self, now: Instant, usable: impl Fn(usize, &Server) -> bool) -> Option<usize> {
        let mut total = 0_i64;
        let mut best: Option<(i64, usize, &Server)> = None;
        for (index, server, weight) in self.usable(now, usable) {
            let weight = i64::try_from(weight).unwrap_or(i64::MAX);
            let credit = server.credit.get().saturating_add(weight);
            server.credit.set(credit);
            total = total.saturating_add(weight);
            if best.is_none_or(|(richest, ..)| credit > richest) {
                best = Some((credit, index, server));
            }
        }
        let (credit, index, server) = best?;
        server.credit.set(credit.saturating_sub(total));
        Some(index)
    }

    fn least_loaded(&self, now: Instant, usable: impl Fn(usize, &Server) -> bool) -> Option<usize> {
        let mut least: Option<(usize, u64)> = None;
        for (_, server, weight) in self.usable(now, &usable) {
            let load = (server.load.get(), weight);
            if least.is_none_or(|least| is_less(load, least)) {
                least = Some(load);
            }
        }
        let least = least?;
        let slow_start = self.options.slow_start;
        let equal = |server: &Server| !is_less(least, (server.load.get(), server.weight(slow_start, now)));
        self.next_in_turn(now, |index, server| usable(index, server) && equal(server))
    }

    fn better_of_two(&self, now: Instant, usable: impl Fn(usize, &Server) -> bool) -> Option<usize> {
        let (first, load) = self.at_random(now, &usable)?;
        match self.at_random(now, |index, server| index != first && usable(index, server)) {
            Some((second, other)) if is_less(other, load) => Some(second),
            _ => Some(first),
        }
    }

    /// One at random by weight, and its load.
    fn at_random(&self, now: Instant, usable: impl Fn(usize, &Server) -> bool) -> Option<(usize, (usize, u64))> {
        let total: u64 = self.usable(now, &usable).map(|(_, _, weight)| weight).sum();
        let mut left = self.next_random().checked_rem(total)?;
        for (index, server, weight) in self.usable(now, &usable) {
            match left.checked_sub(weight) {
                Some(rest) => left = rest,
                None => return Some((index, (server.load.get(), weight))),
            }
        }
        None
    }

    fn next_random(&self) -> u64 {
        let state = self.random.get().wrapping_add(hash::STEP);
        self.random.set(state);
        hash::mix(state)
    }

    /// Consistent hash with bounded load: the nearest server that has not more than its share.
    fn nearest(
        &self,
        key: u64,
        balance_factor: u32,
        now: Instant,
        usable: impl Fn(usize, &Server) -> bool,
    ) -> Option<usize> {
        let near = |one: &(usize, &Server, u64), other: &(usize, &Server, u64)| {
            hash::distance(key, one.1.id, one.2).total_cmp(&hash::distance(key, other.1.id, other.2))
        };
        if balance_factor == 0 {
            return self.usable(now, usable).min_by(near).map(|(index, ..)| index);
        }
        let (mut load, mut weights) = (1_u128, 0_u128);
        for (_, server, weight) in self.usable(now, &usable) {
            load += server.load.get() as u128;
            weights += u128::from(weight);
        }
        // Share of the load that is one's own, times the factor, rounded up: somebody is always below it.
        let limit = |weight: u64| {
            (load * u128::from(weight) * u128::from(balance_factor.max(100))).div_ceil(weights.max(1) * 100)
        };
        let below = |(_, server, weight): &(usize, &Server, u64)| (server.load.get() as u128) < limit(*weight);
        self.usable(now, usable).filter(below).min_by(near).map(|(index, ..)| index)
    }
}

/// Whether the first load per weight is below the second.
fn is_less((load, weight): (usize, u64), (other, others_weight): (usize, u64)) -> bool {
    (load as u128) * u128::from(others_weight) < (other as u128) * u128::from(weight)
}
