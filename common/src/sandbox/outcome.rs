//! How a mechanism tells what it achieved: what it did, and what it could not do and which other layer does it instead.
//!
//! A gap is judged only when all layers are closed, because most walls of the jail are double: a kernel without `PR_SET_MDWE`
//! still refuses executable memory through the system-call filter. Pure.

use super::report::{Layer, State};

/// What one mechanism achieved.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Name of the layer, as printed.
    pub layer: &'static str,
    /// What holds now, in a few words.
    pub done: String,
    /// What does not.
    pub gaps: Vec<Gap>,
    /// Set when the layer is not there at all.
    pub absent: Option<String>,
    /// What the operator can do about it.
    pub advice: &'static str,
}

/// A part of a layer that could not be had.
#[derive(Debug, Clone)]
pub struct Gap {
    /// What is missing and why.
    pub what: String,
    /// Which other layer refuses the same thing.
    pub cover: Cover,
}

/// Which other layer makes up for a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cover {
    /// None: the gap is real.
    Nothing,
    /// The system-call filter refuses the same acts.
    SystemCalls,
    /// The empty network namespace has nothing to reach.
    Network,
}

/// Which of the covering layers hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Held {
    /// The system-call filter is in force.
    pub system_calls: bool,
    /// The process is in a network namespace with nothing in it.
    pub network: bool,
}

impl Outcome {
    /// A layer that holds.
    #[must_use]
    pub fn holds(layer: &'static str, done: impl Into<String>) -> Self {
        Self { layer, done: done.into(), gaps: Vec::new(), absent: None, advice: "" }
    }

    /// A layer that is not there.
    #[must_use]
    pub fn absent(layer: &'static str, cause: impl Into<String>, advice: &'static str) -> Self {
        Self { layer, done: String::new(), gaps: Vec::new(), absent: Some(cause.into()), advice }
    }

    /// Notes a part that could not be had.
    pub fn gap(&mut self, what: impl Into<String>, cover: Cover) {
        self.gaps.push(Gap { what: what.into(), cover });
    }

    /// The verdict, given which other layers hold.
    #[must_use]
    pub fn judge(&self, held: Held) -> Layer {
        if let Some(cause) = &self.absent {
            return Layer {
                name: self.layer.to_owned(),
                state: State::Absent(cause.clone()),
                detail: self.done.clone(),
            };
        }
        let covered = |gap: &&Gap| match gap.cover {
            Cover::Nothing => false,
            Cover::SystemCalls => held.system_calls,
            Cover::Network => held.network,
        };
        let (fine, open): (Vec<&Gap>, Vec<&Gap>) = self.gaps.iter().partition(covered);
        let state = if open.is_empty() { State::Holds } else { State::Partly(join(&open)) };
        let mut detail = self.done.clone();
        if !fine.is_empty() {
            detail = format!("{detail}; another layer covers: {}", join(&fine));
        }
        Layer { name: self.layer.to_owned(), state, detail }
    }
}

/// The gaps in one line.
fn join(gaps: &[&Gap]) -> String {
    gaps.iter().map(|gap| gap.what.as_str()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    fn with_gap(cover: Cover) -> Outcome {
        let mut outcome = Outcome::holds("memory", "not dumpable");
        outcome.gap("no MDWE", cover);
        outcome
    }

    #[test]
    fn a_covered_gap_is_named_but_holds() {
        let layer = with_gap(Cover::SystemCalls).judge(Held { system_calls: true, network: false });
        assert_eq!(layer.state, State::Holds);
        assert!(layer.detail.contains("no MDWE"), "{}", layer.detail);
    }

    #[test]
    fn an_uncovered_gap_makes_the_layer_partial() {
        for (cover, held) in [
            (Cover::Nothing, Held { system_calls: true, network: true }),
            (Cover::SystemCalls, Held { system_calls: false, network: true }),
            (Cover::Network, Held { system_calls: true, network: false }),
        ] {
            assert_eq!(with_gap(cover).judge(held).state, State::Partly("no MDWE".to_owned()));
        }
    }

    #[test]
    fn an_absent_layer_stays_absent() {
        let layer =
            Outcome::absent("landlock", "not in this kernel", "").judge(Held { system_calls: true, network: true });
        assert_eq!(layer.state, State::Absent("not in this kernel".to_owned()));
    }
}
