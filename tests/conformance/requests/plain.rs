//! Ordinary requests as clients send them: every one must pass, as exactly what it was. Strictness that breaks these is worthless.

use crate::case::{Case, Sent};

pub const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"];

/// Header lines that clients send every day, and how they leave.
pub const LINES: [(&str, &[(&str, &str)]); 28] = [
    ("", &[]),
    ("User-Agent: curl/8.5.0\r\nAccept: */*\r\n", &[("user-agent", "curl/8.5.0"), ("accept", "*/*")]),
    (
        "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n",
        &[("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")],
    ),
    ("Accept-Encoding: gzip, deflate, br, zstd\r\n", &[("accept-encoding", "gzip, deflate, br, zstd")]),
    ("Cookie: a=b; c=d; e=\"f g\"\r\n", &[("cookie", "a=b; c=d; e=\"f g\"")]),
    (
        "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.x-_\r\n",
        &[("authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x-_")],
    ),
    ("Referer: https://www.test/a?b=c#d\r\n", &[("referer", "https://www.test/a?b=c#d")]),
    ("Connection: keep-alive\r\n", &[]),
    ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", &[("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")]),
    ("If-None-Match: W/\"abc\", \"def\"\r\n", &[("if-none-match", "W/\"abc\", \"def\"")]),
    ("Range: bytes=0-499, -500\r\n", &[("range", "bytes=0-499, -500")]),
    (
        "Origin: null\r\nAccess-Control-Request-Method: PUT\r\n",
        &[("origin", "null"), ("access-control-request-method", "PUT")],
    ),
    (
        "Sec-Fetch-Mode: navigate\r\nSec-CH-UA: \"Chromium\";v=\"130\"\r\n",
        &[("sec-fetch-mode", "navigate"), ("sec-ch-ua", "\"Chromium\";v=\"130\"")],
    ),
    ("DNT: 1\r\nUpgrade-Insecure-Requests: 1\r\n", &[("dnt", "1"), ("upgrade-insecure-requests", "1")]),
    ("X-Requested-With: XMLHttpRequest\r\n", &[("x-requested-with", "XMLHttpRequest")]),
    ("X-Empty:\r\nX-Spaces: \t \r\n", &[("x-empty", ""), ("x-spaces", "")]),
    ("X-Tight:value\r\nX-Loose: \t value \t\r\n", &[("x-tight", "value"), ("x-loose", "value")]),
    ("X-Twice: a\r\nX-Twice: b\r\n", &[("x-twice", "a"), ("x-twice", "b")]),
    (
        "Accept-Language: de-CH,de;q=0.9\r\nAccept-Language: en\r\n",
        &[("accept-language", "de-CH,de;q=0.9"), ("accept-language", "en")],
    ),
    (
        "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
        &[("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")],
    ),
    ("Via: 1.1 other\r\n", &[("via", "1.1 other")]),
    ("Max-Forwards: 5\r\n", &[("max-forwards", "5")]),
    ("Priority: u=1, i\r\n", &[("priority", "u=1, i")]),
    ("x-lower: a\r\nX-UPPER: B\r\n", &[("x-lower", "a"), ("x-upper", "B")]),
    ("X-Colon: a:b: c\r\n", &[("x-colon", "a:b: c")]),
    ("X-Comma: a,,b, c\r\n", &[("x-comma", "a,,b, c")]),
    ("X-Json: {\"a\":[1,2]}\r\n", &[("x-json", "{\"a\":[1,2]}")]),
    ("X-Utf8: caf\u{c3}\u{a9}\r\n", &[("x-utf8", "caf\u{c3}\u{a9}")]),
];

/// Targets that browsers and libraries send.
pub const TARGETS: [&str; 24] = [
    "/§",
    "/§/",
    "/§?",
    "/§?a=b",
    "/§?a=b&c=d",
    "/§?a[]=b",
    "/§?q=a+b%20c",
    "/§?u=https://www.test/x?y",
    "/§?a={b}",
    "/§?%",
    "/§?%zz",
    "/§/a.b/c-d_e~f",
    "/§/a%20b",
    "/§/caf%C3%A9",
    "/§/a:b@c",
    "/§/a,b;c=d",
    "/§/(a)!$&'*+=",
    "/§/a|b^c",
    "/§/.well-known/x",
    "/§/index.html",
    "/§/%E2%82%AC",
    "/§//../x?y",
    "/§?a=../b",
    "/§?a?b",
];

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for method in METHODS {
        for (number, (lines, fields)) in LINES.iter().enumerate() {
            let bodiless = !matches!(method, "POST" | "PUT" | "PATCH");
            let mut sent = Sent::get().method(method);
            for (name, value) in *fields {
                sent = sent.with(name, value);
            }
            let (framing, body) = match number % 3 {
                _ if bodiless => ("", ""),
                0 => ("Content-Length: 11\r\n", "hello world"),
                1 => ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"),
                _ => ("Content-Length: 0\r\n", ""),
            };
            sent.body = if framing.is_empty() || body.is_empty() { Vec::new() } else { b"hello world".to_vec() };
            let text = format!("{method} /§ HTTP/1.1\r\nHost: www.test\r\n{lines}{framing}\r\n{body}");
            cases.push(Case::plain(format!("plain: {method} {lines:?}"), &text, sent));
        }
    }
    for target in TARGETS.iter().filter(|target| !target.contains("//..")) {
        let text = format!("GET {target} HTTP/1.1\r\nHost: www.test\r\n\r\n");
        cases.push(Case::plain(format!("plain: target {target}"), &text, Sent::get().to(target)));
    }
    for method in ["GET", "DELETE", "OPTIONS", "PROPFIND"] {
        let text = format!("{method} /§ HTTP/1.1\r\nHost: www.test\r\nContent-Length: 3\r\n\r\nabc");
        let sent = Sent::post("abc").method(method);
        cases.push(Case::plain(format!("plain: {method} with a body"), &text, sent));
    }
    let fields = "Content-Type: text/plain\r\nHost: www.test\r\nContent-Length: 3\r\n";
    let text = format!("POST /§ HTTP/1.1\r\n{fields}\r\nabc");
    cases.push(Case::plain(
        "plain: Host is not the first field",
        &text,
        Sent::post("abc").with("content-type", "text/plain"),
    ));
    let lower = "GET /§ HTTP/1.1\r\nhost:www.test\r\naccept:*/*\r\n\r\n";
    cases.push(Case::plain("plain: small letters", lower, Sent::get().with("accept", "*/*")));
    cases
}
