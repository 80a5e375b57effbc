//! Sums up what came of the requests of a corpus. Pure.

use std::collections::BTreeMap;

use super::judge::{Cause, Judged};
use super::sample::Label;

/// Sets in one report; further ones are put together.
const MAX_SETS: usize = 1000;

/// Requests of one set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// All of them.
    pub requests: u64,
    /// Those that rules or limits refuse.
    pub refused: u64,
    /// Those that no rule sees, because HTTP in front of the rules refuses them; they are in no rate.
    pub before: u64,
}

impl Count {
    /// The share that is refused, of those that rules see, in per cent. `None`: they see none.
    pub fn rate(&self) -> Option<f64> {
        let seen = self.requests.saturating_sub(self.before);
        #[allow(clippy::cast_precision_loss, reason = "counts of requests")]
        (seen > 0).then(|| 100.0 * self.refused as f64 / seen as f64)
    }

    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.refused += other.refused;
        self.before += other.before;
    }
}

/// All sets.
#[derive(Debug, Default)]
pub struct Tally {
    sets: BTreeMap<(Label, String), Count>,
    /// How often each rule matched in a harmless request that was refused.
    against_benign: BTreeMap<u64, u64>,
    /// Harmless requests that were refused otherwise than by a rule.
    benign_limits: u64,
    /// The rules that matched in the attacks that were refused.
    against_attacks: BTreeMap<u64, u64>,
}

impl Tally {
    /// Counts one request.
    pub fn add(&mut self, label: Label, set: &str, judged: &Judged) {
        let full = self.sets.len() >= MAX_SETS;
        let mut key = (label, set.to_owned());
        if full && !self.sets.contains_key(&key) {
            key.1 = "(other sets)".to_owned();
        }
        let count = self.sets.entry(key).or_default();
        count.requests += 1;
        let Some(cause) = &judged.refused else { return };
        if *cause == Cause::Http {
            count.before += 1;
            return;
        }
        count.refused += 1;
        let rules = if label == Label::Attack { &mut self.against_attacks } else { &mut self.against_benign };
        let mut counted = judged.rules.clone();
        // The rule that refuses because of the score says nothing about why.
        if counted.len() > 1 {
            counted.retain(|rule| *cause != Cause::Rule(*rule));
        }
        counted.sort_unstable();
        counted.dedup();
        counted.into_iter().for_each(|rule| *rules.entry(rule).or_default() += 1);
        if label == Label::Benign && !matches!(cause, Cause::Rule(_)) {
            self.benign_limits += 1;
        }
    }

    /// The sets of a kind, in the order of their names.
    pub fn sets(&self, label: Label) -> impl Iterator<Item = (&str, &Count)> {
        self.sets.iter().filter(move |((own, _), _)| *own == label).map(|((_, name), count)| (name.as_str(), count))
    }

    /// All of a kind together.
    pub fn total(&self, label: Label) -> Count {
        self.sets(label).fold(Count::default(), |mut sum, (_, count)| {
            sum.add(count);
            sum
        })
    }

    /// The rules that matched most often in harmless requests that were refused, with how often.
    pub fn worst(&self, most: usize) -> Vec<(u64, u64)> {
        let mut rules: Vec<(u64, u64)> = self.against_benign.iter().map(|(rule, count)| (*rule, *count)).collect();
        rules.sort_by_key(|(rule, count)| (std::cmp::Reverse(*count), *rule));
        rules.truncate(most);
        rules
    }

    /// Harmless requests that a limit or the budget refused, and no rule.
    pub fn benign_limits(&self) -> u64 {
        self.benign_limits
    }

    /// In how many refused attacks a rule matched.
    pub fn in_attacks(&self, rule: u64) -> u64 {
        self.against_attacks.get(&rule).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn judged(refused: Option<Cause>, rules: &[u64]) -> Judged {
        Judged { refused, score: 5, rules: rules.to_vec() }
    }

    #[test]
    fn rates_are_of_what_rules_saw() {
        let mut tally = Tally::default();
        tally.add(Label::Attack, "a", &judged(Some(Cause::Rule(949_110)), &[942_100, 942_100]));
        tally.add(Label::Attack, "a", &judged(None, &[]));
        tally.add(Label::Attack, "b", &judged(Some(Cause::Http), &[]));
        tally.add(Label::Benign, "c", &judged(Some(Cause::Fault("limit")), &[1]));
        tally.add(Label::Benign, "c", &judged(Some(Cause::Rule(949_110)), &[2, 1]));
        assert_eq!(tally.total(Label::Attack), Count { requests: 3, refused: 1, before: 1 });
        assert_eq!(tally.total(Label::Attack).rate().unwrap().round(), 50.0);
        assert_eq!(tally.sets(Label::Attack).find(|(name, _)| *name == "b").unwrap().1.rate(), None);
        assert_eq!((tally.worst(9), tally.benign_limits()), (vec![(1, 2), (2, 1)], 1));
        assert_eq!(tally.in_attacks(942_100), 1);
        (0..2 * MAX_SETS)
            .for_each(|number| tally.add(Label::Benign, &number.to_string(), &judged(Some(Cause::Http), &[])));
        assert!(tally.sets.len() <= MAX_SETS + 1);
    }
}
