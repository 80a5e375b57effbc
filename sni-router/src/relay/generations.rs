//! What a reload replaces, and for a while what it was before.
//!
//! The relay takes a new configuration before those who ask it for connections, so that whatever they ask for is known. Until
//! the last of them has taken it too, and until requests that began under the old one have ended, they still ask for what the
//! new configuration does not have any more. Pure: the clock is an argument.

use std::time::{Duration, Instant};

/// How long what was taken away can still be found: longer than any connect deadline of those who ask.
pub const GRACE: Duration = Duration::from_secs(60);

/// The present, and the past for [`GRACE`]. The memory of the past is given back at the next reload.
#[derive(Debug)]
pub struct Generations<T> {
    current: T,
    before: Option<(T, Instant)>,
}

impl<T> Generations<T> {
    /// A present without a past.
    pub fn new(current: T) -> Self {
        Self { current, before: None }
    }

    /// The present.
    pub fn current(&self) -> &T {
        &self.current
    }

    /// A new present.
    pub fn replace(&mut self, next: T, now: Instant) {
        self.before = Some((std::mem::replace(&mut self.current, next), now));
    }

    /// Looks into the present, then into the past.
    pub fn find<R>(&self, now: Instant, look: impl Fn(&T) -> Option<R>) -> Option<R> {
        let past = || self.before.as_ref().filter(|(_, since)| now.saturating_duration_since(*since) < GRACE);
        look(&self.current).or_else(|| past().and_then(|(before, _)| look(before)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_found_for_a_while_and_never_before_the_present() {
        let start = Instant::now();
        let mut names = Generations::new(vec!["a", "b"]);
        let find = |names: &Generations<Vec<&'static str>>, at, name| {
            names.find(at, |list| list.iter().position(|own| *own == name))
        };
        names.replace(vec!["b", "c"], start);
        assert_eq!(find(&names, start, "b"), Some(0), "as it is now");
        assert_eq!((find(&names, start, "a"), find(&names, start, "c")), (Some(0), Some(1)));
        assert_eq!(find(&names, start + GRACE, "a"), None);
        names.replace(vec!["d"], start);
        assert_eq!((find(&names, start, "a"), find(&names, start, "b")), (None, Some(0)), "one past, not two");
    }
}
