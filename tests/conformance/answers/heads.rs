//! Status lines and header lines of answers (RFC 9112 §4, §5).

use super::{Came, Case};
use crate::case::shown;

/// What is no status line.
const NONE: [&str; 43] = [
    "",
    " ",
    "HTTP/1.1",
    "HTTP/1.1 ",
    "HTTP/1.1 2",
    "HTTP/1.1 20",
    "HTTP/1.1 2000 OK",
    "HTTP/1.1 abc OK",
    "HTTP/1.1 099 OK",
    "HTTP/1.1 000 OK",
    "HTTP/1.1 +200 OK",
    "HTTP/1.1 -200 OK",
    "HTTP/1.1 0x1 OK",
    "HTTP/1.1 2 0 OK",
    "HTTP/1.1 200.5 OK",
    "HTTP/1.1 200OK",
    "HTTP/1.1 200;OK",
    "HTTP/1.1  200 OK",
    "HTTP/1.1\t200 OK",
    " HTTP/1.1 200 OK",
    "http/1.1 200 OK",
    "HTTP/2.0 200 OK",
    "HTTP/0.9 200 OK",
    "HTTP/1.2 200 OK",
    "HTTP/1.10 200 OK",
    "HTTP/11 200 OK",
    "HTTP/1,1 200 OK",
    "HTTPS/1.1 200 OK",
    "ICY 200 OK",
    "200 OK",
    "OK",
    "HTTP/1.1 \u{b2}00 OK",
    "HTTP/1.1 200 O\0K",
    "HTTP/1.1 200 O\x01K",
    "HTTP/1.1 200 O\x7fK",
    "HTTP/1.1 200 O\x1bK",
    "HTTP/1.1 200 O\rK",
    "HTTP/1.1 200 OK\r",
    "HTTP/1.1\x00200 OK",
    "<html>",
    "GET / HTTP/1.1",
    "SSH-2.0-x",
    "\x15\x03\x01\0\x02\x02\x28",
];

