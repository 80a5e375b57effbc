//! Bodies of answers: chunks that are none, bodies shorter or longer than they say, bodies where there must be none, and answers
//! nobody asked for (response splitting).

use super::{Came, Case, Must, Then};
use crate::case::{latin, shown};
use crate::requests::chunks;

/// A second answer behind the first, which nobody may ever get.
const SMUGGLED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nSMUGGLED";

fn chunked(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

fn length(length: usize, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for size in chunks::SIZES {
        cases.push(
            Case::stopped(
                format!("chunk size: first {}", shown(size)),
                &chunked(&format!("{size}\r\nabc\r\n0\r\n\r\n")),
            )
            .closing(),
        );
        let second = format!("2\r\nxy\r\n{size}\r\nabc\r\n0\r\n\r\n");
        cases.push(Case::stopped(format!("chunk size: second {}", shown(size)), &chunked(&second)).closing());
    }
    for extension in chunks::EXTENSIONS {
        let text = chunked(&format!("3{extension}\r\nabc\r\n0\r\n\r\n"));
        cases.push(Case::stopped(format!("chunk extension: {}", shown(extension)), &text).closing());
    }
    for end in chunks::ENDS {
        let text = chunked(&format!("3\r\nabc{end}0\r\n\r\n"));
        cases.push(Case::stopped(format!("chunk end: {}", shown(end)), &text).closing());
    }
    for last in [
        "0\n\r\n",
        "0\r\n\n",
        "0\n\n",
        "0\r\r\n\r\n",
        "0\r\nX",
        "-0\r\n\r\n",
        "0x0\r\n\r\n",
        "0\0\r\n\r\n",
        "",
        "0",
        "0\r\n",
        "0\r\n\r",
    ] {
        let text = chunked(&format!("3\r\nabc\r\n{last}"));
        cases.push(Case::stopped(format!("last chunk: {}", shown(last)), &text).closing());
    }
    for section in chunks::BAD_TRAILERS {
        let text = chunked(&format!("3\r\nabc\r\n0\r\n{section}"));
        cases.push(Case::stopped(format!("trailer: bad {}", shown(section)), &text).closing());
    }
    for name in [
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "Connection",
        "Set-Cookie",
        "Content-Type",
        "Location",
        "X-Forwarded-For",
        "Content-Encoding",
        "Trailer",
    ] {
        // They may be dropped or stop the answer, but never count.
        let text = chunked(&format!("3\r\nabc\r\n0\r\n{name}: 37\r\n\r\n"));
        cases.push(Case::new(format!("trailer: {name}"), &text, Must::PassedOrStopped(Came::new(200, "abc"))));
    }
    for (name, text) in [
        ("shorter than its length", length(9, "abc")),
        ("empty instead of 9 bytes", length(9, "")),
        ("cut in a chunk", chunked("9\r\nabc")),
        ("cut in a chunk size", chunked("3\r\nabc\r\n3")),
        ("cut before the last chunk", chunked("3\r\nabc\r\n")),
        ("2^63 - 1 bytes", format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\nabc", i64::MAX)),
    ] {
        cases.push(Case::stopped(format!("cut: {name}"), &text).closing());
    }
    for (name, text) in [
        ("a length", length(9, "abc")),
        ("a chunk", chunked("9\r\nabc")),
        ("a head", "HTTP/1.1 200 OK\r\nContent-".to_owned()),
    ] {
        cases.push(Case::stopped(format!("stalled: in {name}"), &text));
    }
    cases.extend(splitting());
    cases.extend(bodiless());
    cases
}

/// More than one answer, or more than the answer.
fn splitting() -> Vec<Case> {
    let mut cases = Vec::new();
    let firsts = [
        ("a length", length(3, "abc"), 200, "abc", "GET"),
        ("length zero", length(0, ""), 200, "", "GET"),
        ("chunks", chunked("3\r\nabc\r\n0\r\n\r\n"), 200, "abc", "GET"),
        ("no chunks", chunked("0\r\n\r\n"), 200, "", "GET"),
        ("204", "HTTP/1.1 204 No Content\r\n\r\n".to_owned(), 204, "", "GET"),
        ("304", "HTTP/1.1 304 Not Modified\r\n\r\n".to_owned(), 304, "", "GET"),
        ("HEAD with a length", length(3, ""), 200, "", "HEAD"),
        ("HEAD with chunks", chunked(""), 200, "", "HEAD"),
        ("POST", length(3, "abc"), 200, "abc", "POST"),
        ("404", "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc".to_owned(), 404, "abc", "GET"),
    ];
    for (name, first, status, body, method) in &firsts {
        let came = Came::new(*status, body);
        for (what, more) in [
            ("an answer", SMUGGLED),
            ("an interim answer", "HTTP/1.1 100 Continue\r\n\r\n"),
            (
                "an interim answer and an answer",
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nSMUGGLED",
            ),
            ("bytes", "SMUGGLED"),
            ("an empty line and an answer", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nSMUGGLED"),
            ("CR LF", "\r\n"),
            ("half an answer", "HTTP/1.1 200 OK\r\nContent-Len"),
        ] {
            let at_once =
                Case::passed(format!("splitting: {name}, then {what}"), &format!("{first}{more}"), came.clone());
            cases.push(at_once.method(method));
            let late = Case::passed(format!("splitting: {name}, later {what}"), first, came.clone()).method(method);
            cases.push(Case { then: Then::Late(latin(more)), ..late });
        }
    }
    cases
}

/// Where there is no body whatever the head says (RFC 9112 §6.3), the bytes behind are nobody's.
fn bodiless() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, lines, body) in [
        ("a length", "Content-Length: 3\r\n", ""),
        ("a length and a body", "Content-Length: 3\r\n", "abc"),
        ("chunks", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
        ("no chunks", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("a body like an answer", "Content-Length: 46\r\n", SMUGGLED),
        ("a body without framing", "", "abc"),
    ] {
        for status in [204, 304] {
            let text = format!("HTTP/1.1 {status} Nothing\r\n{lines}\r\n{body}");
            let must = Must::PassedOrStopped(Came::new(status, ""));
            cases.push(Case::new(format!("no body: {status} with {name}"), &text, must));
        }
        let text = format!("HTTP/1.1 200 OK\r\n{lines}\r\n{body}");
        let case = Case::new(format!("no body: HEAD with {name}"), &text, Must::PassedOrStopped(Came::new(200, "")));
        cases.push(case.method("HEAD"));
    }
    for status in [200, 301, 404, 500] {
        let text = format!("HTTP/1.1 {status} Words\r\nContent-Length: 3\r\n\r\n");
        let case = Case::passed(format!("no body: good HEAD {status}"), &text, Came::new(status, ""));
        cases.push(case.method("HEAD"));
    }
    for status in [204, 304] {
        let text = format!("HTTP/1.1 {status} Nothing\r\nETag: \"a\"\r\n\r\n");
        let came = Came::new(status, "").with("etag", "\"a\"");
        cases.push(Case::passed(format!("no body: good {status}"), &text, came));
    }
    cases
}
