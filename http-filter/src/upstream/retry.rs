//! May a request that failed at one server be sent to another? Pure.
//!
//! Never when a byte of the answer has come, and never twice to a server that may have acted on it, unless the request is one that may be
//! repeated (RFC 9110 §9.2.2); that much the connection itself decides, by giving the request back or not. Here is the rest: what the pool
//! wants, how many servers, and the budget, without which retries would multiply an outage.

use std::cell::Cell;

use common::config::Retries;
use common_http::upstream::{DialError, SendError};

/// Retries that a budget may save up for later.
const MOST_SAVED: u64 = 100;

/// So many retries per hundred requests, and a few each second in any case.
#[derive(Debug)]
pub struct Budget {
    percent: u64,
    at_least: u32,
    /// Hundredths of a retry.
    saved: Cell<u64>,
    second: Cell<u64>,
    left: Cell<u32>,
}

impl Budget {
    /// Of a pool.
    pub fn new(retries: &Retries) -> Self {
        Self {
            percent: u64::from(retries.budget),
            at_least: retries.at_least,
            saved: Cell::new(0),
            second: Cell::new(0),
            left: Cell::new(retries.at_least),
        }
    }

    /// A request begins.
    pub fn earn(&self) {
        self.saved.set((self.saved.get() + self.percent).min(MOST_SAVED * 100));
    }

    /// Takes one retry, if there is one; `now` in milliseconds.
    pub fn spend(&self, now: u64) -> bool {
        let second = now / 1000;
        if self.second.replace(second) != second {
            self.left.set(self.at_least);
        }
        if let Some(left) = self.left.get().checked_sub(1) {
            self.left.set(left);
            return true;
        }
        match self.saved.get().checked_sub(100) {
            Some(rest) => {
                self.saved.set(rest);
                true
            }
            None => false,
        }
    }
}

/// Whether the pool wants another server to be tried after this.
pub fn is_wanted(retries: &Retries, error: &SendError) -> bool {
    match error {
        // Our own fault or our own rules: another server would not help.
        SendError::Dial(DialError::Denied(_) | DialError::Unavailable(_)) | SendError::Request(_) => false,
        SendError::Dial(_) => retries.on_connect,
        SendError::Closed(_) | SendError::Broken(_) => retries.on_closed,
        SendError::FirstByte => retries.on_timeout,
        _ => false,
    }
}

/// Whether the server is to blame in the sense of `eject_on`.
pub fn is_failure(on: &common::config::EjectOn, error: &SendError) -> bool {
    match error {
        SendError::Dial(_) => on.connect && error.blames_backend(),
        SendError::FirstByte | SendError::Stalled => on.timeout,
        SendError::Closed(_) | SendError::Broken(_) | SendError::Protocol(_) => on.error,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(percent: u32, at_least: u32) -> Budget {
        let retries =
            Retries { max: None, on_connect: true, on_closed: true, on_timeout: false, budget: percent, at_least };
        Budget::new(&retries)
    }

    #[test]
    fn an_outage_is_not_multiplied() {
        let budget = budget(20, 10);
        let mut sent = 0;
        for request in 0..10_000_u64 {
            budget.earn();
            // A thousand requests a second, every one fails and wants another try.
            sent += u64::from(budget.spend(request));
        }
        assert!((2_000..=2_000 + 10 * 10 + MOST_SAVED).contains(&sent), "{sent}");
    }

    #[test]
    fn a_quiet_site_may_retry_too() {
        let budget = budget(20, 3);
        assert_eq!([0, 1, 2, 3].map(|now| budget.spend(now)), [true, true, true, false]);
        assert!(budget.spend(1_000), "the next second");
        let none = self::budget(0, 0);
        none.earn();
        assert!(!none.spend(0));
    }

    #[test]
    fn what_is_saved_is_bounded() {
        let budget = budget(100, 0);
        (0..1_000_000).for_each(|_| budget.earn());
        assert_eq!((0..1_000).filter(|_| budget.spend(0)).count() as u64, MOST_SAVED);
    }

    #[test]
    fn what_is_wanted_and_what_counts() {
        let retries =
            Retries { max: None, on_connect: true, on_closed: false, on_timeout: true, budget: 1, at_least: 1 };
        let refused = SendError::Dial(DialError::Unreachable(String::new()));
        let ours = SendError::Dial(DialError::Unavailable(String::new()));
        assert!(is_wanted(&retries, &refused) && is_wanted(&retries, &SendError::FirstByte));
        assert!(!is_wanted(&retries, &ours) && !is_wanted(&retries, &SendError::Stalled));
        let on = common::config::EjectOn { connect: true, ..common::config::EjectOn::default() };
        assert!(is_failure(&on, &refused) && !is_failure(&on, &ours) && !is_failure(&on, &SendError::FirstByte));
        let on = common::config::EjectOn { timeout: true, ..common::config::EjectOn::default() };
        assert!(!is_failure(&on, &refused) && is_failure(&on, &SendError::FirstByte));
    }
}