/// Head lines that are wrong, in the place of one line.
const LINES: [&str; 42] = [
    "X: a\nX-B: c",
    "X: a\rX-B: c",
    "X: a\n",
    "X: a\r",
    "X: a\r\r",
    "X: a\0b",
    "X: \0",
    "X\0: a",
    "X: a\x01b",
    "X: a\x0bb",
    "X: a\x0cb",
    "X: a\x1bb",
    "X: a\x7fb",
    "X: a\x08b",
    " X: a",
    "\tX: a",
    "X: a\r\n b",
    "X: a\r\n\tb",
    "X:\r\n a",
    "X : a",
    "X\t: a",
    "X  : a",
    "nonsense",
    "two words",
    ":",
    ": a",
    " ",
    "X y: a",
    "X\"y: a",
    "X(y): a",
    "X,y: a",
    "X/y: a",
    "X;y: a",
    "X=y: a",
    "X@y: a",
    "X[y]: a",
    "X{y}: a",
    "X<y>: a",
    "X\\y: a",
    "X?y: a",
    "X\u{e9}: a",
    "HTTP/1.1 200 OK",
];

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for line in NONE {
        cases.push(Case::bad(
            format!("status line: {}", shown(line)),
            &format!("{line}\r\nContent-Length: 3\r\n\r\nabc"),
        ));
    }
    for (name, text) in [
        ("LF only", "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc"),
        ("LF behind the status line", "HTTP/1.1 200 OK\nContent-Length: 3\r\n\r\nabc"),
        ("LF as the empty line", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\nabc"),
        ("CR only", "HTTP/1.1 200 OK\rContent-Length: 3\r\rabc"),
        ("an empty line before", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"),
        ("an LF before", "\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"),
        ("garbage before", "abc\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"),
        ("a byte order mark before", "\u{ef}\u{bb}\u{bf}HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"),
        ("an HTTP/2 SETTINGS frame", "\0\0\0\x04\0\0\0\0\0\r\n\r\n"),
    ] {
        cases.push(Case::bad(format!("head: {name}"), text));
    }
    for line in LINES {
        let name = shown(line);
        cases.push(Case::bad(
            format!("line: {name}"),
            &format!("HTTP/1.1 200 OK\r\n{line}\r\nContent-Length: 3\r\n\r\nabc"),
        ));
        cases.push(Case::bad(
            format!("line: last {name}"),
            &format!("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n{line}\r\n\r\nabc"),
        ));
    }
    for (name, head) in [
        ("1,000 fields", (0..1000).map(|number| format!("X-{number}: b\r\n")).collect::<String>()),
        ("a field of 300 KiB", format!("X-A: {}\r\n", "b".repeat(300 * 1024))),
        ("a name of 300 KiB", format!("{}: b\r\n", "b".repeat(300 * 1024))),
        ("a reason of 300 KiB", String::new()),
    ] {
        let reason = if head.is_empty() { "K".repeat(300 * 1024) } else { "OK".to_owned() };
        cases.push(Case::bad(
            format!("size: {name}"),
            &format!("HTTP/1.1 200 {reason}\r\n{head}Content-Length: 3\r\n\r\nabc"),
        ));
    }
    for text in [
        "",
        "H",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n",
        "\r\n",
    ] {
        cases.push(Case::bad(format!("head: cut {}", shown(text)), text).closing());
    }
    cases.extend(good());
    cases
}

fn good() -> Vec<Case> {
    let mut cases = Vec::new();
    for status in [
        200, 201, 202, 203, 206, 207, 226, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 409, 410, 418, 422,
        429, 451, 500, 501, 502, 503, 504, 511, 599,
    ] {
        let text = format!("HTTP/1.1 {status} Some Words\r\nContent-Length: 3\r\nX-A: b\r\n\r\nabc");
        cases.push(Case::passed(format!("good: status {status}"), &text, Came::new(status, "abc").with("x-a", "b")));
    }
    for line in [
        "HTTP/1.1 200 ",
        "HTTP/1.1 200",
        "HTTP/1.1 200 \t",
        "HTTP/1.1 200 caf\u{e9}",
        "HTTP/1.1 200 200",
        "HTTP/1.0 200 OK",
    ] {
        let text = format!("{line}\r\nContent-Length: 3\r\n\r\nabc");
        let case = Case::passed(format!("good: status line {}", shown(line)), &text, Came::new(200, "abc"));
        cases.push(if line.contains("1.0") { case.closing() } else { case });
    }
    for (lines, fields) in [
        ("Set-Cookie: a=b\r\nSet-Cookie: c=d; Path=/\r\n", &[("set-cookie", "a=b"), ("set-cookie", "c=d; Path=/")][..]),
        ("ETag: W/\"x\"\r\nVary: *\r\n", &[("etag", "W/\"x\""), ("vary", "*")]),
        ("Location: https://other.test/a?b#c\r\n", &[("location", "https://other.test/a?b#c")]),
        ("X-Empty:\r\nX-Tight:a\r\nX-Loose: \t a \t\r\n", &[("x-empty", ""), ("x-tight", "a"), ("x-loose", "a")]),
        ("X-Latin: caf\u{e9}\r\nX-Tab: a\tb\r\n", &[("x-latin", "caf\u{e9}"), ("x-tab", "a\tb")]),
        ("X_Y: a\r\nX!#$%&'*+.^`|~: b\r\n", &[("x_y", "a"), ("x!#$%&'*+.^`|~", "b")]),
        ("WWW-Authenticate: Basic realm=\"a, b\"\r\n", &[("www-authenticate", "Basic realm=\"a, b\"")]),
        ("Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n", &[]),
        ("Connection: X-Secret\r\nX-Secret: a\r\n", &[]),
        ("Connection: x-a, x-b\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\n", &[("x-c", "3")]),
        (
            "Connection: Set-Cookie, Content-Type\r\nSet-Cookie: a=b\r\nContent-Type: a/b\r\n",
            &[("set-cookie", "a=b"), ("content-type", "a/b")],
        ),
        ("Connection: Content-Length\r\n", &[]),
        ("Upgrade: h2c\r\nConnection: Upgrade\r\n", &[]),
        ("Upgrade: h2,h2c\r\n", &[]),
        ("Proxy-Authenticate: Basic\r\nProxy-Connection: close\r\n", &[]),
        ("TE: trailers\r\n", &[]),
    ] {
        let mut came = Came::new(200, "abc");
        for (name, value) in fields {
            came = came.with(name, value);
        }
        let text = format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 3\r\n\r\nabc");
        cases.push(Case::passed(format!("good: {lines:?}"), &text, came));
    }
    cases
}
