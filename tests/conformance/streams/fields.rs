//! Field lines (RFC 9113 §8.2): small letters, no byte that a line cannot hold, nothing that belongs to a connection.

use super::{Case, GET, POST, with};
use crate::case::{Sent, shown};
use crate::requests::{encodings, lengths};

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = bytes();
    cases.extend(injections());
    cases.extend(connection());
    cases.extend(lengths_that_are_none());
    cases.extend(others());
    cases
}

fn get(name: impl Into<String>, field: (&str, &str)) -> Case {
    Case::refused(name, &with(&GET, &[("x", "§"), field]))
}

/// Every byte that names and values must not have.
fn bytes() -> Vec<Case> {
    let mut cases = Vec::new();
    let bad_in_names =
        (0..=32_u8).chain(127..=131).chain([0xa0, 0xff]).chain(b'A'..=b'Z').chain(*b"\"(),/:;<=>?@[\\]{}");
    for byte in bad_in_names.map(char::from) {
        for name in [format!("x{byte}y"), format!("{byte}xy"), format!("xy{byte}")] {
            cases.push(get(format!("name: {}", shown(&name)), (&name, "z")));
        }
    }
    cases.push(get("name: empty", ("", "z")));
    for byte in (0..32_u8).filter(|byte| *byte != b'\t').chain([127]).map(char::from) {
        for value in [format!("a{byte}b"), format!("{byte}a"), format!("a{byte}")] {
            cases.push(get(format!("value: {}", shown(&value)), ("y", &value)));
        }
    }
    for value in [" a", "a ", "\ta", "a\t", " ", "\t", "  a  "] {
        cases.push(get(format!("value: white space around {}", shown(value)), ("y", value)));
    }
    for value in ["", "a\tb", "a b", "caf\u{e9}", "\u{80}\u{ff}", "a,b;c=\"d\"", "a:b"] {
        let sent = Sent::get().with("x", "§").with("y", value);
        cases.push(Case::sent(format!("value: good {}", shown(value)), &with(&GET, &[("x", "§"), ("y", value)]), sent));
    }
    for letter in "!#$%&'*+-.^`|~09az".chars() {
        let name = format!("y{letter}z");
        let sent = Sent::get().with("x", "§").with(&name, "a");
        cases.push(Case::sent(format!("name: good {name}"), &with(&GET, &[("x", "§"), (&name, "a")]), sent));
    }
    cases
}

/// Whole lines and requests inside a field.
fn injections() -> Vec<Case> {
    let mut cases = Vec::new();
    let smuggled = "\r\n\r\nGET /smuggled-§ HTTP/1.1\r\nHost: www.test\r\n\r\n";
    for inside in [
        "\r\nTransfer-Encoding: chunked",
        "\nTransfer-Encoding: chunked",
        "\rTransfer-Encoding: chunked",
        "\r\nContent-Length: 0",
        "\r\n",
        "\r\n ",
        smuggled,
        "\0\r\nx: y",
        "\r\n\r\n",
    ] {
        for name in ["y", "cookie", "user-agent", "authorization", "content-type", "referer", "x-forwarded-for", "te"] {
            let value = format!("a{inside}");
            cases.push(get(format!("injection: into {name} {}", shown(inside)), (name, &value)));
        }
        let name = format!("y: a{inside}\r\nz");
        cases.push(get(format!("injection: into a name {}", shown(inside)), (&name, "b")));
    }
    cases
}

