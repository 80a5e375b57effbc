//! Pure: holds what came against what was expected and names every difference.

use super::got::{End, Got};
use crate::scenarios::{BodyIs, Certificate, Ending, Expect, Seen};
use crate::world::World;

/// Every difference as a sentence; none = right.
#[must_use]
pub fn judge(expect: &Expect, got: &Got, world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    if !ended_right(expect.ending, &got.end) {
        // The rest would only follow from this.
        return vec!["another end than expected".into()];
    }
    if expect.alpn.is_some() && expect.alpn != got.alpn.as_deref() {
        wrong.push("another protocol than expected".into());
    }
    if expect.certificate.is_some() && expect.certificate != whose(got, world) {
        wrong.push("another certificate than expected".into());
    }
    if let Some((name, word)) = expect.header {
        let values: Vec<_> = got.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        if !values.iter().any(|value| holds(value, word)) {
            wrong.push(format!("{name}: {}", if values.is_empty() { "missing".into() } else { values.join(", ") }));
        }
    }
    body(expect.body, got, &mut wrong);
    wrong
}

fn ended_right(expected: Ending, got: &End) -> bool {
    match (expected, got) {
        (Ending::Status(expected), End::Status(got)) | (Ending::NoTunnel(expected), End::NoTunnel(got)) => {
            expected == *got
        }
        (Ending::Alert(allowed), End::Alert(got)) => allowed.contains(&got.as_str()),
        _ => false,
    }
}

/// Whose certificate came; nobody's if it is none of the three.
#[must_use]
pub fn whose(got: &Got, world: &World) -> Option<Certificate> {
    let came = got.certificate.as_ref()?;
    Certificate::ALL.into_iter().zip(&world.leaves).find(|(_, leaf)| *leaf == came).map(|(whose, _)| whose)
}

fn body(expected: BodyIs, got: &Got, wrong: &mut Vec<String>) {
    match expected {
        BodyIs::Any => {}
        BodyIs::Holds(words) => {
            let missing = words.iter().filter(|word| !holds(&got.text, word));
            wrong.extend(missing.map(|word| format!("\"{word}\" is not in the body")));
        }
        BodyIs::Greeting(lines) => {
            let not_so = lines.iter().filter(|(key, seen)| !saw(greeting_line(&got.text, key), *seen));
            wrong.extend(not_so.map(|(key, _)| format!("the backend should have seen another {key}")));
        }
        BodyIs::Pattern(length) => {
            if let Some(place) = got.body.wrong_at() {
                wrong.push(format!("byte {place} is wrong"));
            } else if got.body.seen() != length {
                wrong.push(format!("{} bytes instead of {length}", got.body.seen()));
            }
        }
        BodyIs::Over(least) => {
            if got.over < least {
                wrong.push("the pieces came all at once".into());
            }
        }
    }
}

fn saw(line: Option<&str>, seen: Seen) -> bool {
    match (seen, line) {
        (Seen::Absent, line) => line.is_none(),
        (_, None) => false,
        (Seen::Is(text), Some(line)) => line == text,
        (Seen::Starts(text), Some(line)) => line.starts_with(text),
        (Seen::Has(text), Some(line)) => holds(line, text),
    }
}

/// The value of a line `key: value` in a greeting.
#[must_use]
pub fn greeting_line<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
}

fn holds(text: &str, word: &str) -> bool {
    text.to_lowercase().contains(&word.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn expect(ending: Ending, body: BodyIs) -> Expect {
        Expect { ending, alpn: None, certificate: None, header: None, body, deadline: Duration::from_secs(1) }
    }

    fn wrong(expect: Expect, end: End, text: &str) -> usize {
        judge(&expect, &Got { text: text.into(), ..Got::ended(end) }, &crate::tests::world()).len()
    }

    #[test]
    fn a_status_from_the_proxy_is_not_one_from_inside() {
        let inside = expect(Ending::Status(403), BodyIs::Any);
        assert_eq!(wrong(inside, End::Status(403), ""), 0);
        assert_eq!(wrong(inside, End::NoTunnel(403), ""), 1);
        assert_eq!(wrong(inside, End::Status(200), ""), 1);
        assert_eq!(wrong(inside, End::Error("reset".into()), ""), 1);
    }

    #[test]
    fn greetings_are_read_line_by_line() {
        let lines: &[_] = &[("x-forwarded-for", Seen::Is("127.0.0.1")), ("via", Seen::Absent)];
        let greeting = expect(Ending::Status(200), BodyIs::Greeting(lines));
        assert_eq!(wrong(greeting, End::Status(200), "x-forwarded-for: 127.0.0.1\n"), 0);
        assert_eq!(wrong(greeting, End::Status(200), "x-forwarded-for: 203.0.113.9, 127.0.0.1\n"), 1);
        assert_eq!(wrong(greeting, End::Status(200), "via: 1.1 x\n"), 2);
    }

    #[test]
    fn alpn_certificate_header_and_words() {
        let world = crate::tests::world();
        let expected = Expect {
            alpn: Some("h2"),
            certificate: Some(Certificate::Www),
            header: Some(("proxy-authenticate", "basic")),
            ..expect(Ending::Status(403), BodyIs::Holds(&["no-admin"]))
        };
        assert_eq!(judge(&expected, &Got::ended(End::Status(403)), &world).len(), 4);
        let mut got = Got::ended(End::Status(403));
        got.alpn = Some("h2".into());
        got.certificate = world.leaves.first().cloned();
        got.text = "Rule NO-ADMIN".into();
        got.headers.insert("proxy-authenticate", http::HeaderValue::from_static("Basic realm=\"x\""));
        assert_eq!(judge(&expected, &got, &world), Vec::<String>::new());
        got.certificate = world.leaves.get(1).cloned();
        assert_eq!(judge(&expected, &got, &world).len(), 1);
    }
}
