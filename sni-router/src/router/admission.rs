//! Who may come in at all, before any TLS work: access rules and connection rate. Pure but for its own
//! tables; the clock is passed in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::config::{Action, ConnectionRate, RouterRule};
use common::net::client_limit::ClientKey;

/// Addresses whose rate is remembered at a time. Beyond it the oldest knowledge is forgotten, never a client refused.
const MAX_TRACKED: usize = 65_536;

/// The ordered access rules of one listener.
#[derive(Debug, Clone, Default)]
pub struct AccessList(Vec<RouterRule>);

/// What the rules say; `rule` names the one that said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Let in.
    pub allowed: bool,
    /// The rule that decided; `None`: none matched, which allows.
    pub rule: Option<Arc<str>>,
    /// Rules in observe mode that would have denied.
    pub observed: Vec<Arc<str>>,
}

impl AccessList {
    /// Keeps the rules that concern this listener.
    pub fn new(rules: &[RouterRule], listener: &str) -> Self {
        let concerns =
            |rule: &&RouterRule| rule.listen.is_empty() || rule.listen.iter().any(|name| **name == *listener);
        Self(rules.iter().filter(concerns).cloned().collect())
    }

    /// First match decides; nothing matches: allowed.
    pub fn decide(&self, client: IpAddr) -> Access {
        let mut observed = Vec::new();
        for rule in &self.0 {
            if rule.clients.as_ref().is_some_and(|clients| !clients.contains(client.to_canonical())) {
                continue;
            }
            match (rule.observe, rule.action) {
                (true, Action::Deny) => observed.push(Arc::clone(&rule.name)),
                (true, Action::Allow) => {}
                (false, action) => {
                    let allowed = action == Action::Allow;
                    return Access { allowed, rule: Some(Arc::clone(&rule.name)), observed };
                }
            }
        }
        Access { allowed: true, rule: None, observed }
    }
}

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
    use common::config::NetworkSet;
    use std::num::NonZeroU32;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn rule(name: &str, action: Action, network: Option<&str>, observe: bool) -> RouterRule {
        let clients = network.map(|text| NetworkSet::new(vec![text.parse().unwrap()]));
        RouterRule { name: name.into(), action, clients, listen: vec![], observe }
    }

    #[test]
    fn the_first_rule_that_matches_decides_and_observers_only_watch() {
        let rules = [
            rule("watch", Action::Deny, None, true),
            rule("office", Action::Allow, Some("192.0.2.0/24"), false),
            rule("rest", Action::Deny, None, false),
        ];
        let list = AccessList::new(&rules, "https");
        let inside = list.decide(address("::ffff:192.0.2.7"));
        assert!(inside.allowed && inside.rule.as_deref() == Some("office") && &*inside.observed[0] == "watch");
        assert!(!list.decide(address("198.51.100.1")).allowed);
        assert!(AccessList::default().decide(address("::1")).allowed);
    }

    #[test]
    fn a_rule_for_another_listener_is_not_asked() {
        let mut deny = rule("other", Action::Deny, None, false);
        deny.listen = vec!["plain".into()];
        assert!(AccessList::new(&[deny.clone()], "https").decide(address("::1")).allowed);
        assert!(!AccessList::new(&[deny], "plain").decide(address("::1")).allowed);
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
