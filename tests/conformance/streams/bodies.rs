//! DATA and trailers (RFC 9113 §8.1): as long as announced, and nothing in trailers that frames, routes or speaks for the connection.

use super::{Case, GET, Must, POST, with};
use crate::case::{Sent, shown};

fn post(name: &str, fields: &[(&str, &str)], data: &[&str], must: Must) -> Case {
    Case::new(format!("body: {name}"), &with(&POST, &with(&[("x", "§")], fields)), must).data(data)
}

fn left(body: &str) -> Must {
    Must::Forwarded(Sent::post(body).with("x", "§"))
}

/// All of them.
pub fn cases() -> Vec<Case> {
    let request = "GET /smuggled-§ HTTP/1.1\r\nHost: www.test\r\n\r\n";
    let mut cases = vec![
        post("none", &[], &[""], left("")),
        post("one frame", &[], &["abc"], left("abc")),
        post("three frames", &[], &["a", "b", "c"], left("abc")),
        post("empty frames between", &[], &["a", "", "bc", ""], left("abc")),
        post("its length", &[("content-length", "3")], &["abc"], left("abc")),
        post("its length in frames", &[("content-length", "3")], &["a", "bc"], left("abc")),
        post("its length and an empty frame behind", &[("content-length", "3")], &["abc", ""], left("abc")),
        post("length zero", &[("content-length", "0")], &[""], left("")),
        post("like a request", &[], &[request], left(request)),
        post("like chunks", &[], &["0\r\n\r\n", request], left(&format!("0\r\n\r\n{request}"))),
        post("bytes of all kinds", &[], &["\0\r\n\u{ff}\u{80}"], left("\0\r\n\u{ff}\u{80}")),
    ];
    for (length, data) in [
        ("1", &["abc"][..]),
        ("0", &["abc"]),
        ("0", &[request]),
        ("2", &["a", "bc"]),
        ("3", &["abc", "d"]),
        ("4", &["abc", request]),
        ("4", &["abc"]),
        ("99", &["abc"]),
        ("3", &["ab"]),
        ("3", &[""]),
        ("1", &["", "", "ab"]),
        ("9223372036854775807", &["abc"]),
        ("100000000000000000", &["abc"]),
    ] {
        cases.push(post(
            &format!("length {length} with {}", shown(&data.join("|").replace('§', "x"))),
            &[("content-length", length)],
            data,
            Must::Broken,
        ));
    }
    for length in ["1", "3", "99"] {
        let fields = with(&GET, &[("x", "§"), ("content-length", length)]);
        cases.push(Case::new(format!("body: none, but length {length}"), &fields, Must::Broken));
    }
    let fields = with(&GET, &[("x", "§"), ("content-length", "0")]);
    cases.push(Case::sent("body: none, and length 0", &fields, Sent::get().with("x", "§")));
    cases.extend(trailers());
    cases
}

fn trailers() -> Vec<Case> {
    let mut cases = Vec::new();
    let with_trailers = |name: String, fields: &[(&str, &str)], must: Must| {
        Case::new(format!("trailers: {name}"), &with(&POST, &[("x", "§")]), must).data(&["abc"]).trailers(fields)
    };
    for fields in [&[("x-sum", "1")][..], &[("x-a", "1"), ("x-b", "2")], &[("grpc-status", "0"), ("grpc-message", "")]]
    {
        cases.push(with_trailers(format!("good {fields:?}"), fields, left("abc")));
    }
    for name in [":path", ":method", ":authority", ":scheme", ":status", ":foo"] {
        cases.push(with_trailers(format!("pseudo {name}"), &[(name, "/smuggled-§")], Must::Broken));
        cases.push(with_trailers(
            format!("pseudo {name} behind another"),
            &[("x-sum", "1"), (name, "/smuggled-§")],
            Must::Broken,
        ));
    }
    for name in ["X-Sum", "x sum", "x\r\ny", "x:y", "", "x\0", "x\u{e9}"] {
        cases.push(with_trailers(format!("name {}", shown(name)), &[(name, "1")], Must::Broken));
    }
    for value in [
        "a\r\nb",
        "a\nb",
        "a\rb",
        "a\0b",
        "a\x01b",
        "a\x7fb",
        "\r\n\r\nGET /smuggled-§ HTTP/1.1\r\nHost: www.test\r\n\r\n",
    ] {
        cases.push(with_trailers(format!("value {}", shown(value)), &[("x-sum", value)], Must::Broken));
    }
    for (name, value) in [
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("keep-alive", "5"),
        ("proxy-connection", "close"),
        ("te", "gzip"),
    ] {
        cases.push(with_trailers(format!("connection-specific {name}"), &[(name, value)], Must::Broken));
    }
    for name in [
        "content-length",
        "host",
        "authorization",
        "cookie",
        "content-type",
        "x-forwarded-for",
        "trailer",
        "content-encoding",
        "forwarded",
        "expect",
    ] {
        // Dropped; the recorder sees to it that none leaves.
        cases.push(with_trailers(format!("forbidden {name}"), &[(name, "37")], left("abc")));
    }
    cases
}
