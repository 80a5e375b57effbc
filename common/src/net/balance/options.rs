//! From the configuration of a pool to the options of its balancer, the same for http-filter and passthrough-relay.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::{EjectionOptions, Options, Policy};
use crate::config::{Balance, Pool};

/// An ejected server is left out for this long at most, however often it fails.
const LONGEST_EJECTION: Duration = Duration::from_secs(300);

impl From<&Pool> for Options {
    fn from(pool: &Pool) -> Self {
        let policy = match pool.balance {
            Balance::RoundRobin => Policy::RoundRobin,
            Balance::LeastConnections => Policy::LeastConnections,
            Balance::TwoChoices => Policy::TwoChoices,
            Balance::Hash { balance_factor, .. } => Policy::Hash { balance_factor },
        };
        let ejection = match pool.eject {
            Some(eject) => EjectionOptions {
                failures: eject.after.get(),
                first: eject.duration,
                longest: LONGEST_EJECTION.max(eject.duration),
                max_percent: eject.max_percent,
            },
            None => EjectionOptions { failures: 0, ..EjectionOptions::default() },
        };
        Self {
            policy,
            ejection,
            slow_start: pool.slow_start,
            panic_below: pool.panic_below,
            max_connections: pool.crowd.pool,
            max_connections_per_server: pool.crowd.server,
            checked: pool.health.is_some(),
            start_down: pool.health.as_ref().is_some_and(|health| health.start_down),
            seed: RandomState::new().hash_one(&*pool.name),
        }
    }
}
