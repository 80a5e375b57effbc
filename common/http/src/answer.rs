//! Answers that this proxy gives itself: refusals, errors, "no backend". Short, in the form the client asked for, never stored by a cache.
//!
//! Everything that could come from a client or from a configuration is escaped for the form it is written in; the client's own bytes are never an argument here.

use std::fmt::Write;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Response, StatusCode};

/// What to say.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Status.
    pub status: StatusCode,
    /// One sentence: what was wrong, and what to do.
    pub reason: &'a str,
    /// Name of the rule or stage that decided.
    pub rule: Option<&'a str>,
    /// For finding this request in our log.
    pub request_id: Option<&'a str>,
    /// Close the connection after it.
    pub close: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Html,
    Json,
}

impl<'a> Answer<'a> {
    /// A refusal or an error that leaves the connection open.
    #[must_use]
    pub fn new(status: StatusCode, reason: &'a str) -> Self {
        Answer { status, reason, rule: None, request_id: None, close: false }
    }

    /// The response, in the form that `request` (its headers) prefers: HTML to browsers, JSON to those who ask for it, else text.
    #[must_use]
    pub fn respond(&self, request: Option<&HeaderMap>) -> Response<Bytes> {
        let form = request.map_or(Form::Text, preferred);
        let (kind, body) = match form {
            Form::Text => ("text/plain; charset=utf-8", self.text()),
            Form::Html => ("text/html; charset=utf-8", self.html()),
            Form::Json => ("application/json", self.json()),
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if form == Form::Html {
            let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        if self.close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }

    fn text(&self) -> String {
        let mut out = format!("{} {}\n{}\n", self.status.as_u16(), self.title(), one_line(self.reason));
        for (label, value) in self.details() {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{label}: {}", one_line(value));
        }
        out
    }

    fn html(&self) -> String {
        let (code, title) = (self.status.as_u16(), self.title());
        let mut out = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{code} {title}</title>\
             <style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}}small{{color:#666}}</style></head>\
             <body><h1>{code} {title}</h1><p>{}</p>",
            escape_html(self.reason)
        );
        for (label, value) in self.details() {
            let _ = write!(out, "<p><small>{label}: {}</small></p>", escape_html(value));
        }
        out.push_str("</body></html>\n");
        out
    }

    fn json(&self) -> String {
        let mut out = format!(
            "{{\"status\":{},\"title\":\"{}\",\"reason\":\"{}\"",
            self.status.as_u16(),
            self.title(),
            escape_json(self.reason)
        );
        for (label, value) in self.details() {
            let _ = write!(out, ",\"{}\":\"{}\"", label.replace(' ', "_"), escape_json(value));
        }
        out.push_str("}\n");
        out
    }

    fn details(&self) -> impl Iterator<Item = (&'static str, &'a str)> {
        [("rule", self.rule), ("request id", self.request_id)]
            .into_iter()
            .filter_map(|(label, value)| Some((label, value?)))
    }
}

/// A rough reading of Accept is enough: these three forms are unlikely to be told apart by weights.
fn preferred(headers: &HeaderMap) -> Form {
    let accepts = |kind: &[u8]| {
        headers
            .get_all(header::ACCEPT)
            .iter()
            .any(|v| v.as_bytes().windows(kind.len()).any(|w| w.eq_ignore_ascii_case(kind)))
    };
    if accepts(b"text/html") {
        Form::Html
    } else if accepts(b"/json") || accepts(b"+json") {
        Form::Json
    } else {
        Form::Text
    }
}

/// Text on one line: control characters become spaces.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Text that cannot become mark-up, in HTML or XML, inside an attribute in quotes too.
#[must_use]
pub fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Text for the inside of a JSON string, harmless in HTML too.
#[must_use]
pub fn escape_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => out.push(' '),
            // So that the text is also harmless inside HTML.
            '<' => out.push_str("\\u003c"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    fn respond(accept: &'static str) -> (String, String) {
        let mut request = HeaderMap::new();
        request.insert(header::ACCEPT, HeaderValue::from_static(accept));
        let answer = Answer {
            rule: Some("<script>\"a\\b\r\n"),
            request_id: Some("id-1"),
            close: true,
            ..Answer::new(StatusCode::FORBIDDEN, "No <b>way</b>.")
        };
        let response = answer.respond(Some(&request));
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["connection"], "close");
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        (kind, String::from_utf8(response.into_body().to_vec()).unwrap())
    }

    #[test]
    fn each_form_is_escaped() {
        let (kind, body) = respond("text/html,application/json;q=0.9");
        assert!(kind.starts_with("text/html") && body.contains("<h1>403 Forbidden</h1>"), "{body}");
        assert!(
            !body.contains("<script>") && !body.contains("<b>") && body.contains("&lt;script&gt;&quot;a\\b"),
            "{body}"
        );
        let (kind, body) = respond("application/problem+json");
        assert_eq!(kind, "application/json");
        assert_eq!(
            body,
            "{\"status\":403,\"title\":\"Forbidden\",\"reason\":\"No \\u003cb>way\\u003c/b>.\",\"rule\":\"\\u003cscript>\\\"a\\\\b  \",\"request_id\":\"id-1\"}\n"
        );
        let (kind, body) = respond("*/*");
        assert!(kind.starts_with("text/plain"));
        assert_eq!(body, "403 Forbidden\nNo <b>way</b>.\nrule: <script>\"a\\b  \nrequest id: id-1\n");
    }
}
