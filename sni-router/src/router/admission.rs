//! How fast one address may come in, before any TLS work: the connection rate. Pure but for its own table; the clock is passed in.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use common::config::ConnectionRate;
use common::net::client_limit::ClientKey;

/// Addresses whose rate is remembered at a time. Beyond it the oldest knowledge is forgotten, never a client refused.
pub const MAX_TRACKED: usize = 65_536;

/// Connections per second and address, by the generic cell rate algorithm: one instant per address.
#[derive(Debug)]
pub struct RateLimit {
    rate: ConnectionRate,
    interval: Duration,
    tolerance: Duration,
    arrivals: HashMap<ClientKey, Instant>,
}

impl RateLimit {
    /// `rate` connections a second on average, `burst` at once.
    pub fn new(rate: ConnectionRate) -> Self {
        let interval = Duration::from_secs(1) / rate.per_second.get();
        Self { rate, interval, tolerance: interval * rate.burst.get(), arrivals: HashMap::new() }
    }

    /// What it was made from.
    pub fn rate(&self) -> ConnectionRate {
        self.rate
    }

    /// Whether one more may come now; if so it is counted.
    pub fn admit(&mut self, client: ClientKey, now: Instant) -> bool {
        if self.arrivals.len() >= MAX_TRACKED && !self.arrivals.contains_key(&client) {
            self.forget(now);
        }
        let expected = self.arrivals.get(&client).copied().unwrap_or(now).max(now);
        let next = expected + self.interval;
        if next.saturating_duration_since(now) > self.tolerance {
            return false;
        }
        self.arrivals.insert(client, next);
        true
    }

    /// Drops addresses that have no debt any more; if all have, all are forgiven rather than a stranger refused.
    fn forget(&mut self, now: Instant) {
        self.arrivals.retain(|_, expected| *expected > now);
        if self.arrivals.len() >= MAX_TRACKED {
            self.arrivals.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use std::net::IpAddr;
    use std::num::NonZeroU32;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_burst_passes_then_the_rate_holds_and_neighbours_are_not_touched() {
        let two = ConnectionRate { per_second: NonZeroU32::new(2).unwrap(), burst: NonZeroU32::new(3).unwrap() };
        let mut limit = RateLimit::new(two);
        let (start, client) = (Instant::now(), ClientKey::from(address("192.0.2.1")));
        let admitted = (0..10).filter(|_| limit.admit(client, start)).count();
        assert_eq!(admitted, 3);
        assert!(limit.admit(ClientKey::from(address("192.0.2.2")), start));
        assert!(!limit.admit(client, start + Duration::from_millis(400)));
        assert!(limit.admit(client, start + Duration::from_millis(500)));
        assert!(!limit.admit(client, start + Duration::from_millis(600)));
    }

    #[test]
    fn the_table_of_rates_is_bounded() {
        let one = ConnectionRate { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN };
        let mut limit = RateLimit::new(one);
        let now = Instant::now();
        for number in 0..u32::try_from(MAX_TRACKED).unwrap() + 5 {
            assert!(limit.admit(ClientKey::from(IpAddr::from(number.to_be_bytes())), now));
        }
        assert!(limit.arrivals.len() <= MAX_TRACKED);
    }
}
