//! Chunked bodies (RFC 9112 §7.1): what is wrong behind a good head must stop the request, wherever it stands.

use crate::case::{Case, Must, Sent, post, shown};

/// Chunk sizes of "abc" that are none.
pub const SIZES: [&str; 40] = [
    "",
    " ",
    "0x3",
    "0X3",
    "x3",
    "3x",
    "+3",
    "-3",
    "3h",
    "g",
    "3g",
    "3.0",
    "3,3",
    "3 3",
    "3\t3",
    "3_",
    "_3",
    "\"3\"",
    "'3'",
    "{3}",
    "3/",
    "\\3",
    "%33",
    " 3",
    "\t3",
    "3\x0b",
    "\x0b3",
    "\x0c3",
    "\x003",
    "3\x00",
    "3\x1f",
    "3\x7f",
    "\u{b3}",
    "3\u{a0}",
    "00000000000000003",
    "10000000000000003",
    "100000000000000003",
    "fffffffffffffffff",
    "3#",
    "3=",
];

/// Chunk extensions that are none, behind "3".
pub const EXTENSIONS: [&str; 9] =
    [";\0", ";a\0", ";a=\x01", ";a\x7f", ";a\n", ";a\r", ";a=\"b\nc\"", ";\n", ";a=\"\r\""];

/// What must not stand behind the data of a chunk instead of CR LF.
pub const ENDS: [&str; 12] =
    ["", "\n", "\r", "\n\r", "X\r\n", "XX", "\r\r\n", "\r\n\r\n", "\r\nX", " \r\n", "\0\0", "\r\0"];

/// Fields that must not come as trailers (RFC 9110 §6.5.1).
const TRAILERS: [&str; 28] = [
    "Content-Length",
    "content-length",
    "Transfer-Encoding",
    "TRANSFER-ENCODING",
    "Host",
    "Trailer",
    "Connection",
    "TE",
    "Upgrade",
    "Keep-Alive",
    "Proxy-Connection",
    "Authorization",
    "Proxy-Authorization",
    "Cookie",
    "Set-Cookie",
    "Content-Encoding",
    "Content-Type",
    "Content-Range",
    "Cache-Control",
    "Expect",
    "Max-Forwards",
    "Range",
    "If-Match",
    "If-None-Match",
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "Via",
];

/// Trailer sections that are none.
pub const BAD_TRAILERS: [&str; 16] = [
    " X: y\r\n\r\n",
    "\tX: y\r\n\r\n",
    "X: y\r\n z\r\n\r\n",
    "X : y\r\n\r\n",
    "X\t: y\r\n\r\n",
    ": y\r\n\r\n",
    "X\r\n\r\n",
    "X y: z\r\n\r\n",
    "X: y\0\r\n\r\n",
    "X\0: y\r\n\r\n",
    "X: y\n\r\n",
    "X: y\r\n\n",
    "X: y\r\r\n\r\n",
    "X: a\rb\r\n\r\n",
    "X: \x7f\r\n\r\n",
    "GET /smuggled-§ HTTP/1.1\r\n\r\n",
];

fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", body)
}

