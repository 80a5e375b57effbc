//! Holds what matched against what a test expects; shared with the replay through the whole product (`tests/crs`).

use regex::Regex;

use super::cases::Expected;

/// A rule that matched.
pub struct Matched {
    pub rule: u64,
    /// Its line in an error log, for expectations that are patterns.
    pub line: String,
}

/// What is not as expected; empty if all is.
pub fn differences(expected: &Expected, matched: &[Matched]) -> Vec<String> {
    let hit = |id: &&u64| matched.iter().any(|hit| hit.rule == **id);
    let mut found: Vec<String> =
        expected.ids.iter().filter(|id| !hit(id)).map(|id| format!("{id} does not match")).collect();
    found.extend(expected.no_ids.iter().filter(hit).map(|id| format!("{id} matches")));
    let text = log(matched);
    let matches = |pattern: &String| Regex::new(pattern).expect("the pattern of a test").is_match(&text);
    found.extend(
        expected.log.iter().filter(|pattern| !matches(pattern)).map(|pattern| format!("the log has no {pattern}")),
    );
    found.extend(
        expected
            .no_log
            .iter()
            .filter(|pattern| matches(pattern))
            .map(|pattern| format!("the log has {pattern}: {text}")),
    );
    found
}

/// The lines one behind the other.
pub fn log(matched: &[Matched]) -> String {
    matched.iter().map(|hit| format!("{}\n", hit.line)).collect()
}

/// A line as error logs have it; what is not printable is escaped in `message` and `data` already.
pub fn line(rule: u64, message: &str, data: &str) -> String {
    format!("[id \"{rule}\"] [msg \"{message}\"] [data \"{data}\"]")
}
