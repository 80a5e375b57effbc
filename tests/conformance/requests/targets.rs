//! The target (RFC 9112 §3.2, RFC 3986): one of the four forms, and one reading of the path, which is the one that leaves.

use crate::case::{Case, Must, Sent, shown};

/// What is no target of a GET.
pub const NONE: [&str; 27] = [
    "*",
    "§",
    "www.test",
    "www.test:80",
    "www.test/§",
    "../§",
    "./§",
    "?§",
    "#§",
    "/§#",
    "/§#x",
    "/§?a#b",
    "/§<",
    "/§>",
    "/<§>",
    "/§`",
    "/§?a\"b",
    "\\§",
    "//",
    "/§%",
    "/§%4",
    "/§%zz",
    "/§%g0",
    "/§%u0041",
    "/§%%30",
    "/§%2",
    "%2f§",
];

/// Paths that no honest client sends, refused whatever the policy.
pub const NEVER: [&str; 31] = [
    "/§%00",
    "/%00§",
    "/§/a%00.png",
    "/§%c0%af",
    "/§%C0%AE",
    "/§%c1%9c",
    "/§%e0%80%af",
    "/§%f0%80%80%af",
    "/..",
    "/../§",
    "/§/../..",
    "/§/../../a",
    "/%2e%2e/§",
    "/§/%2e%2e/%2e%2e/a",
    "/§/..%2fa",
    "/§/..%2Fa",
    "/§%2f..%2fa",
    "/§/%2e%2e%2fa",
    "/§%5c..%5ca",
    "/§/..%5ca",
    "/§/..;/a",
    "/§/..;x=y/a",
    "/§/.;/a",
    "/§/%2e%2e;/a",
    "/§/%2e%2e%3b/a",
    "/§/..%3bx/a",
    "/..;/§",
    "/§/\\../../..",
    "/§/..\\..\\a",
    "/§/./../../a",
    "/§/a/../../../b",
];

/// Paths with more than one spelling, and the one that leaves under `path = "normalise"`.
pub const SPELLINGS: [(&str, &str); 44] = [
    ("/§/./a", "/§/a"),
    ("/§/a/../b", "/§/b"),
    ("/§/a/..", "/§/"),
    ("/§/.", "/§/"),
    ("/a/../§", "/§"),
    ("/a/b/../../§", "/§"),
    ("/./§", "/§"),
    ("//§", "/§"),
    ("///§", "/§"),
    ("/§//a", "/§/a"),
    ("/§///", "/§/"),
    ("/§\\a", "/§/a"),
    ("/§\\..\\b", "/b"),
    ("/a\\..\\§", "/§"),
    ("/%41§", "/A§"),
    ("/%61§%7e", "/a§~"),
    ("/§%2d%2E%5f", "/§-._"),
    ("/a/%2e%2e/§", "/§"),
    ("/a/%2E./§", "/§"),
    ("/%2e/§", "/§"),
    ("/§/%2e", "/§/"),
    ("/§%2fa", "/§%2Fa"),
    ("/§%5ca", "/§%5Ca"),
    ("/§%3fa", "/§%3Fa"),
    ("/§%23a", "/§%23a"),
    ("/§%3ba", "/§%3Ba"),
    ("/§%25", "/§%25"),
    ("/§%2541", "/§%2541"),
    ("/§%252e%252e", "/§%252e%252e"),
    ("/§%20a", "/§%20a"),
    ("/§%0d%0aX:y", "/§%0D%0AX:y"),
    ("/§%0a", "/§%0A"),
    ("/§%7f", "/§%7F"),
    ("/§%c3%a9", "/§%C3%A9"),
    ("/§%e9", "/§%E9"),
    ("/§;a=b/c", "/§;a=b/c"),
    ("/§;jsessionid=1", "/§;jsessionid=1"),
    ("/§/.../a", "/§/.../a"),
    ("/§/..a", "/§/..a"),
    ("/§/a..", "/§/a.."),
    ("/§/.a", "/§/.a"),
    ("/§/a/./b/../c?x=/../y", "/§/a/c?x=/../y"),
    ("/§/a/?x=//y", "/§/a/?x=//y"),
    ("http://www.test//a/../§", "/§"),
];

