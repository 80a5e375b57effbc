//! What the jail is made of on *this* machine: which layers hold, and what happened when the forbidden acts were tried.
//!
//! Made once at start by [`super::close`], logged, and published to `bulkhead sandbox`. Values only, no I/O.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::process::Process;

/// The self-report of one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Who reports.
    pub process: Process,
    /// Its process id.
    pub pid: u32,
    /// The user it runs as now.
    pub uid: u32,
    /// The walls, in the order in which they were put up.
    pub layers: Vec<Layer>,
    /// The acts that were tried from inside.
    pub acts: Vec<Act>,
}

/// One wall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Its name: "namespaces", "landlock", "system calls"…
    pub name: String,
    /// Whether it stands.
    pub state: State,
    /// What exactly it consists of here.
    pub detail: String,
}

/// Whether a wall stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// As the policy asks, or a missing part is covered by another layer.
    Holds,
    /// Something is missing that nothing else covers: what and why.
    Partly(String),
    /// It is not there: why.
    Absent(String),
}

/// One act that was tried after the jail was closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// What was tried.
    pub what: String,
    /// Whether it was refused.
    pub refused: bool,
    /// What the kernel answered: `ok`, or the name of the error.
    pub answer: String,
    /// Whether this process's policy says that it must be refused.
    pub expected_refused: bool,
}

impl Act {
    /// Whether the policy is kept: what must be refused was refused. (An allowed act that failed for another reason, say
    /// IPv6 on a machine without it, is no fault of the jail.)
    #[must_use]
    pub const fn as_expected(&self) -> bool {
        self.refused || !self.expected_refused
    }
}

impl Report {
    /// Whether every wall stands and every act that must be refused was refused.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.layers.iter().all(|layer| layer.state == State::Holds) && self.acts.iter().all(Act::as_expected)
    }

    /// One line for the log.
    #[must_use]
    pub fn summary(&self) -> String {
        let standing = self.layers.iter().filter(|layer| layer.state == State::Holds).count();
        let expected = self.acts.iter().filter(|act| act.expected_refused).count();
        let refused = self.acts.iter().filter(|act| act.expected_refused && act.refused).count();
        let mut line = format!(
            "sandbox: {standing} of {} layers hold, {refused} of {expected} forbidden acts refused",
            self.layers.len()
        );
        for layer in &self.layers {
            match &layer.state {
                State::Holds => {}
                State::Partly(cause) => line.push_str(&format!("; {}: partly, {cause}", layer.name)),
                State::Absent(cause) => line.push_str(&format!("; {}: absent, {cause}", layer.name)),
            }
        }
        for act in self.acts.iter().filter(|act| !act.as_expected()) {
            line.push_str(&format!("; NOT REFUSED: {} ({})", act.what, act.answer));
        }
        line
    }
}

/// The table of `bulkhead sandbox` for one process: two blocks, layers and acts.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.holds() { "every wall stands" } else { "NOT every wall stands" };
        writeln!(f, "{}  pid {}  uid {}  {verdict}", self.process, self.pid, self.uid)?;
        for Layer { name, state, detail } in &self.layers {
            let (mark, cause) = match state {
                State::Holds => ("holds", ""),
                State::Partly(cause) => ("PARTLY", cause.as_str()),
                State::Absent(cause) => ("ABSENT", cause.as_str()),
            };
            let between = if cause.is_empty() || detail.is_empty() { "" } else { " | " };
            writeln!(f, "  layer  {mark:<8} {name:<20} {cause}{between}{detail}")?;
        }
        for act in &self.acts {
            let mark = match (act.refused, act.expected_refused) {
                (true, true) => "refused",
                (false, false) => "allowed",
                (true, false) => "refused*",
                (false, true) => "OPEN",
            };
            writeln!(f, "  act    {mark:<8} {:<52} {}", act.what, act.answer)?;
        }
        if self.acts.iter().any(|act| act.refused && !act.expected_refused) {
            writeln!(f, "  * the policy would allow it; this machine refuses it for another reason")?;
        }
        Ok(())
    }
}

/// The whole answer of `bulkhead sandbox`: a matrix of layers per process first, then each process in full.
#[must_use]
pub fn table(reports: &[Report]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for layer in reports.iter().flat_map(|report| &report.layers) {
        if !names.contains(&layer.name.as_str()) {
            names.push(&layer.name);
        }
    }
    let mut text = format!("{:<20}", "");
    for report in reports {
        text.push_str(&format!(" {:<17}", report.process));
    }
    text.push('\n');
    for name in names {
        text.push_str(&format!("{name:<20}"));
        for report in reports {
            let cell = match report.layers.iter().find(|layer| layer.name == name).map(|layer| &layer.state) {
                Some(State::Holds) => "holds",
                Some(State::Partly(_)) => "PARTLY",
                Some(State::Absent(_)) => "ABSENT",
                None => "-",
            };
            text.push_str(&format!(" {cell:<17}"));
        }
        text.push('\n');
    }
    text.push_str(&format!("{:<20}", "forbidden acts"));
    for report in reports {
        let expected = report.acts.iter().filter(|act| act.expected_refused).count();
        let refused = report.acts.iter().filter(|act| act.expected_refused && act.refused).count();
        text.push_str(&format!(" {:<17}", format!("{refused}/{expected} refused")));
    }
    text.push('\n');
    for report in reports {
        text.push_str(&format!("\n{report}"));
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    fn report(state: State, refused: bool, expected_refused: bool) -> Report {
        Report {
            process: Process::TlsTerminator,
            pid: 7,
            uid: 61_002,
            layers: vec![Layer { name: "landlock".into(), state, detail: "ABI 7".into() }],
            acts: vec![Act { what: "fork".into(), refused, answer: "EPERM".into(), expected_refused }],
        }
    }

    #[test]
    fn it_holds_only_when_every_wall_and_every_refusal_does() {
        assert!(report(State::Holds, true, true).holds());
        assert!(report(State::Holds, false, false).holds(), "an act the policy allows may succeed");
        assert!(!report(State::Holds, false, true).holds());
        assert!(!report(State::Partly("old kernel".into()), true, true).holds());
        assert!(!report(State::Absent("no kernel".into()), true, true).holds());
    }

    #[test]
    fn text_and_summary_name_what_is_wrong() {
        let bad = report(State::Absent("not in this kernel".into()), false, true);
        assert!(bad.to_string().contains("ABSENT") && bad.to_string().contains("OPEN"), "{bad}");
        assert!(
            bad.summary().contains("not in this kernel") && bad.summary().contains("NOT REFUSED: fork"),
            "{}",
            bad.summary()
        );
        let all = table(&[bad, report(State::Holds, true, true)]);
        assert!(all.contains("0/1 refused") && all.contains("1/1 refused"), "{all}");
    }

    #[test]
    fn it_travels() {
        let sent = report(State::Partly("x".into()), true, true);
        let bytes = bincode::serde::encode_to_vec(&sent, bincode::config::standard()).unwrap();
        let (back, _): (Report, usize) =
            bincode::serde::decode_from_slice(&bytes, bincode::config::standard()).unwrap();
        assert_eq!(sent, back);
    }
}
