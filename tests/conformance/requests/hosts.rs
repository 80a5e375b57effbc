//! Who is meant (RFC 9112 §3.2, RFC 9110 §7.2): exactly one Host that is one host, and the same as in an absolute target.

use crate::case::{Case, Sent, get, shown};

/// What is no `host[:port]`.
pub const NONE: [&str; 62] = [
    "",
    " ",
    ":",
    ":80",
    ".",
    "..",
    "a..b",
    ".a",
    "www.test:",
    "www.test:0",
    "www.test:65536",
    "www.test:99999999",
    "www.test:+80",
    "www.test:-80",
    "www.test:80a",
    "www.test:http",
    "www.test: 80",
    "www.test :80",
    "www.test:80:80",
    "www.test::80",
    "www.test:80,",
    "www.test,other.test",
    "www.test, other.test",
    "www.test other.test",
    "www.test\tother.test",
    "www.test;other.test",
    "x@www.test",
    "x:y@www.test",
    "@www.test",
    "www.test@",
    "http://www.test",
    "//www.test",
    "www.test/",
    "www.test/x",
    "/www.test",
    "\\www.test",
    "www.test\\x",
    "www.test?x",
    "www.test#x",
    "www%2etest",
    "%77ww.test",
    "www.test%00",
    "\"www.test\"",
    "<www.test>",
    "(www.test)",
    "{www.test}",
    "w\u{fc}w.test",
    "127.1",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "256.1.1.1",
    "1.2.3.4.5",
    "::1",
    "[::1",
    "::1]",
    "[::1]x",
    "[::1]:",
    "[fe80::1%25eth0]",
    "[v1.x]",
    "[127.0.0.1]",
    "[]",
];

/// Another host than `www.test` on port 80.
const OTHERS: [&str; 7] = ["other.test", "www.test:81", "www.test.evil", "ww.test", "[::1]", "127.0.0.1", "wwwxtest"];

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let with = |host: &str| format!("GET /§ HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for host in NONE {
        cases.push(Case::refused(format!("host: {}", shown(host)), &with(host)));
        let old = format!("GET /§ HTTP/1.0\r\nHost: {host}\r\n\r\n");
        cases.push(Case::refused(format!("host: HTTP/1.0 {}", shown(host)), &old));
    }
    cases.push(Case::refused("host: 254 bytes", &with(&"a.".repeat(127).replacen("a.", "aa.", 1))));
    cases.push(Case::refused("host: a label of 64 bytes", &with(&format!("{}.test", "a".repeat(64)))));
    cases.push(Case::refused("host: none", "GET /§ HTTP/1.1\r\n\r\n"));
    cases.push(Case::refused(
        "host: none but in X-Forwarded-Host",
        "GET /§ HTTP/1.1\r\nX-Forwarded-Host: www.test\r\n\r\n",
    ));
    for second in ["www.test", "other.test", "", "www.test:80", "WWW.TEST"] {
        for name in ["Host", "host", "HOST"] {
            cases.push(Case::refused(format!("two hosts: {name} {second:?}"), &get(&format!("{name}: {second}\r\n"))));
            cases.push(Case::refused(
                format!("two hosts: {name} {second:?} apart"),
                &get(&format!("X-A: b\r\n{name}: {second}\r\n")),
            ));
        }
    }
    cases.extend(absolute());
    cases.extend(good());
    cases
}

/// An absolute target and a Host that differ.
fn absolute() -> Vec<Case> {
    let mut cases = Vec::new();
    for other in OTHERS {
        let text = format!("GET http://{other}/§ HTTP/1.1\r\nHost: www.test\r\n\r\n");
        cases.push(Case::refused(format!("two readings of the host: target {other}"), &text));
        let text = format!("GET http://www.test/§ HTTP/1.1\r\nHost: {other}\r\n\r\n");
        cases.push(Case::refused(format!("two readings of the host: Host {other}"), &text));
    }
    for target in [
        "http://x@www.test/§",
        "http://x:y@www.test/§",
        "http://www.test:/§",
        "http://www.test:0/§",
        "http:///§",
        "http://",
        "http:/www.test/§",
        "http:www.test/§",
        "http://www.test\\@other.test/§",
        "http://www.test:80:81/§",
        "http://[::1/§",
        "http://www.test%00/§",
        "http://www.test,other.test/§",
        "ftp://www.test/§",
        "ws://www.test/§",
        "file:///§",
        "javascript:/§",
        "https//www.test/§",
        "://www.test/§",
        "http://www.test#/§",
        "http://w\u{fc}w.test/§",
    ] {
        let text = format!("GET {target} HTTP/1.1\r\nHost: www.test\r\n\r\n");
        cases.push(Case::refused(format!("absolute: {}", shown(target)), &text));
    }
    cases
}

/// Hosts that are right, in all their ways of writing.
fn good() -> Vec<Case> {
    let mut cases = Vec::new();
    for host in [
        "www.test",
        "www.test:80",
        "www.test:8080",
        "WWW.Test",
        "www.test.",
        "a",
        "a-b.test",
        "xn--bcher-kva.test",
        "127.0.0.1",
        "127.0.0.1:80",
        "[::1]",
        "[::1]:80",
        "[2001:DB8::1]",
        "0xx.test",
        "1.test",
        "a.b.c.d.e.f.test",
    ] {
        let text = format!("GET /§ HTTP/1.1\r\nHost: {host}\r\n\r\n");
        cases.push(Case::plain(format!("host: good {host}"), &text, Sent::get().host(host)));
    }
    for (target, host, left, left_host) in [
        ("http://www.test/§", "www.test", "/§", "www.test"),
        ("http://www.test/§?a=b", "www.test", "/§?a=b", "www.test"),
        ("HTTP://www.test/§", "www.test", "/§", "www.test"),
        ("http://WWW.TEST/§", "www.test", "/§", "WWW.TEST"),
        ("http://www.test:80/§", "www.test", "/§", "www.test:80"),
        ("http://www.test/§", "www.test:80", "/§", "www.test"),
        ("https://www.test/§", "www.test", "/§", "www.test"),
        ("https://www.test:443/§", "www.test", "/§", "www.test:443"),
        ("http://[::1]:80/§", "[0:0::1]", "/§", "[::1]:80"),
        ("http://www.test?§", "www.test", "/?§", "www.test"),
    ] {
        let text = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        cases.push(Case::sent(format!("absolute: good {target} {host}"), &text, Sent::get().to(left).host(left_host)));
    }
    let old = "GET /§ HTTP/1.0\r\n\r\n";
    // Nobody is named, so it is for the address that was connected to (RFC 9112 §3.3); the runner knows it.
    cases.push(Case::sent("host: HTTP/1.0 without", old, Sent::get().host("{local}").last()));
    cases
}
