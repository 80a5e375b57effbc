//! The backend that CRS's tests expect (albedo): `POST /reflect` answers with what the request's JSON says, anything else with an empty 200.

use serde_json::Value;

use super::wire::Request;

/// Status, headers and body of an answer.
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The answer to a request.
pub fn answer(request: &Request) -> Response {
    let mut response = Response { status: 200, headers: Vec::new(), body: Vec::new() };
    if request.method == b"POST" && (request.uri == b"/reflect" || request.uri.starts_with(b"/reflect/")) {
        let Ok(wish) = serde_json::from_slice::<Value>(&request.body) else {
            return Response {
                status: 400,
                headers: content_type("text/plain; charset=utf-8"),
                body: b"Invalid JSON in request body".to_vec(),
            };
        };
        response.status = wish["status"]
            .as_u64()
            .and_then(|status| u16::try_from(status).ok())
            .filter(|status| *status > 0)
            .unwrap_or(200);
        for (name, value) in wish["headers"].as_object().into_iter().flatten() {
            response.headers.push((name.clone(), value.as_str().unwrap_or_default().to_owned()));
        }
        response.body = wish["body"].as_str().unwrap_or_default().as_bytes().to_vec();
        if let Some(encoded) = wish["encodedBody"].as_str().filter(|_| response.body.is_empty()) {
            seclang::transform::Transform::Base64Decode.apply(encoded.as_bytes(), &mut response.body);
        }
    }
    if !response.body.is_empty() && !response.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
    {
        response.headers.extend(content_type(sniff(&response.body)));
    }
    response.headers.push(("Content-Length".to_owned(), response.body.len().to_string()));
    response
}

fn content_type(value: &str) -> Vec<(String, String)> {
    vec![("Content-Type".to_owned(), value.to_owned())]
}

/// What Go's server takes a body for, if its author does not say.
fn sniff(body: &[u8]) -> &'static str {
    let start = body.trim_ascii_start();
    let begins = |tag: &str| {
        start.len() > tag.len()
            && start[..tag.len()].eq_ignore_ascii_case(tag.as_bytes())
            && b" >".contains(&start[tag.len()])
    };
    let html = [
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
    if html.iter().any(|tag| begins(tag)) || start.starts_with(b"<!--") {
        "text/html; charset=utf-8"
    } else if start.starts_with(b"<?xml") {
        "text/xml; charset=utf-8"
    } else if body.iter().take(512).any(|byte| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f)) {
        "application/octet-stream"
    } else {
        "text/plain; charset=utf-8"
    }
}
