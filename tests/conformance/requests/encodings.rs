//! Transfer-Encoding (RFC 9112 §6.1): exactly one `chunked`, never beside a length, never in HTTP/1.0.

use crate::case::{Case, Sent, post, shown};

const BODY: &str = "3\r\nabc\r\n0\r\n\r\n";

/// Values that are not exactly one `chunked`.
pub const NONE: [&str; 66] = [
    "",
    " ",
    "\t",
    ",",
    ", ,",
    ",chunked",
    "chunked,",
    "chunked ,",
    "chunked, chunked",
    "chunked,chunked",
    "chunked, identity",
    "identity, chunked",
    "identity",
    "Identity",
    "gzip",
    "gzip, chunked",
    "chunked, gzip",
    "deflate",
    "deflate, chunked",
    "compress",
    "compress, chunked",
    "br, chunked",
    "x-gzip, chunked",
    "xchunked",
    "x-chunked",
    "chunkedx",
    "chunked-",
    "-chunked",
    "chunk",
    "chunke",
    "chun ked",
    "chunked chunked",
    "chunked\tchunked",
    "chunked;q=1",
    "chunked; q=1",
    "chunked ;q=1",
    "chunked;",
    "chunked;a=b",
    "chunked;q=0.5",
    "\"chunked\"",
    "'chunked'",
    "(chunked)",
    "[chunked]",
    "<chunked>",
    "{chunked}",
    "chunked/1.0",
    "chunked:",
    ":chunked",
    "=chunked",
    "chunked=1",
    "trailers",
    "cow",
    "0",
    "%63hunked",
    "chunked%00",
    "chunked\\",
    "\\chunked",
    "chunked\x0b",
    "\x0bchunked",
    "\x0cchunked",
    "chunked\x0c",
    "\u{a0}chunked",
    "chunked\u{a0}",
    "chunked\u{85}",
    "chunked\u{ff}",
    "\u{e7}hunked",
];

const NAMES: [&str; 3] = ["Transfer-Encoding", "transfer-encoding", "TRANSFER-ENCODING"];

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for value in NONE {
        for name in NAMES {
            let lines = format!("{name}: {value}\r\n");
            cases.push(Case::refused(format!("encoding: {name} {}", shown(value)), &post(&lines, BODY)));
        }
        let lines = format!("Transfer-Encoding: {value}\r\nContent-Length: 13\r\n");
        cases.push(Case::refused(format!("encoding: {} beside a length", shown(value)), &post(&lines, BODY)));
        let lines = format!("Transfer-Encoding: chunked\r\nTransfer-Encoding: {value}\r\n");
        cases.push(Case::refused(format!("two encodings: chunked, then {}", shown(value)), &post(&lines, BODY)));
        let lines = format!("Transfer-Encoding: {value}\r\nTransfer-Encoding: chunked\r\n");
        cases.push(Case::refused(format!("two encodings: {}, then chunked", shown(value)), &post(&lines, BODY)));
    }
    cases.push(Case::refused("two encodings: both chunked", &post(&"Transfer-Encoding: chunked\r\n".repeat(2), BODY)));
    cases.extend(both());
    cases.extend(old());
    cases.extend(hidden());
    cases.extend(good());
    cases
}

/// Both announcements at once, the classic.
fn both() -> Vec<Case> {
    let mut cases = Vec::new();
    for length in ["0", "3", "4", "6", "13", "37", "9999"] {
        for coding in ["chunked", "Chunked", " chunked ", "\tchunked"] {
            let (one, other) = (format!("Content-Length: {length}\r\n"), format!("Transfer-Encoding:{coding}\r\n"));
            for lines in [format!("{one}{other}"), format!("{other}{one}"), format!("{other}X-A: b\r\n{one}")] {
                cases.push(Case::refused(format!("both: {}", shown(&lines)), &post(&lines, BODY)));
            }
        }
    }
    for method in ["GET", "HEAD", "DELETE", "PUT", "OPTIONS"] {
        let text = format!(
            "{method} /§ HTTP/1.1\r\nHost: www.test\r\nContent-Length: 13\r\nTransfer-Encoding: chunked\r\n\r\n{BODY}"
        );
        cases.push(Case::refused(format!("both: {method}"), &text));
    }
    cases
}

