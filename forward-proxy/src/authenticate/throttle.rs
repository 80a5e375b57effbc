//! Failed attempts per client (an IPv4 address or an IPv6 /64): some at once, then one every few seconds. Pure; the clock is
//! passed in. Only checks that really are made count, so a user whose credentials are remembered is never locked out by a
//! neighbour who guesses.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use common::net::client_limit::ClientKey;

/// Failed attempts a client may make at once.
pub const AT_ONCE: u32 = 10;
/// After which time one more is granted.
pub const EVERY: Duration = Duration::from_secs(6);
/// Clients remembered at a time. Beyond it the oldest knowledge is forgotten, never a client refused.
pub const MAX_CLIENTS: usize = 65_536;

/// The generic cell rate algorithm: one instant per client.
#[derive(Debug, Default)]
pub struct Throttle {
    debts: HashMap<ClientKey, Instant>,
}

impl Throttle {
    /// Counts one attempt.
    ///
    /// # Errors
    /// Not now: after how many seconds.
    pub fn take(&mut self, client: ClientKey, now: Instant) -> Result<(), u64> {
        if self.debts.len() >= MAX_CLIENTS && !self.debts.contains_key(&client) {
            self.debts.retain(|_, paid| *paid > now);
            if self.debts.len() >= MAX_CLIENTS {
                self.debts.clear();
            }
        }
        let paid = self.debts.get(&client).copied().unwrap_or(now).max(now) + EVERY;
        let over = paid.saturating_duration_since(now).saturating_sub(EVERY * AT_ONCE);
        if over > Duration::ZERO {
            return Err(over.as_secs().saturating_add(1));
        }
        self.debts.insert(client, paid);
        Ok(())
    }

    /// The attempt was a right one and does not count.
    pub fn give_back(&mut self, client: ClientKey) {
        if let Some(paid) = self.debts.get_mut(&client) {
            *paid = paid.checked_sub(EVERY).unwrap_or(*paid);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::net::IpAddr;

    fn client(number: u32) -> ClientKey {
        IpAddr::from(number.to_be_bytes()).into()
    }

    #[test]
    fn some_at_once_then_one_by_one_and_each_client_alone() {
        let mut throttle = Throttle::default();
        let now = Instant::now();
        assert!((0..AT_ONCE).all(|_| throttle.take(client(1), now).is_ok()));
        assert_eq!(throttle.take(client(1), now), Err(7));
        assert!(throttle.take(client(2), now).is_ok());
        assert!(throttle.take(client(1), now + EVERY).is_ok());
        assert!(throttle.take(client(1), now + EVERY).is_err());
    }

    #[test]
    fn right_ones_do_not_count() {
        let mut throttle = Throttle::default();
        let now = Instant::now();
        for _ in 0..1000 {
            throttle.take(client(1), now).unwrap();
            throttle.give_back(client(1));
        }
        throttle.give_back(client(2));
        assert_eq!(throttle.debts.len(), 1);
    }

    #[test]
    fn the_table_is_bounded() {
        let mut throttle = Throttle::default();
        let now = Instant::now();
        for number in 0..u32::try_from(MAX_CLIENTS).unwrap() + 5 {
            assert!(throttle.take(client(number), now).is_ok());
        }
        assert!(throttle.debts.len() <= MAX_CLIENTS);
    }
}
