//! The backend that the tests of the Core Rule Set expect (albedo), for their rules about answers: `POST /reflect` answers with what the request's JSON
//! says, anything else with an empty 200.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::sample::Told;

/// Status, headers and body of an answer.
#[derive(Debug, Default)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Header lines.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// The answer to a request.
pub fn answer(told: &Told) -> Answer {
    let mut answer = Answer { status: 200, ..Answer::default() };
    if told.method == b"POST" && (told.target == b"/reflect" || told.target.starts_with(b"/reflect/")) {
        match serde_json::from_slice::<Value>(&told.body) {
            Ok(wish) => fulfil(&wish, &mut answer),
            Err(_) => (answer.status, answer.body) = (400, b"Invalid JSON in request body".to_vec()),
        }
    }
    let typed = answer.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if !answer.body.is_empty() && !typed {
        answer.headers.push(("Content-Type".to_owned(), sniff(&answer.body).to_owned()));
    }
    answer.headers.push(("Content-Length".to_owned(), answer.body.len().to_string()));
    answer
}

fn fulfil(wish: &Value, answer: &mut Answer) {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let status = wish.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
    answer.status = status.filter(|status| *status > 0).unwrap_or(200);
    let headers = wish.get("headers").and_then(Value::as_object).into_iter().flatten();
    answer.headers.extend(headers.map(|(name, value)| (name.clone(), text(Some(value)))));
    answer.body = text(wish.get("body")).into_bytes();
    if answer.body.is_empty() {
        answer.body = STANDARD.decode(text(wish.get("encodedBody"))).unwrap_or_default();
    }
}

/// What Go's server takes a body for, if its author does not say.
fn sniff(body: &[u8]) -> &'static str {
    const TAGS: [&str; 16] = [
        "<!DOCTYPE HTML",
        "<HTML",
        "<HEAD",
        "<SCRIPT",
        "<IFRAME",
        "<H1",
        "<DIV",
        "<FONT",
        "<TABLE",
        "<A",
        "<STYLE",
        "<TITLE",
        "<B",
        "<BODY",
        "<BR",
        "<P",
    ];
    let start = body.trim_ascii_start();
    let begins = |tag: &str| {
        start.get(..tag.len()).is_some_and(|head| head.eq_ignore_ascii_case(tag.as_bytes()))
            && start.get(tag.len()).is_some_and(|next| b" >".contains(next))
    };
    if TAGS.iter().any(|tag| begins(tag)) || start.starts_with(b"<!--") {
        "text/html; charset=utf-8"
    } else if start.starts_with(b"<?xml") {
        "text/xml; charset=utf-8"
    } else if body.iter().take(512).any(|byte| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f)) {
        "application/octet-stream"
    } else {
        "text/plain; charset=utf-8"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, target: &str, body: &str) -> Answer {
        answer(&Told { method: method.into(), target: target.into(), body: body.into(), ..Told::default() })
    }

    #[test]
    fn answers_are_what_the_test_wishes() {
        let all = asked("POST", "/reflect", r#"{"status": 503, "headers": {"X": "y"}, "encodedBody": "PHA+"}"#);
        assert_eq!((all.status, all.body.as_slice(), all.headers.len()), (503, &b"<p>"[..], 3));
        assert!(all.headers.iter().any(|(_, value)| value.starts_with("text/html")));
        assert_eq!(asked("POST", "/reflect", "{").status, 400);
        let other = asked("GET", "/", "");
        assert_eq!((other.status, other.headers.len()), (200, 1));
    }
}
