//! Standard output, for the answers that were asked for. Logs and complaints go to standard error.

use std::io::Write;

pub use common::complain::harmless;

/// Prints a text and ends its last line. A reader that has gone away (`bulkhead status | head -1`) is no error.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let _ = write!(out, "{}{end}", harmless(text)).and_then(|()| out.flush());
}

/// "1 process", "2 processes": `many` where it is not one.
pub fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// A span of time for people: `420 ms`, `12.3 s`, `4 min`, `3 h 5 min`, `2 d 3 h`.
pub fn span(time: std::time::Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..=59 => format!("{:.1} s", time.as_secs_f64()),
        60..=3599 => format!("{} min", seconds / 60),
        3600..=86_399 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn nobody_colours_the_terminal() {
        assert_eq!(harmless("a\u{1b}[31m\tb\nc é"), "a\\u{1b}[31m\\tb\nc é");
    }

    #[test]
    fn times_and_counts_read_like_words() {
        for (millis, text) in [
            (0, "0 ms"),
            (420, "420 ms"),
            (12_345, "12.3 s"),
            (60_000, "1 min"),
            (11_100_000, "3 h 5 min"),
            (183_600_000, "2 d 3 h"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
        assert_eq!(count(1, "process", "processes"), "1 process");
        assert_eq!(count(0, "process", "processes"), "0 processes");
    }
}
