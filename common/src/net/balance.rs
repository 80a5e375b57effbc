//! Which server of a pool takes the next connection. Pure: no sockets, no clock of its own.
//!
//! Two policies, both weighted: *round robin* in the smooth form (a server of weight 3 gets its turns spread, not three in a row) and *least
//! connections*. A server that refuses connections several times in a row is left out for a while (passive ejection), twice as long each time. A pool
//! whose servers are all ejected is used as if none were: a wrong guess of ours must not be what takes a site down.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How to choose among healthy servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// In turn, by weight.
    #[default]
    RoundRobin,
    /// The fewest open connections per weight; in turn among equals.
    LeastConnections,
}

/// When to leave a server out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EjectionOptions {
    /// This many failed connects in a row. 0: never.
    pub failures: u32,
    /// For this long the first time, doubled each time until it has worked again.
    pub first: Duration,
    /// Never longer than this.
    pub longest: Duration,
}

impl Default for EjectionOptions {
    fn default() -> Self {
        Self { failures: 3, first: Duration::from_secs(10), longest: Duration::from_secs(300) }
    }
}

/// The servers of a pool, known by their position in the list the pool was made from. Cheap to share (`Arc` it).
#[derive(Debug)]
pub struct Balancer {
    policy: Policy,
    ejection: EjectionOptions,
    servers: Vec<Server>,
    state: Mutex<Vec<Health>>,
}

#[derive(Debug)]
struct Server {
    weight: i64,
    active: Arc<AtomicUsize>,
}

#[derive(Clone, Debug, Default)]
struct Health {
    /// Smooth round robin: how much this server is owed.
    credit: i64,
    failures_in_a_row: u32,
    /// How often it was ejected since it last worked.
    ejections: u32,
    out_until: Option<Instant>,
}

/// A chosen server. Counts as one of its connections until dropped: keep it as long as the connection.
#[derive(Debug)]
#[must_use = "dropping it ends the connection for the balancer"]
pub struct Pick {
    /// Position of the server in the pool.
    pub server: usize,
    /// It is only used because no healthy server was left.
    pub ejected: bool,
    active: Arc<AtomicUsize>,
}

