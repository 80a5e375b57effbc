//! Words for whoever started a process, before there is a log or beside it. `eprintln!` and `println!` panic when nobody reads any more (a
//! terminal that was closed answers EIO, a pipe EPIPE), and a process must never end because its complaint could not be heard.

use std::fmt::Display;
use std::io::Write;

/// A line on standard error, if somebody reads it.
pub fn complain(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A line on standard output, if somebody reads it.
pub fn answer(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// A text without control characters other than line ends: part of it may come from a process that somebody owns, or from a stranger's file,
/// and the terminal may be root's.
#[must_use]
pub fn harmless(text: &str) -> String {
    let harmless = |character: char| match character {
        '\n' => "\n".to_owned(),
        other if other.is_control() => other.escape_default().to_string(),
        other => other.to_string(),
    };
    text.chars().map(harmless).collect()
}
