//! Content-Length (RFC 9110 §8.6, RFC 9112 §6.3): decimal digits, once, and never beside Transfer-Encoding.

use crate::case::{Case, Must, Sent, post, shown};

/// Values that are no length.
pub const NONE: [&str; 46] = [
    "+3",
    "-3",
    "-0",
    "+0",
    "0x3",
    "0X3",
    "3h",
    "3;",
    "3;a",
    "3.0",
    "3.",
    ".3",
    "3e0",
    "3E0",
    "0b11",
    "0o3",
    "1_0",
    "'3'",
    "\"3\"",
    "3 3",
    "3\t3",
    "3\x0b",
    "\x0b3",
    "\x0c3",
    "3\x0c",
    "3\u{a0}",
    "\u{a0}3",
    "3\u{85}",
    "\u{b3}",
    "a",
    "three",
    "NaN",
    "inf",
    "3a",
    "3/3",
    "3=3",
    "3:3",
    "(3)",
    "[3]",
    "{3}",
    "3%",
    "%33",
    "3*",
    "~3",
    "9223372036854775808",
    "18446744073709551616",
];

/// Digits, but read as octal by some.
pub const OCTAL: [&str; 5] = ["03", "00", "000", "010", "0000000000000000000000003"];

/// Numbers that wrap to 3 in 32 or 64 bits or are simply too long.
pub const HUGE: [&str; 5] = [
    "18446744073709551619",
    "36893488147419103235",
    "340282366920938463463374607431768211459",
    "99999999999999999999999999999999999999999",
    "999999999999999999999",
];

/// Lists, which one line may not hold either.
pub const LISTS: [&str; 12] = ["3,3", "3, 3", "3 ,3", "3,", ",3", ",", "3,4", "4,3", "3,,3", "3\t,\t3", "0,3", "3,0"];

/// Values of two lines.
pub const PAIRS: [(&str, &str); 12] = [
    ("3", "3"),
    ("3", "4"),
    ("4", "3"),
    ("0", "3"),
    ("3", "0"),
    ("0", "0"),
    ("3", ""),
    ("", "3"),
    ("3", "+3"),
    ("03", "3"),
    ("3", "3, 3"),
    ("3", "3x"),
];

const NAMES: [&str; 3] = ["Content-Length", "content-length", "CONTENT-LENGTH"];

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for value in NONE.iter().chain(&OCTAL).chain(&HUGE).chain(&LISTS).chain(&["", " ", "\t"]) {
        for name in NAMES {
            cases.push(Case::refused(
                format!("length: {name} {}", shown(value)),
                &post(&format!("{name}: {value}\r\n"), "abc"),
            ));
        }
        cases.push(Case::refused(
            format!("length: tight {}", shown(value)),
            &post(&format!("Content-Length:{value}\r\n"), "abc"),
        ));
    }
    for (one, other) in PAIRS {
        for (between, what) in [("", "adjacent"), ("X-A: b\r\n", "apart")] {
            for second in ["Content-Length", "content-length"] {
                let lines = format!("Content-Length: {one}\r\n{between}{second}: {other}\r\n");
                cases.push(Case::refused(format!("two lengths: {one} {other} {what} {second}"), &post(&lines, "abc")));
            }
        }
    }
    cases.push(Case::refused("two lengths: three", &post(&"Content-Length: 3\r\n".repeat(3), "abc")));
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH", "TRACE", "PROPFIND"] {
        for value in ["+3", "3, 3", "x", ""] {
            let text = format!("{method} /§ HTTP/1.1\r\nHost: www.test\r\nContent-Length: {value}\r\n\r\nabc");
            cases.push(Case::refused(format!("length: {method} with {value:?}"), &text));
        }
    }
    cases.extend(good());
    cases.extend(hidden());
    cases
}

/// Lengths that are right.
fn good() -> Vec<Case> {
    let sent = |name: &str, lines: &str, body: &str| {
        Case::sent(format!("length: {name}"), &post(lines, body), Sent::post(body))
    };
    vec![
        sent("spaces around", "Content-Length: \t 3 \t \r\n", "abc"),
        sent("none before it", "Content-Length:3\r\n", "abc"),
        sent("zero", "Content-Length: 0\r\n", ""),
        sent("a body like a request", "Content-Length: 38\r\n", "GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n"),
        sent("a body like a chunk", "Content-Length: 5\r\n", "0\r\n\r\n"),
        Case::new("length: more than comes", &post("Content-Length: 9999\r\n", "abc"), Must::Waits),
        Case::new("length: 2^32 + 3", &post("Content-Length: 4294967299\r\n", "abc"), Must::Waits),
        Case::new("length: 2^63 - 1", &post("Content-Length: 9223372036854775807\r\n", "abc"), Must::Waits),
    ]
}

/// Names that only look like Content-Length: none may count, none may pass as one.
fn hidden() -> Vec<Case> {
    let refused = [
        "Content-Length :",
        "Content-Length\t:",
        " Content-Length:",
        "\tContent-Length:",
        "Content Length:",
        "Content-Length\0:",
        "\0Content-Length:",
        "Content-Length\x0b:",
        "Content-Length\u{a0}:",
        "Content\u{ad}Length:",
        "\"Content-Length\":",
        "Content-Length=",
        "Content-Length;",
        "Content-Length",
        "[Content-Length]:",
        "Content-Length\r:",
        "Content-Length\x1f:",
        "(Content-Length):",
    ];
    let mut cases: Vec<Case> = refused
        .iter()
        .map(|name| {
            Case::refused(format!("hidden length: {}", shown(name)), &post(&format!("X-A: b\r\n{name} 37\r\n"), ""))
        })
        .collect();
    for name in ["Content_Length", "content_length", "CONTENT_LENGTH"] {
        cases.push(Case::sent(format!("hidden length: {name}"), &post(&format!("{name}: 37\r\n"), ""), Sent::post("")));
        let both = format!("{name}: 37\r\nContent-Length: 3\r\n");
        cases.push(Case::sent(format!("hidden length: {name} and a real one"), &post(&both, "abc"), Sent::post("abc")));
    }
    for name in [
        "X-Content-Length",
        "Content-Lengths",
        "Content-Lengt",
        "Content-Length-",
        "Content-Length.",
        "Content+Length",
        "Content~Length",
    ] {
        let sent = Sent::post("").with(&name.to_lowercase(), "37");
        cases.push(Case::sent(format!("hidden length: {name}"), &post(&format!("{name}: 37\r\n"), ""), sent));
    }
    cases
}
