//! Labelled requests, one JSON object a line: the form that `bulkhead rules test --corpus` reads too.

use serde_json::Value;

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    Attack,
    Benign,
}

pub struct Request {
    pub label: Label,
    pub set: String,
    pub method: String,
    pub uri: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// All requests of a list; empty lines and lines that begin with `#` are comments.
pub fn read(text: &str) -> Vec<Request> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| request(&serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))).collect()
}

fn request(value: &Value) -> Request {
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let mut headers: Vec<(String, String)> = value["headers"]
        .as_object()
        .map(|headers| {
            headers
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().expect("a header is a text").to_owned()))
                .collect()
        })
        .unwrap_or_default();
    let body = text("data");
    let mut missing = |name: &str, value: &str| {
        if !headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            headers.push((name.to_owned(), value.to_owned()));
        }
    };
    missing("Host", "shop.example");
    missing("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0");
    missing("Accept", "*/*");
    if !body.is_empty() {
        missing("Content-Length", &body.len().to_string());
    }
    Request {
        label: match value["label"].as_str() {
            Some("attack") => Label::Attack,
            Some("benign") => Label::Benign,
            other => panic!("a label is attack or benign: {other:?}"),
        },
        set: text("set"),
        method: text("method"),
        uri: text("uri"),
        headers,
        body,
    }
}