/// Connection-specific fields (RFC 9113 §8.2.2).
fn connection() -> Vec<Case> {
    let mut cases = Vec::new();
    for value in ["close", "keep-alive", "upgrade", "x", "content-length", "host", "transfer-encoding", "", ","] {
        cases.push(get(format!("connection: {value:?}"), ("connection", value)));
    }
    for (name, value) in [
        ("keep-alive", "timeout=5"),
        ("keep-alive", ""),
        ("proxy-connection", "close"),
        ("proxy-connection", ""),
        ("upgrade", "websocket"),
        ("upgrade", "h2c"),
        ("upgrade", ""),
        ("Connection", "close"),
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", "h2c"),
        ("transfer-encoding ", "chunked"),
        (" transfer-encoding", "chunked"),
        ("transfer-encoding:", "chunked"),
        ("content-length ", "3"),
    ] {
        cases.push(get(format!("connection: {name} {value:?}"), (name, value)));
    }
    for value in encodings::NONE.iter().chain(&["chunked", "Chunked", " chunked"]) {
        let fields = with(&POST, &[("x", "§"), ("transfer-encoding", value)]);
        let body = "0\r\n\r\nGET /smuggled-§ HTTP/1.1\r\nHost: www.test\r\n\r\n";
        cases.push(Case::refused(format!("transfer-encoding: {}", shown(value)), &fields).data(&[body]));
    }
    for value in ["gzip", "trailers, gzip", "gzip, trailers", "trailers;q=1", "chunked", "", "x", "trailers,trailers"] {
        cases.push(get(format!("te: {value:?}"), ("te", value)));
    }
    cases.push(Case::sent("te: good", &with(&GET, &[("x", "§"), ("te", "trailers")]), Sent::get().with("x", "§")));
    for name in ["http2-settings", "proxy-authorization"] {
        cases.push(Case::sent(
            format!("taken off: {name}"),
            &with(&GET, &[("x", "§"), (name, "abc")]),
            Sent::get().with("x", "§"),
        ));
    }
    cases
}

fn lengths_that_are_none() -> Vec<Case> {
    let mut cases = Vec::new();
    for value in lengths::NONE
        .iter()
        .chain(&lengths::OCTAL)
        .chain(&lengths::HUGE)
        .chain(&lengths::LISTS)
        .chain(&["", " ", "3 ", " 3"])
    {
        let fields = with(&POST, &[("x", "§"), ("content-length", value)]);
        cases.push(Case::refused(format!("length: {}", shown(value)), &fields).data(&["abc"]));
    }
    for (one, other) in lengths::PAIRS {
        let fields = with(&POST, &[("content-length", one), ("x", "§"), ("content-length", other)]);
        cases.push(Case::refused(format!("two lengths: {one:?} {other:?}"), &fields).data(&["abc"]));
    }
    cases
}

/// What HTTP/1 has rules for too.
fn others() -> Vec<Case> {
    let mut cases = Vec::new();
    for value in ["", "miracles", "100-continue, x", "100", "100-continue;q=1"] {
        let fields = with(&POST, &[("x", "§"), ("expect", value)]);
        cases.push(Case::refused(format!("expect: {value:?}"), &fields).data(&["abc"]));
    }
    let fields = with(&POST, &[("x", "§"), ("expect", "100-continue"), ("content-length", "3")]);
    cases.push(Case::sent("expect: good", &fields, Sent::post("abc").with("x", "§")).data(&["abc"]));
    for name in [
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "forwarded",
        "x-real-ip",
        "x-original-url",
        "x-rewrite-url",
        "true-client-ip",
    ] {
        let fields = with(&GET, &[("x", "§"), (name, "6.6.6.6"), (name, "7.7.7.7")]);
        cases.push(Case::sent(format!("claim: {name}"), &fields, Sent::get().with("x", "§")));
    }
    for name in ["transfer_encoding", "content_length", "x_forwarded_for", "_", "host_"] {
        let fields = with(&GET, &[("x", "§"), (name, "chunked")]);
        cases.push(Case::sent(format!("underscore: {name}"), &fields, Sent::get().with("x", "§")));
    }
    for (crumbs, joined) in [
        (&["a=b"][..], "a=b"),
        (&["a=b", "c=d"], "a=b; c=d"),
        (&["a=b; c=d", "e=f", "g=\"h\""], "a=b; c=d; e=f; g=\"h\""),
        (&["", "a=b"], "; a=b"),
    ] {
        let mut fields = with(&GET, &[("x", "§")]);
        crumbs.iter().for_each(|crumb| fields.push(("cookie", crumb)));
        cases.push(Case::sent(
            format!("cookie: {crumbs:?}"),
            &fields,
            Sent::get().with("x", "§").with("cookie", joined),
        ));
    }
    let many: Vec<String> = (0..101).map(|number| format!("y{number}")).collect();
    let mut fields = with(&GET, &[("x", "§")]);
    many.iter().for_each(|name| fields.push((name, "a")));
    cases.push(Case::refused("size: 102 fields", &fields));
    cases
}