fn broken(name: String, body: &str) -> Case {
    Case::new(name, &chunked(body), Must::Broken)
}

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for size in SIZES {
        cases.push(broken(format!("chunk size: first {}", shown(size)), &format!("{size}\r\nabc\r\n0\r\n\r\n")));
        cases.push(broken(
            format!("chunk size: second {}", shown(size)),
            &format!("2\r\nxy\r\n{size}\r\nabc\r\n0\r\n\r\n"),
        ));
    }
    for size in ["3\n", "3\r", "3\r\r\n", "3 \n", "3;a\n"] {
        cases.push(broken(format!("chunk line: {}", shown(size)), &format!("{size}abc\r\n0\r\n\r\n")));
    }
    for size in ["3 ", "3\t", "3 \t ", "3 ;a=b", "3 ; a=b"] {
        // RFC 9112 §7.1.1 lets recipients bear white space before an extension; servers read it differently, so we do not.
        cases.push(broken(format!("chunk line: white space {}", shown(size)), &format!("{size}\r\nabc\r\n0\r\n\r\n")));
    }
    for extension in EXTENSIONS {
        cases.push(broken(
            format!("chunk extension: {}", shown(extension)),
            &format!("3{extension}\r\nabc\r\n0\r\n\r\n"),
        ));
    }
    cases.push(broken("chunk extension: 300 bytes".into(), &format!("3;{}\r\nabc\r\n0\r\n\r\n", "a".repeat(300))));
    let endless = format!("1;{}\r\na\r\n", "b".repeat(200)).repeat(60);
    cases.push(broken("chunk extension: 12 KiB in all".into(), &format!("{endless}0\r\n\r\n")));
    for end in ENDS {
        cases.push(broken(format!("chunk end: {}", shown(end)), &format!("3\r\nabc{end}0\r\n\r\n")));
        cases.push(broken(format!("chunk end: second {}", shown(end)), &format!("1\r\nz\r\n3\r\nabc{end}0\r\n\r\n")));
    }
    for last in [
        "0\n\r\n",
        "0\r\n\n",
        "0\n\n",
        "0\r\r\n\r\n",
        "0\r\nX",
        "0 \r\n\r\n",
        "-0\r\n\r\n",
        "+0\r\n\r\n",
        "0x0\r\n\r\n",
        "0\0\r\n\r\n",
        "\r\n\r\n",
        "0;\n\r\n",
    ] {
        cases.push(broken(format!("last chunk: {}", shown(last)), &format!("3\r\nabc\r\n{last}")));
        cases.push(broken(format!("last chunk: alone {}", shown(last)), last));
    }
    for name in TRAILERS {
        cases.push(broken(format!("trailer: {name}"), &format!("3\r\nabc\r\n0\r\n{name}: 37\r\n\r\n")));
        cases.push(broken(format!("trailer: second {name}"), &format!("0\r\nX-Checksum: a\r\n{name}: 37\r\n\r\n")));
    }
    for section in BAD_TRAILERS {
        cases.push(broken(format!("trailer: bad {}", shown(section)), &format!("3\r\nabc\r\n0\r\n{section}")));
    }
    cases.push(broken("trailer: 20 KiB".into(), &format!("0\r\nX: {}\r\n\r\n", "a".repeat(20 * 1024))));
    cases.extend(waiting());
    cases.extend(good());
    cases
}

/// Not complete.
fn waiting() -> Vec<Case> {
    let bodies = [
        "",
        "3",
        "3\r",
        "3\r\n",
        "3\r\nab",
        "3\r\nabc",
        "3\r\nabc\r\n",
        "ffff\r\nabc\r\n0\r\n\r\n",
        "fffffffffffffff\r\nabc",
    ];
    // The request behind becomes part of it, or makes it wrong: in both cases nothing may come of either.
    bodies.iter().map(|body| Case::new(format!("chunks: cut {}", shown(body)), &chunked(body), Must::Waits)).collect()
}

/// Bodies that are right.
fn good() -> Vec<Case> {
    let bodies: [(&str, &str); 20] = [
        ("0\r\n\r\n", ""),
        ("3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "abc"),
        ("03\r\nabc\r\n0\r\n\r\n", "abc"),
        ("0000000000000003\r\nabc\r\n0000000000000000\r\n\r\n", "abc"),
        ("00\r\n\r\n", ""),
        ("a\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("0a\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("1F\r\n0123456789012345678901234567890\r\n0\r\n\r\n", "0123456789012345678901234567890"),
        ("5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n"),
        ("4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"),
        ("3;a\r\nabc\r\n0\r\n\r\n", "abc"),
        ("3;a=b\r\nabc\r\n0\r\n\r\n", "abc"),
        ("3;a=\"b c\"\r\nabc\r\n0\r\n\r\n", "abc"),
        ("3;a=b;c=d\r\nabc\r\n0;e\r\n\r\n", "abc"),
        ("3\r\nabc\r\n0\r\nX-Checksum: abc\r\n\r\n", "abc"),
        ("0\r\nX-A: b\r\nX-C: d\r\n\r\n", ""),
        ("3\r\n\0\u{ff}\u{80}\r\n0\r\n\r\n", "\0\u{ff}\u{80}"),
        (
            "26\r\nGET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n\r\n0\r\n\r\n",
            "GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n",
        ),
    ];
    let good = |(body, left): &(&str, &str)| {
        Case::sent(format!("chunks: good {}", shown(body)), &chunked(body), Sent::post(left))
    };
    bodies.iter().map(good).collect()
}