/// HTTP/1.0 knows no transfer codings.
fn old() -> Vec<Case> {
    let mut cases = Vec::new();
    for coding in ["chunked", "Chunked", "identity", "gzip, chunked", ""] {
        for keep in ["", "Connection: keep-alive\r\n"] {
            for method in ["POST", "GET"] {
                let text = format!(
                    "{method} /§ HTTP/1.0\r\nHost: www.test\r\n{keep}Transfer-Encoding: {coding}\r\n\r\n{BODY}"
                );
                cases.push(Case::refused(format!("HTTP/1.0 encoding: {method} {coding:?} {keep:?}"), &text));
            }
        }
    }
    cases
}

/// Names that only look like Transfer-Encoding.
fn hidden() -> Vec<Case> {
    let refused = [
        "Transfer-Encoding :",
        "Transfer-Encoding\t:",
        " Transfer-Encoding:",
        "\tTransfer-Encoding:",
        "Transfer Encoding:",
        "Transfer-Encoding\0:",
        "\0Transfer-Encoding:",
        "Transfer-Encoding\x0b:",
        "Transfer-Encoding\u{a0}:",
        "Transfer\u{ad}Encoding:",
        "\"Transfer-Encoding\":",
        "Transfer-Encoding=",
        "Transfer-Encoding;",
        "Transfer-Encoding",
        "Transfer-Encoding\r:",
        "(Transfer-Encoding):",
        "Transfer-\r\n Encoding:",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding\r\n:",
        "X-A: b\rTransfer-Encoding:",
        "X-A: b\nTransfer-Encoding:",
        "X-A: b\0Transfer-Encoding:",
        "Transfer-Encoding \t:",
        "Transfer-Encod\u{ed}ng:",
    ];
    let mut cases: Vec<Case> = Vec::new();
    for name in refused {
        let alone = format!("X-A: b\r\n{name} chunked\r\n");
        cases.push(Case::refused(format!("hidden encoding: {}", shown(name)), &post(&alone, BODY)));
        let beside = format!("X-A: b\r\n{name} chunked\r\nContent-Length: 13\r\n");
        cases.push(Case::refused(format!("hidden encoding: {} beside a length", shown(name)), &post(&beside, BODY)));
    }
    for name in ["Transfer_Encoding", "transfer_encoding", "TRANSFER_ENCODING"] {
        let lines = format!("{name}: chunked\r\nContent-Length: 13\r\n");
        cases.push(Case::sent(format!("hidden encoding: {name}"), &post(&lines, BODY), Sent::post(BODY)));
    }
    for name in [
        "X-Transfer-Encoding",
        "Transfer-Encodings",
        "Transfer-Encodin",
        "Transfer+Encoding",
        "Transfer.Encoding",
        "Transfer~Encoding",
    ] {
        let lines = format!("{name}: chunked\r\nContent-Length: 13\r\n");
        let sent = Sent::post(BODY).with(&name.to_lowercase(), "chunked");
        cases.push(Case::sent(format!("hidden encoding: {name}"), &post(&lines, BODY), sent));
    }
    cases
}

/// `chunked` in every case, with white space around it.
fn good() -> Vec<Case> {
    let values = ["chunked", "Chunked", "CHUNKED", "cHuNkEd", "chunked ", "chunked\t", " \t chunked \t "];
    let good = |value: &&str| {
        let lines = format!("Transfer-Encoding: {value}\r\n");
        Case::sent(format!("encoding: good {}", shown(value)), &post(&lines, BODY), Sent::post("abc"))
    };
    values.iter().map(good).collect()
}