impl Drop for Pick {
    fn drop(&mut self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the balancer thinks of a server, for `status` and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerStatus {
    /// Open connections.
    pub active: usize,
    /// Failed connects since the last that worked.
    pub failures_in_a_row: u32,
    /// Left out for this much longer.
    pub ejected_for: Option<Duration>,
}

impl Balancer {
    /// A balancer over `weights.len()` servers. A weight of 0 counts as 1.
    #[must_use]
    pub fn new(policy: Policy, ejection: EjectionOptions, weights: &[u16]) -> Self {
        let server = |weight: &u16| Server { weight: i64::from((*weight).max(1)), active: Arc::default() };
        Self {
            policy,
            ejection,
            servers: weights.iter().map(server).collect(),
            state: Mutex::new(vec![Health::default(); weights.len()]),
        }
    }

    /// Chooses a server that is not in `tried`, a healthy one if there is any. `None` when all have been tried.
    pub fn pick(&self, tried: &[usize], now: Instant) -> Option<Pick> {
        let mut state = self.lock();
        let left: Vec<usize> = (0..self.servers.len()).filter(|index| !tried.contains(index)).collect();
        let is_in =
            |index: &usize| state.get(*index).is_some_and(|health| health.out_until.is_none_or(|until| until <= now));
        let healthy: Vec<usize> = left.iter().copied().filter(is_in).collect();
        let ejected = healthy.is_empty();
        let server = self.choose(&mut state, if ejected { &left } else { &healthy })?;
        let active = self.servers.get(server)?.active.clone();
        active.fetch_add(1, Ordering::Relaxed);
        Some(Pick { server, ejected, active })
    }

    fn choose(&self, state: &mut [Health], among: &[usize]) -> Option<usize> {
        match self.policy {
            Policy::RoundRobin => self.next_in_turn(state, among),
            Policy::LeastConnections => {
                // Compare a/w with b/v as a·v with b·w.
                let load = |index: &usize| {
                    self.servers
                        .get(*index)
                        .map(|s| (s.active.load(Ordering::Relaxed) as u128, s.weight.unsigned_abs()))
                };
                let least = among
                    .iter()
                    .filter_map(load)
                    .min_by(|(a, w), (b, v)| (a * u128::from(*v)).cmp(&(b * u128::from(*w))))?;
                let equal = |index: &&usize| {
                    load(index).is_some_and(|(a, w)| a * u128::from(least.1) == least.0 * u128::from(w))
                };
                let equals: Vec<usize> = among.iter().filter(equal).copied().collect();
                self.next_in_turn(state, &equals)
            }
        }
    }

    /// Smooth weighted round robin: everybody earns their weight, the richest is chosen and pays for all.
    fn next_in_turn(&self, state: &mut [Health], among: &[usize]) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<(i64, usize)> = None;
        for index in among {
            let (Some(health), Some(server)) = (state.get_mut(*index), self.servers.get(*index)) else { continue };
            health.credit += server.weight;
            total += server.weight;
            if best.is_none_or(|(credit, _)| health.credit > credit) {
                best = Some((health.credit, *index));
            }
        }
        let (_, index) = best?;
        state.get_mut(index)?.credit -= total;
        Some(index)
    }

    /// The server took a connection: whatever was held against it is forgotten.
    pub fn succeeded(&self, server: usize) {
        if let Some(health) = self.lock().get_mut(server)
            && (health.failures_in_a_row > 0 || health.ejections > 0)
        {
            *health = Health { credit: health.credit, ..Health::default() };
        }
    }

    /// The server did not take a connection. Answers how long it is left out from now on, if this made it so.
    pub fn failed(&self, server: usize, now: Instant) -> Option<Duration> {
        let mut state = self.lock();
        let health = state.get_mut(server)?;
        health.failures_in_a_row = health.failures_in_a_row.saturating_add(1);
        let out_already = health.out_until.is_some_and(|until| until > now);
        if self.ejection.failures == 0 || health.failures_in_a_row < self.ejection.failures || out_already {
            return None;
        }
        let doubled = self.ejection.first.saturating_mul(1u32.checked_shl(health.ejections).unwrap_or(u32::MAX));
        let pause = doubled.min(self.ejection.longest);
        health.ejections = health.ejections.saturating_add(1);
        health.out_until = now.checked_add(pause);
        health.credit = 0; // does not come back with a debt or a claim from before
        Some(pause)
    }

    /// What the balancer thinks of each server.
    #[must_use]
    pub fn status(&self, now: Instant) -> Vec<ServerStatus> {
        let state = self.lock();
        let status = |(server, health): (&Server, &Health)| ServerStatus {
            active: server.active.load(Ordering::Relaxed),
            failures_in_a_row: health.failures_in_a_row,
            ejected_for: health
                .out_until
                .and_then(|until| until.checked_duration_since(now))
                .filter(|left| !left.is_zero()),
        };
        self.servers.iter().zip(state.iter()).map(status).collect()
    }

    /// Nothing in here panics half-way, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, Vec<Health>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

    use proptest::prelude::*;

    use super::*;

    fn balancer(policy: Policy, weights: &[u16]) -> Balancer {
        Balancer::new(policy, EjectionOptions::default(), weights)
    }

    fn order(balancer: &Balancer, count: usize, now: Instant) -> Vec<usize> {
        (0..count).map(|_| balancer.pick(&[], now).unwrap().server).collect()
    }

    #[test]
    fn round_robin_takes_turns_and_spreads_weights() {
        let now = Instant::now();
        assert_eq!(order(&balancer(Policy::RoundRobin, &[1, 1, 1]), 6, now), [0, 1, 2, 0, 1, 2]);
        assert_eq!(order(&balancer(Policy::RoundRobin, &[5, 1, 1]), 7, now), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(order(&balancer(Policy::RoundRobin, &[0]), 2, now), [0, 0]);
        assert!(balancer(Policy::RoundRobin, &[]).pick(&[], now).is_none());
    }

    #[test]
    fn least_connections_counts_what_is_still_open() {
        let now = Instant::now();
        let balancer = balancer(Policy::LeastConnections, &[1, 1, 2]);
        let mut held: Vec<Pick> = (0..8).map(|_| balancer.pick(&[], now).unwrap()).collect();
        let active = |b: &Balancer| b.status(now).iter().map(|s| s.active).collect::<Vec<_>>();
        assert_eq!(active(&balancer), [2, 2, 4]);
        held.retain(|pick| pick.server != 1);
        assert_eq!(active(&balancer), [2, 0, 4]);
        assert_eq!(balancer.pick(&[], now).unwrap().server, 1);
        assert_eq!(active(&balancer), [2, 0, 4], "the guard gave the connection back");
        drop(held);
        let mut idle: Vec<usize> = order(&balancer, 6, now);
        idle.sort_unstable();
        idle.dedup();
        assert_eq!(idle, [0, 1, 2], "equals take turns");
    }

    #[test]
    fn the_next_server_is_another_one_until_none_is_left() {
        let now = Instant::now();
        for policy in [Policy::RoundRobin, Policy::LeastConnections] {
            let balancer = balancer(policy, &[1, 1, 1]);
            let mut tried = Vec::new();
            while let Some(pick) = balancer.pick(&tried, now) {
                assert!(!tried.contains(&pick.server));
                tried.push(pick.server);
            }
            assert_eq!(tried.len(), 3);
        }
    }

    #[test]
    fn failing_servers_are_left_out_longer_and_longer_and_come_back() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let balancer = balancer(Policy::RoundRobin, &[1, 1]);
        assert_eq!([balancer.failed(0, at(0)), balancer.failed(0, at(0))], [None, None]);
        assert_eq!(order(&balancer, 2, at(0)), [0, 1], "two failures are not enough");
        assert_eq!(balancer.failed(0, at(0)), Some(Duration::from_secs(10)));
        assert_eq!(balancer.status(at(4))[0].ejected_for, Some(Duration::from_secs(6)));
        assert_eq!(order(&balancer, 3, at(9)), [1, 1, 1]);
        assert!(order(&balancer, 2, at(10)).contains(&0), "back on trial");
        assert_eq!(balancer.failed(0, at(10)), Some(Duration::from_secs(20)), "one failure on trial is enough");
        assert_eq!(balancer.failed(0, at(11)), None, "late failures of old attempts do not count again");
        assert_eq!(balancer.failed(0, at(30)), Some(Duration::from_secs(40)));
        for round in 0..100 {
            let pause = balancer.failed(0, at(1_000 * (round + 1))).unwrap();
            assert!(pause <= Duration::from_secs(300));
        }
        balancer.succeeded(0);
        assert_eq!(
            balancer.status(at(101_000))[0],
            ServerStatus { active: 0, failures_in_a_row: 0, ejected_for: None }
        );
        assert_eq!(balancer.failed(0, at(101_000)), None, "it begins again at zero");
    }

    #[test]
    fn when_all_are_out_all_are_used() {
        let now = Instant::now();
        let balancer = balancer(Policy::LeastConnections, &[1, 1]);
        for server in [0, 0, 0, 1, 1, 1] {
            balancer.failed(server, now);
        }
        let (first, second) = (balancer.pick(&[], now).unwrap(), balancer.pick(&[], now).unwrap());
        assert!(first.ejected && second.ejected);
        assert_ne!(first.server, second.server);
        drop(first);
        balancer.succeeded(0);
        let pick = balancer.pick(&[], now).unwrap();
        assert_eq!((pick.server, pick.ejected), (0, false));
        let next = balancer.pick(&[0], now).unwrap();
        assert_eq!((next.server, next.ejected), (1, true), "rather an ejected server than none");
    }

    #[test]
    fn ejection_can_be_switched_off() {
        let balancer =
            Balancer::new(Policy::RoundRobin, EjectionOptions { failures: 0, ..EjectionOptions::default() }, &[1]);
        let now = Instant::now();
        assert!((0..100).all(|_| balancer.failed(0, now).is_none()));
        assert!(!balancer.pick(&[], now).unwrap().ejected);
    }

    proptest! {
        #[test]
        fn shares_follow_the_weights(weights in prop::collection::vec(1u16..20, 1..8)) {
            let balancer = balancer(Policy::RoundRobin, &weights);
            let total: usize = weights.iter().map(|w| usize::from(*w)).sum();
            let order = order(&balancer, total * 3, Instant::now());
            for (index, weight) in weights.iter().enumerate() {
                prop_assert_eq!(order.iter().filter(|s| **s == index).count(), usize::from(*weight) * 3);
            }
        }

        #[test]
        fn a_pick_always_exists_while_a_server_is_untried(
            events in prop::collection::vec((0usize..5, any::<bool>(), 0u64..100), 0..60), least in any::<bool>(), tried in prop::collection::vec(0usize..5, 0..5)
        ) {
            let policy = if least { Policy::LeastConnections } else { Policy::RoundRobin };
            let balancer = balancer(policy, &[1, 2, 3, 1, 1]);
            let mut now = Instant::now();
            for (server, good, seconds) in events {
                now += Duration::from_secs(seconds);
                if good { balancer.succeeded(server) } else { balancer.failed(server, now); }
                let pick = balancer.pick(&tried, now);
                let untried = (0..5).any(|s| !tried.contains(&s));
                prop_assert_eq!(pick.is_some(), untried);
                if let Some(pick) = pick {
                    prop_assert!(!tried.contains(&pick.server));
                }
            }
            prop_assert!(balancer.status(now).iter().all(|s| s.active == 0));
        }
    }
}
