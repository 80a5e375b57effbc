//! The request line (RFC 9112 §3): three words, two spaces, one version.

use crate::case::{Case, Must, Sent, shown};

/// Versions that are not HTTP/1.0 or HTTP/1.1, nor any other of the form `HTTP/d.d`.
const NONE: [&str; 34] = [
    "http/1.1",
    "Http/1.1",
    "hTTP/1.1",
    "HTTP/1.10",
    "HTTP/1.01",
    "HTTP/01.1",
    "HTTP/1.1.1",
    "HTTP/1.",
    "HTTP/.1",
    "HTTP/1",
    "HTTP/11",
    "HTTP/1,1",
    "HTTP/1:1",
    "HTTP/1-1",
    "HTTP/1.a",
    "HTTP/a.1",
    "HTTP/+1.1",
    "HTTP/-1.1",
    "HTTP/1.+1",
    "HTTP\\1.1",
    "HTTP:1.1",
    "HTTP1.1",
    "HTTP//1.1",
    "HTTP/",
    "HTTP",
    "HTTPS/1.1",
    "HTTP/1.1HTTP/1.1",
    "XHTTP/1.1",
    "HTTP/1.1x",
    "ICY/1.1",
    "SIP/2.0",
    "RTSP/1.0",
    "HTTP/\u{b9}.1",
    "HTTP/1.1;",
];

/// Of the right form, but not ours.
const OTHERS: [&str; 8] =
    ["HTTP/2.0", "HTTP/3.0", "HTTP/0.9", "HTTP/0.0", "HTTP/1.2", "HTTP/1.9", "HTTP/9.9", "HTTP/2.1"];

/// Request lines that are not three words with one space between them.
const LINES: [&str; 40] = [
    "GET  /§ HTTP/1.1",
    "GET /§  HTTP/1.1",
    " GET /§ HTTP/1.1",
    "\tGET /§ HTTP/1.1",
    "GET\t/§ HTTP/1.1",
    "GET /§\tHTTP/1.1",
    "GET\t/§\tHTTP/1.1",
    "GET /§ HTTP/1.1 ",
    "GET /§ HTTP/1.1\t",
    "GET /§ HTTP/1.1 x",
    "GET /§ x HTTP/1.1",
    "GET /§ HTTP/1.1 HTTP/1.1",
    "GET\x0b/§ HTTP/1.1",
    "GET\x0c/§ HTTP/1.1",
    "GET /§\x0bHTTP/1.1",
    "GET /§\x0cHTTP/1.1",
    "GET\r/§ HTTP/1.1",
    "GET /§\rHTTP/1.1",
    "GET\0/§ HTTP/1.1",
    "GET /§\0HTTP/1.1",
    "GET\u{a0}/§ HTTP/1.1",
    "GET /§\u{a0}HTTP/1.1",
    "GET /§ HTTP/ 1.1",
    "GET /§ HTTP /1.1",
    "GET /§ HTTP/1 .1",
    "GET /§ HTTP/1. 1",
    "GET /§",
    "GET /§ ",
    "GET",
    "GET ",
    "GET  HTTP/1.1",
    "/§ HTTP/1.1",
    " /§ HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.1 200 OK",
    "GET/§ HTTP/1.1",
    "GET /§HTTP/1.1",
    "GET /§ /§ HTTP/1.1",
    "GET GET /§ HTTP/1.1",
    "GET,/§,HTTP/1.1",
];

/// Methods that are no tokens.
const METHODS: [&str; 24] = [
    "G(T",
    "G)T",
    "G<T",
    "G>T",
    "G@T",
    "G,T",
    "G;T",
    "G:T",
    "G\\T",
    "G\"T",
    "G/T",
    "G[T",
    "G]T",
    "G?T",
    "G=T",
    "G{T",
    "G}T",
    "G\0T",
    "G\x01T",
    "G\x7fT",
    "G\u{80}T",
    "G\u{e9}T",
    "\u{ff}GET",
    "\"GET\"",
];

/// All of them.
pub fn cases() -> Vec<Case> {
    let rest = "Host: www.test\r\n\r\n";
    let mut cases: Vec<Case> = Vec::new();
    for version in NONE {
        cases.push(Case::refused(format!("version: {}", shown(version)), &format!("GET /§ {version}\r\n{rest}")));
    }
    for version in OTHERS {
        let text = format!("GET /§ {version}\r\n{rest}");
        cases.push(Case::new(format!("version: {version}"), &text, Must::Refused(&[505])));
    }
    for line in LINES {
        cases.push(Case::refused(format!("request line: {}", shown(line)), &format!("{line}\r\n{rest}")));
    }
    for method in METHODS {
        cases.push(Case::refused(format!("method: {}", shown(method)), &format!("{method} /§ HTTP/1.1\r\n{rest}")));
    }
    for (name, text) in [
        ("HTTP/0.9", "GET /§\r\n".to_owned()),
        ("HTTP/0.9 and an empty line", "GET /§\r\n\r\n".to_owned()),
        ("a method of 33 bytes", format!("{} /§ HTTP/1.1\r\n{rest}", "M".repeat(33))),
        ("the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        ("a TLS ClientHello", "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03\r\n\r\n".to_owned()),
        ("a PROXY header", format!("PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\nGET /§ HTTP/1.1\r\n{rest}")),
        ("an SSH greeting", "SSH-2.0-x\r\n\r\n".to_owned()),
        ("one byte and nothing", "\u{ff}\r\n\r\n".to_owned()),
    ] {
        cases.push(Case::new(format!("request line: {name}"), &text, Must::Refused(&[400, 505])));
    }
    cases.push(Case::new(
        "request line: 9 KiB",
        &format!("GET /§?{} HTTP/1.1\r\n{rest}", "a".repeat(9 * 1024)),
        Must::Refused(&[414]),
    ));
    for (name, connection) in [
        ("CONNECT", ""),
        ("CONNECT closing", "Connection: close\r\n"),
        ("CONNECT with a length", "Content-Length: 3\r\n"),
    ] {
        let text = format!("CONNECT www.test:443 HTTP/1.1\r\nHost: www.test:443\r\n{connection}X: §\r\n\r\n");
        cases.push(Case::new(format!("method: {name}"), &text, Must::Refused(&[400, 501])));
    }
    cases.extend(good());
    cases
}

/// Any token is a method (RFC 9110 §9.1), and methods are told apart by case.
fn good() -> Vec<Case> {
    let methods =
        ["get", "Get", "PURGE", "M-SEARCH", "X_Y", "!#$%&'*+-.^_`|~", "A", "BASELINE-CONTROL", "VERSION-CONTROL", "1"];
    let good = |method: &&str| {
        let text = format!("{method} /§ HTTP/1.1\r\nHost: www.test\r\n\r\n");
        Case::sent(format!("method: any token {method}"), &text, Sent::get().method(method))
    };
    methods.iter().map(good).collect()
}
