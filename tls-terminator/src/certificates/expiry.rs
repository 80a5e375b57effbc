//! How much time certificates have left. Pure: dates in, words out; the clock is an argument (seconds since 1970).

use crate::judge_chain::Life;

/// Seconds of a day, of an hour, of a minute.
const DAY: i64 = 24 * 3600;
const HOUR: i64 = 3600;
const MINUTE: i64 = 60;

/// When a certificate comes to its end, as its owner should see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// All is well.
    Good,
    /// It begins later: clients refuse it.
    Early,
    /// It ends soon.
    Ending,
    /// It is over: clients refuse it.
    Over,
}

/// A certificate ends soon from `warn_before` seconds before its end on, or from the last third of its life on where it lives
/// so short: one for six days would otherwise be warned about from its first day to its last.
#[must_use]
pub fn age(life: &Life, now: i64, warn_before: i64) -> Age {
    let third = life.until.saturating_sub(life.from) / 3;
    if now > life.until {
        Age::Over
    } else if now < life.from {
        Age::Early
    } else if life.until - now < warn_before.min(third) {
        Age::Ending
    } else {
        Age::Good
    }
}

/// What to tell of each certificate of a chain.
pub fn warnings(chain: &[Life], now: i64, warn_before: i64) -> impl Iterator<Item = String> {
    chain.iter().filter_map(move |life| {
        let which = &life.which;
        match age(life, now, warn_before) {
            Age::Good => None,
            Age::Over => Some(format!("{which} expired at {}: clients will refuse it", date(life.until))),
            Age::Early => {
                let from = date(life.from);
                Some(format!("{which} is not valid before {from}: clients will refuse it (is the clock right?)"))
            }
            Age::Ending => {
                Some(format!("{which} expires soon, in {}, at {}", span(life.until - now), date(life.until)))
            }
        }
    })
}

/// The last second of the certificate of a chain that ends first; clients need all of them.
#[must_use]
pub fn end(chain: &[Life]) -> Option<i64> {
    chain.iter().map(|life| life.until).min()
}

/// A moment, in words.
#[must_use]
pub fn date(seconds: i64) -> String {
    x509_parser::time::ASN1Time::from_timestamp(seconds).map_or_else(|_| format!("@{seconds}"), |time| time.to_string())
}

/// So many seconds, in the unit that suits them.
#[must_use]
pub fn span(seconds: i64) -> String {
    let units = [(DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")];
    let (unit, word) = units.into_iter().find(|(unit, _)| seconds >= *unit).unwrap_or((1, "second"));
    let many = seconds / unit;
    format!("{many} {word}{}", if many == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(from: i64, until: i64) -> Life {
        Life { which: "certificate 1 ('CN=a')".into(), from, until }
    }

    #[test]
    fn the_end_is_told_in_time_and_short_lives_in_their_last_third() {
        let (year, month) = (life(0, 365 * DAY), 30 * DAY);
        for (now, expected) in [
            (-1, Age::Early),
            (0, Age::Good),
            (335 * DAY, Age::Good),
            (335 * DAY + 1, Age::Ending),
            (365 * DAY, Age::Ending),
            (365 * DAY + 1, Age::Over),
        ] {
            assert_eq!(age(&year, now, month), expected, "{now}");
        }
        let week = life(0, 6 * DAY);
        assert_eq!(age(&week, 4 * DAY, month), Age::Good);
        assert_eq!(age(&week, 4 * DAY + 1, month), Age::Ending);
        assert_eq!(age(&week, 4 * DAY + 1, DAY), Age::Good);
    }

    #[test]
    fn words() {
        let chain = [life(0, 1_609_459_200), life(1_500_000_000, 1_700_000_000)];
        let says = |now| warnings(&chain, now, 30 * DAY).collect::<Vec<_>>().join("; ");
        assert!(says(1_700_000_001).contains("expired at"), "{}", says(1_700_000_001));
        assert!(says(1_400_000_000).contains("not valid before"));
        let soon = says(1_609_459_200 - 2 * HOUR);
        assert!(soon.contains("expires soon, in 2 hours") && soon.contains("2021"), "{soon}");
        assert_eq!(says(1_550_000_000), "");
        assert_eq!(end(&chain), Some(1_609_459_200));
        assert_eq!([span(1), span(61), span(3 * DAY + HOUR)], ["1 second", "1 minute", "3 days"]);
    }
}
