//! Pure: what was expected and what came, as one line for people.

use super::got::{End, Got};
use super::judge::{greeting_line, whose};
use crate::scenarios::{BodyIs, Expect, Seen};
use crate::world::World;
use std::time::Duration;

/// How much of a body is shown, in characters.
const SHOWN: usize = 90;

/// What was expected.
#[must_use]
pub fn expected(expect: &Expect) -> String {
    let mut parts = vec![expect.ending.text()];
    parts.extend(expect.alpn.map(protocol));
    parts.extend(expect.certificate.map(|whose| format!("certificate {}", whose.name())));
    parts.extend(expect.header.map(|(name, word)| format!("{name}: {word}")));
    parts.extend(match expect.body {
        BodyIs::Any => None,
        BodyIs::Holds(words) => Some(words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")),
        BodyIs::Greeting(lines) => {
            Some(lines.iter().map(|(key, seen)| line(key, *seen)).collect::<Vec<_>>().join(", "))
        }
        BodyIs::Pattern(length) => Some(format!("{length} bytes, each right")),
        BodyIs::Over(least) => Some(format!("in pieces over at least {} ms", least.as_millis())),
    });
    parts.join(", ")
}

fn line(key: &str, seen: Seen) -> String {
    match seen {
        Seen::Is(text) => format!("{key}: {text}"),
        Seen::Starts(text) => format!("{key}: {text}…"),
        Seen::Has(text) => format!("{key}: …{text}…"),
        Seen::Absent => format!("no {key}"),
    }
}

fn protocol(name: &str) -> String {
    if name.is_empty() { "no ALPN".into() } else { format!("ALPN {name}") }
}

/// What came, and what is wrong with it.
#[must_use]
pub fn got(expect: &Expect, got: &Got, world: &World, complaints: &[String], took: Duration) -> String {
    let mut parts = vec![match &got.end {
        End::Status(status) => status.to_string(),
        End::NoTunnel(status) => format!("no tunnel but {status}"),
        End::Alert(name) => format!("TLS alert {name}"),
        End::Error(what) => format!("error: {what}"),
    }];
    if expect.alpn.is_some() {
        parts.extend(got.alpn.as_deref().map(protocol));
    }
    if expect.certificate.is_some() && got.certificate.is_some() {
        let whose = whose(got, world).map_or("of somebody else", |whose| whose.name());
        parts.push(format!("certificate {whose}"));
    }
    if !matches!(got.end, End::Alert(_) | End::Error(_)) {
        parts.extend(body(expect.body, got));
    }
    parts.push(format!("{} ms", took.as_millis()));
    let parts = parts.join(", ");
    if complaints.is_empty() { parts } else { format!("{parts}  WRONG: {}", complaints.join("; ")) }
}

fn body(expected: BodyIs, got: &Got) -> Option<String> {
    match expected {
        BodyIs::Any => None,
        BodyIs::Holds(_) => Some(format!("\"{}\"", first_line(&got.text))),
        BodyIs::Greeting(lines) => {
            let seen = |(key, _): &(&str, Seen)| {
                greeting_line(&got.text, key)
                    .map_or(format!("no {key}"), |value| format!("{key}: {}", first_line(value)))
            };
            let mut seen: Vec<_> = lines.iter().map(seen).collect();
            seen.dedup();
            Some(seen.join(", "))
        }
        BodyIs::Pattern(_) => Some(match got.body.wrong_at() {
            None => format!("{} bytes, each right", got.body.seen()),
            Some(place) => format!("{} bytes, the first wrong one at {place}", got.body.seen()),
        }),
        BodyIs::Over(_) => Some(format!("in pieces over {} ms", got.over.as_millis())),
    }
}

/// The first line that is not empty, safe for a terminal.
fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("");
    let mut shown: String = line.chars().filter(|character| !character.is_control()).take(SHOWN).collect();
    if line.chars().count() > SHOWN {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios::{self, Ending};

    #[test]
    fn every_row_can_be_described_and_says_its_status() {
        for row in scenarios::all() {
            let text = expected(&row.expect);
            assert!(!text.is_empty() && !text.contains('\n'), "{}", row.name);
            if let Ending::Status(status) | Ending::NoTunnel(status) = row.expect.ending {
                assert!(text.contains(&status.to_string()), "{}", row.name);
            }
        }
    }

    #[test]
    fn a_body_cannot_write_to_the_terminal() {
        assert_eq!(first_line("\n \u{1b}[2Jred\nmore"), "[2Jred");
        assert_eq!(first_line(&"x".repeat(500)).chars().count(), SHOWN + 1);
    }
}
