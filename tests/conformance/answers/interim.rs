//! Interim answers (RFC 9110 §15.2) and protocol switches that nobody asked for.

use super::{Came, Case, Must, Then};

const FINAL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for line in ["100 Continue", "100 ", "102 Processing", "103 Early Hints\r\nLink: </a>", "199 Odd"] {
        for count in [1, 2, 5] {
            let text = format!("{}{FINAL}", format!("HTTP/1.1 {line}\r\n\r\n").repeat(count));
            cases.push(Case::passed(format!("interim: {count} × {line:?}"), &text, Came::new(200, "abc")));
        }
        let text = format!("HTTP/1.1 {line}\r\n\r\n");
        cases.push(Case::bad(format!("interim: only {line:?}"), &text).closing());
    }
    for lines in ["Content-Length: 3\r\n", "Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n"] {
        for (status, body) in [(100, "abc"), (100, ""), (103, "abc"), (103, "")] {
            let text = format!("HTTP/1.1 {status} Odd\r\n{lines}\r\n{body}{FINAL}");
            // An interim answer has no body: what stands there is the next status line, or none.
            let must = if body.is_empty() { Must::PassedOrStopped(Came::new(200, "abc")) } else { Must::BadGateway };
            cases.push(Case::new(format!("interim: {status} with {lines:?} and {body:?}"), &text, must));
        }
    }
    for (name, text) in [
        ("bare LF", "HTTP/1.1 100 Continue\n\n"),
        ("a fold", "HTTP/1.1 100 Continue\r\nX: a\r\n b\r\n\r\n"),
        ("a NUL", "HTTP/1.1 100 Continue\r\nX: a\0\r\n\r\n"),
        ("no colon", "HTTP/1.1 103 Early Hints\r\nX\r\n\r\n"),
        ("a bad status", "HTTP/1.1 10 Continue\r\n\r\n"),
    ] {
        cases.push(Case::bad(format!("interim: {name}"), &format!("{text}{FINAL}")));
    }
    cases.extend(switches());
    cases
}

/// 101 without a question, or to another protocol than was asked for.
fn switches() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, lines) in [
        ("nothing", ""),
        ("h2c", "Connection: Upgrade\r\nUpgrade: h2c\r\n"),
        ("websocket", "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        ("an unknown protocol", "Connection: Upgrade\r\nUpgrade: foo\r\n"),
        ("websocket with a length", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n"),
    ] {
        for (what, more) in [("nothing", ""), ("an answer", FINAL), ("bytes", "SMUGGLED")] {
            let text = format!("HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n{more}");
            cases.push(Case::bad(format!("switch: unasked to {name}, then {what}"), &text));
            let post = Case::bad(format!("switch: unasked by POST to {name}, then {what}"), &text);
            cases.push(post.method("POST"));
        }
    }
    let asked_by_halves = [
        "Upgrade: websocket\r\n",
        "Connection: keep-alive\r\nUpgrade: websocket\r\n",
        "Connection: Upgrade\r\n",
        "Connection: Upgrade\r\nUpgrade: h2c\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    ];
    for asks in asked_by_halves {
        let text = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        let case = Case::bad(format!("switch: asked for by halves {asks:?}"), text);
        cases.push(Case { asks, ..case });
    }
    const ASKS: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (name, lines) in [
        ("nothing", ""),
        ("h2c", "Connection: Upgrade\r\nUpgrade: h2c\r\n"),
        ("two protocols", "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n"),
        ("a list", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n"),
    ] {
        let text = format!("HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n");
        let case = Case::bad(format!("switch: asked for websocket, but to {name}"), &text);
        cases.push(Case { asks: ASKS, ..case });
    }
    for answer in [FINAL, "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 3\r\n\r\nabc"] {
        let status = if answer == FINAL { 200 } else { 426 };
        let case = Case::passed(
            format!("switch: asked for websocket, but answered {status}"),
            answer,
            Came::new(status, "abc"),
        );
        cases.push(Case { asks: ASKS, then: Then::Open, ..case });
    }
    cases
}
