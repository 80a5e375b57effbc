//! When health checks are made. Pure: the random numbers come from outside.

use std::time::Duration;

/// The first checks come soon, but not all at the same moment.
const SOON: Duration = Duration::from_secs(1);

/// How long to wait before the first check of a server.
#[must_use]
pub fn first(interval: Duration, random: u64) -> Duration {
    part(SOON.min(interval), random)
}

/// How long to wait between two: a tenth of the interval earlier or later, so that instances and servers do not fall into step.
#[must_use]
pub fn next(interval: Duration, random: u64) -> Duration {
    interval.saturating_sub(interval / 10).saturating_add(part(interval / 5, random))
}

/// A random part of a duration.
fn part(whole: Duration, random: u64) -> Duration {
    let millis = u64::try_from(whole.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random.checked_rem(millis.saturating_add(1)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_near_the_interval() {
        for random in [0, 1, 999, u64::MAX / 3, u64::MAX] {
            let pause = next(Duration::from_secs(10), random);
            assert!((Duration::from_secs(9)..=Duration::from_secs(11)).contains(&pause), "{pause:?}");
            assert!(first(Duration::from_secs(3600), random) <= SOON);
            assert!(first(Duration::from_millis(100), random) <= Duration::from_millis(100));
        }
        assert_ne!(next(Duration::from_secs(10), 1), next(Duration::from_secs(10), 2));
    }
}
