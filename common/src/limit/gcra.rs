//! The generic cell rate algorithm (ITU-T I.371, as a virtual schedule): one number per key says how far the key's requests have run ahead of
//! the permitted pace. Equal to a token bucket, but there is nothing to refill.
//!
//! Times are nanoseconds since an origin of the caller's choice. Never a clock here.

use std::time::Duration;

/// A pace and how far it may be outrun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Nanoseconds that one request takes of the schedule.
    interval: u64,
    /// Nanoseconds that the schedule may run ahead: `burst` intervals.
    ahead: u64,
}

/// Where a key stands after a request was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Requests that would be let through now, one after the other.
    pub remaining: u64,
    /// Until all of the burst is there again.
    pub full_after: Duration,
}

/// The outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Within the rate: the schedule to be remembered for this key.
    Within(u64, Standing),
    /// Beyond it: nothing is to be remembered; a request after this time would be within.
    Beyond(Duration, Standing),
}

impl Rate {
    /// `requests` in `per`, of which `burst` may come at once. Zeros count as one; a pace finer than a nanosecond is one nanosecond.
    #[must_use]
    pub fn new(requests: u64, per: Duration, burst: u64) -> Self {
        let per = u64::try_from(per.as_nanos()).unwrap_or(u64::MAX);
        let interval = per.checked_div(requests.max(1)).unwrap_or(per).max(1);
        Rate { interval, ahead: interval.saturating_mul(burst.max(1)) }
    }

    /// Judges one request of a key whose schedule stands at `schedule` (0: unknown key).
    #[must_use]
    pub fn judge(&self, schedule: u64, now: u64) -> Verdict {
        let next = schedule.max(now).saturating_add(self.interval);
        match next.saturating_sub(now).checked_sub(self.ahead) {
            None | Some(0) => Verdict::Within(next, self.standing(next, now)),
            Some(early) => Verdict::Beyond(Duration::from_nanos(early), self.standing(schedule, now)),
        }
    }

    /// The schedule as if the last request had not been.
    #[must_use]
    pub fn give_back(&self, schedule: u64) -> u64 {
        schedule.saturating_sub(self.interval)
    }

    /// The schedule as if the last `count` requests had not been.
    #[must_use]
    pub fn give_back_many(&self, schedule: u64, count: u64) -> u64 {
        schedule.saturating_sub(self.interval.saturating_mul(count))
    }

    fn standing(&self, schedule: u64, now: u64) -> Standing {
        let used = schedule.saturating_sub(now);
        let remaining = self.ahead.saturating_sub(used).checked_div(self.interval).unwrap_or(0);
        Standing { remaining, full_after: Duration::from_nanos(used) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn run(rate: Rate, moments: impl IntoIterator<Item = u64>) -> Vec<bool> {
        let mut schedule = 0;
        let mut judge = |now| match rate.judge(schedule, now) {
            Verdict::Within(next, _) => {
                schedule = next;
                true
            }
            Verdict::Beyond(..) => false,
        };
        moments.into_iter().map(&mut judge).collect()
    }

    #[test]
    fn a_burst_passes_and_then_the_pace_holds() {
        let rate = Rate::new(2, Duration::from_secs(1), 3);
        let at_once = run(rate, [10 * SECOND; 5]);
        assert_eq!(at_once, [true, true, true, false, false]);
        let moments = [10, 10, 10, 10].map(|s| s * SECOND).into_iter().chain([11 * SECOND - SECOND / 2, 11 * SECOND]);
        assert_eq!(run(rate, moments), [true, true, true, false, true, true]);
    }

    #[test]
    fn the_standing_says_what_would_pass_and_when() {
        let rate = Rate::new(60, Duration::from_secs(60), 2);
        let Verdict::Within(next, standing) = rate.judge(0, SECOND) else { panic!() };
        assert_eq!(standing, Standing { remaining: 1, full_after: Duration::from_secs(1) });
        let Verdict::Within(next, _) = rate.judge(next, SECOND) else { panic!() };
        let Verdict::Beyond(after, standing) = rate.judge(next, SECOND) else { panic!() };
        assert_eq!((after, standing.remaining), (Duration::from_secs(1), 0));
        assert!(matches!(rate.judge(next, SECOND + SECOND), Verdict::Within(..)));
        assert_eq!(rate.give_back(next), 2 * SECOND);
    }

    proptest! {
        /// In no window of any length do more pass than the burst and the pace over that window.
        #[test]
        fn never_more_than_promised(
            requests in 1u64..50, burst in 1u64..50, steps in proptest::collection::vec(0u64..300_000_000, 1..300)
        ) {
            let rate = Rate::new(requests, Duration::from_secs(1), burst);
            let moments: Vec<u64> = steps.iter().scan(SECOND, |now, step| { *now += step; Some(*now) }).collect();
            let passed: Vec<u64> = run(rate, moments.clone()).into_iter().zip(moments).filter_map(|(yes, at)| yes.then_some(at)).collect();
            for (first, from) in passed.iter().enumerate() {
                for (last, to) in passed.iter().enumerate().skip(first) {
                    let allowed = burst + (to - from) * requests / SECOND + 1;
                    prop_assert!((last - first) as u64 <= allowed, "{} in {}", last - first, to - from);
                }
            }
        }

        #[test]
        fn no_number_is_too_large(requests: u64, per: u64, burst: u64, schedule: u64, now: u64) {
            let rate = Rate::new(requests, Duration::from_nanos(per), burst);
            let _ = rate.judge(schedule, now);
            let _ = rate.give_back(schedule);
        }
    }
}
