//! How long an answer is (RFC 9112 §6.3): one length or one `chunked`, never both, and nothing that two readers could read differently.

use super::{Came, Case};
use crate::case::shown;
use crate::requests::{encodings, lengths};

const CHUNKS: &str = "3\r\nabc\r\n0\r\n\r\n";

fn with(lines: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{lines}\r\n{body}")
}

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for value in lengths::NONE.iter().chain(&lengths::HUGE).chain(&lengths::LISTS).chain(&["", " "]) {
        let text = with(&format!("Content-Length: {value}\r\n"), "abc");
        cases.push(Case::bad(format!("length: {}", shown(value)), &text).closing());
    }
    for (one, other) in lengths::PAIRS {
        let text = with(&format!("Content-Length: {one}\r\nX-A: b\r\ncontent-length: {other}\r\n"), "abc");
        cases.push(Case::bad(format!("two lengths: {one:?} {other:?}"), &text).closing());
        cases.push(Case::bad(format!("two lengths: kept open {one:?} {other:?}"), &text));
    }
    for value in encodings::NONE {
        let text = with(&format!("Transfer-Encoding: {value}\r\n"), CHUNKS);
        cases.push(Case::bad(format!("encoding: {}", shown(value)), &text).closing());
    }
    for (one, other) in [
        ("chunked", "chunked"),
        ("chunked", "identity"),
        ("identity", "chunked"),
        ("gzip", "chunked"),
        ("chunked", ""),
        ("", "chunked"),
    ] {
        let text = with(&format!("Transfer-Encoding: {one}\r\nTransfer-Encoding: {other}\r\n"), CHUNKS);
        cases.push(Case::bad(format!("two encodings: {one:?} {other:?}"), &text).closing());
    }
    for length in ["0", "3", "13", "9999"] {
        for lines in [
            format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
            format!("Transfer-Encoding: chunked\r\nX-A: b\r\nContent-Length: {length}\r\n"),
        ] {
            cases.push(Case::bad(format!("both: {lines:?}"), &with(&lines, CHUNKS)));
            cases.push(Case::bad(format!("both: then closed {lines:?}"), &with(&lines, CHUNKS)).closing());
        }
    }
    for coding in ["chunked", "Chunked", "gzip, chunked", "identity"] {
        let text = format!("HTTP/1.0 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n{CHUNKS}");
        cases.push(Case::bad(format!("HTTP/1.0 encoding: {coding}"), &text).closing());
    }
    for name in [
        "Content-Length :",
        "Content-Length\t:",
        " Content-Length:",
        "Transfer-Encoding :",
        " Transfer-Encoding:",
        "Transfer-Encoding\0:",
        "Content-Length\u{a0}:",
    ] {
        let value = if name.contains("Length") { "3" } else { "chunked" };
        let text = with(&format!("X-A: b\r\n{name} {value}\r\n"), CHUNKS);
        cases.push(Case::bad(format!("hidden: {}", shown(name)), &text).closing());
    }
    for length in ["9223372036854775807", "999999999999999999999"] {
        cases.push(
            Case::bad(format!("length: {length}"), &with(&format!("Content-Length: {length}\r\n"), "abc")).closing(),
        );
    }
    cases.extend(good());
    cases
}

fn good() -> Vec<Case> {
    let mut cases = Vec::new();
    for (lines, body, came) in [
        ("Content-Length: 3\r\n", "abc", "abc"),
        ("content-length:3\r\n", "abc", "abc"),
        ("CONTENT-LENGTH: \t3 \t\r\n", "abc", "abc"),
        ("Content-Length: 0\r\n", "", ""),
        // Some clients would read octal: it must not reach them like this.
        ("Content-Length: 03\r\n", "abc", "abc"),
        ("Content-Length: 010\r\n", "0123456789", "0123456789"),
        ("Content-Length: 000\r\n", "", ""),
        ("Transfer-Encoding: chunked\r\n", CHUNKS, "abc"),
        ("transfer-encoding:CHUNKED\r\n", CHUNKS, "abc"),
        ("Transfer-Encoding: \tchunked \r\n", "1\r\na\r\n2\r\nbc\r\n00\r\n\r\n", "abc"),
        ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n", ""),
        ("Transfer-Encoding: chunked\r\n", "3;a=b\r\nabc\r\n0;c\r\n\r\n", "abc"),
        ("Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n", "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n", "abc"),
    ] {
        let came = Came::new(200, came);
        let came = if lines.contains("Trailer:") { came.with("trailer", "X-Sum") } else { came };
        cases.push(Case::passed(
            format!("good framing: {}", shown(&format!("{lines}{body}"))),
            &with(lines, body),
            came.clone(),
        ));
        let closing = with(&format!("Connection: close\r\n{lines}"), body);
        cases.push(
            Case::passed(format!("good framing: the last {}", shown(&format!("{lines}{body}"))), &closing, came)
                .closing(),
        );
    }
    for (version, connection) in
        [("1.1", ""), ("1.1", "Connection: close\r\n"), ("1.0", ""), ("1.0", "Connection: close\r\n")]
    {
        let text = format!("HTTP/{version} 200 OK\r\n{connection}\r\nabc");
        cases.push(
            Case::passed(format!("good framing: until the end {version} {connection:?}"), &text, Came::new(200, "abc"))
                .closing(),
        );
    }
    let kept = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc";
    cases.push(Case::passed("good framing: HTTP/1.0 kept alive", kept, Came::new(200, "abc")));
    cases
}