fn with(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: www.test\r\nX: §\r\n\r\n")
}

/// All of them, under `path = "normalise"`.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for target in NONE.iter().filter(|target| **target != "//") {
        cases.push(Case::refused(format!("target: {}", shown(target)), &with(target)));
    }
    for path in NEVER {
        cases.push(Case::refused(format!("path: {}", shown(path)), &with(path)));
        let absolute = format!("GET http://www.test{path} HTTP/1.1\r\nHost: www.test\r\nX: §\r\n\r\n");
        if !path.contains('\\') || path.starts_with('/') {
            cases.push(Case::refused(format!("path: absolute {}", shown(path)), &absolute));
        }
    }
    for (path, left) in SPELLINGS {
        cases.push(Case::sent(
            format!("path: spelling {}", shown(path)),
            &with(path),
            Sent::get().to(left).with("x", "§"),
        ));
    }
    cases.extend(other_forms());
    cases
}

/// The same under `path = "reject-ambiguous"`: what servers read differently is refused, the rest leaves as it came.
pub fn ambiguous() -> Vec<Case> {
    const SAFE: [&str; 13] = [
        "/§%2541_",
        "/§%3fa",
        "/§%23a",
        "/§%3ba",
        "/§%25",
        "/§%20a",
        "/§%c3%a9",
        "/§;a=b/c",
        "/§;jsessionid=1",
        "/§/.../a",
        "/§/..a",
        "/§/.a",
        "/§/a..",
    ];
    let mut cases: Vec<Case> =
        NEVER.iter().map(|path| Case::refused(format!("ambiguous: never {}", shown(path)), &with(path))).collect();
    for path in [
        "/§//a",
        "//§",
        "/§\\a",
        "/§%2fa",
        "/§%5ca",
        "/a/%2e%2e/§",
        "/a/%2E./§",
        "/%2e/§",
        "/§%0d%0a",
        "/§%0a",
        "/§%1f",
        "/§%7f",
        "/§%e9",
        "/§%ff",
        "/§%252e%252e",
        "/§%2541",
        "/§%25%32%65",
        "/§///",
        "/§\\",
        "/§/a\\..\\b",
    ] {
        cases.push(Case::refused(format!("ambiguous: {}", shown(path)), &with(path)));
    }
    for (path, left) in SPELLINGS.iter().filter(|(path, left)| {
        SAFE.contains(path) || (path.contains("/.") && !path.contains('\\') && left.contains("/§"))
    }) {
        if path.contains("//") || path.contains("%2e") || path.contains("%2E") {
            continue;
        }
        cases.push(Case::sent(
            format!("ambiguous: safe {}", shown(path)),
            &with(path),
            Sent::get().to(left).with("x", "§"),
        ));
    }
    cases
}

/// Asterisk and authority form.
fn other_forms() -> Vec<Case> {
    let star = |method: &str| format!("{method} * HTTP/1.1\r\nHost: www.test\r\nX: §\r\n\r\n");
    let mut cases =
        vec![Case::sent("target: OPTIONS *", &star("OPTIONS"), Sent::get().method("OPTIONS").to("*").with("x", "§"))];
    for method in ["GET", "POST", "HEAD", "DELETE", "options"] {
        cases.push(Case::refused(format!("target: {method} *"), &star(method)));
    }
    for target in ["*/", "**", "*?a", "/*x y", "www.test:443"] {
        let text = format!("OPTIONS {target} HTTP/1.1\r\nHost: www.test\r\nX: §\r\n\r\n");
        cases.push(Case::refused(format!("target: OPTIONS {target}"), &text));
    }
    for target in [
        "www.test",
        "/§",
        "*",
        "http://www.test/§",
        "www.test:0",
        "www.test:99999",
        "x@www.test:443",
        "www.test:443/§",
        ":443",
    ] {
        let text = format!("CONNECT {target} HTTP/1.1\r\nHost: www.test\r\nX: §\r\n\r\n");
        cases.push(Case::new(format!("target: CONNECT {target}"), &text, Must::Refused(&[400])));
    }
    cases
}
