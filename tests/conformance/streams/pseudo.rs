//! Pseudo-header fields (RFC 9113 §8.3): each once, before all others, and nothing in them that a request line or Host could not hold.

use super::{Case, GET, POST, changed, with};
use crate::case::{Sent, shown};
use crate::requests::{hosts, targets};

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases = shape();
    cases.extend(methods());
    cases.extend(schemes());
    cases.extend(authorities());
    cases.extend(paths());
    cases.extend(connects());
    cases
}

/// Which fields, how often, and where.
fn shape() -> Vec<Case> {
    let mut cases = Vec::new();
    for (at, (name, value)) in GET.iter().enumerate() {
        let without: Vec<(&str, &str)> =
            GET.iter().enumerate().filter(|(own, _)| *own != at).map(|(_, field)| *field).collect();
        cases.push(Case::refused(format!("pseudo: without {name}"), &with(&without, &[("x", "§")])));
        cases.push(Case::refused(format!("pseudo: {name} empty"), &changed(name, "")));
        cases.push(Case::refused(format!("pseudo: {name} twice"), &with(&GET, &[(name, value), ("x", "§")])));
        cases.push(Case::refused(
            format!("pseudo: {name} twice and different"),
            &with(&GET, &[(name, "/other"), ("x", "§")]),
        ));
        let late = with(&without, &[("x", "§"), (name, value)]);
        cases.push(Case::refused(format!("pseudo: {name} behind a regular field"), &late));
        let again = with(&GET, &[("x", "§"), (name, value)]);
        cases.push(Case::refused(format!("pseudo: {name} again behind a regular field"), &again));
        let upper = name.to_uppercase();
        let capitals: Vec<(&str, &str)> =
            GET.iter().map(|(own, value)| (if own == name { upper.as_str() } else { *own }, *value)).collect();
        cases.push(Case::refused(format!("pseudo: {name} in capitals"), &with(&capitals, &[("x", "§")])));
    }
    for name in [
        ":status",
        ":foo",
        ":host",
        ":protocol",
        ":",
        "::path",
        ":path:",
        ":path ",
        " :path",
        ":Path",
        ":x-forwarded-for",
        ":content-length",
        ":transfer-encoding",
        ":method\0",
    ] {
        for value in ["200", "/other", ""] {
            cases.push(Case::refused(
                format!("pseudo: unknown {} {value:?}", shown(name)),
                &with(&GET, &[(name, value), ("x", "§")]),
            ));
        }
    }
    cases.push(Case::refused("pseudo: none at all", &[("x", "§")]));
    cases.push(Case::refused("pseudo: only host", &[("host", "www.test"), ("x", "§")]));
    cases.push(Case::refused("pseudo: an empty block", &[]));
    cases
}

fn methods() -> Vec<Case> {
    let mut cases = Vec::new();
    for method in [
        "GET ",
        " GET",
        "GET /smuggled-§",
        "GET /smuggled-§ HTTP/1.1\r\nHost: www.test\r\n\r\nGET",
        "GET\r\n",
        "GET\n",
        "\rGET",
        "G\0ET",
        "G\x01T",
        "G\x7fT",
        "GET\t",
        "G(T",
        "G/T",
        "G:T",
        "G;T",
        "G,T",
        "\"GET\"",
        "G@T",
        "G{T",
        "G\u{e9}T",
        "G\u{80}T",
    ] {
        cases.push(Case::refused(format!("method: {}", shown(method)), &changed(":method", method)));
    }
    let long = "M".repeat(33);
    cases.push(Case::refused("method: 33 bytes", &changed(":method", &long)));
    for method in ["get", "PURGE", "M-SEARCH", "!#$%&'*+-.^_`|~"] {
        cases.push(Case::sent(
            format!("method: any token {method}"),
            &changed(":method", method),
            Sent::get().method(method).with("x", "§"),
        ));
    }
    cases
}

fn schemes() -> Vec<Case> {
    let mut cases = Vec::new();
    for scheme in [
        "ftp",
        "ws",
        "wss",
        "file",
        "javascript",
        "https:",
        "https://",
        "https://other.test/?",
        " https",
        "https ",
        "h\0ttps",
        "https\r\n",
        "https\r\nx: y",
        "ht tps",
        "1https",
        "h\u{e9}",
    ] {
        cases.push(Case::refused(format!("scheme: {}", shown(scheme)), &changed(":scheme", scheme)));
    }
    for scheme in ["https", "http"] {
        cases.push(Case::sent(
            format!("scheme: good {scheme}"),
            &changed(":scheme", scheme),
            Sent::get().with("x", "§"),
        ));
    }
    cases
}

fn authorities() -> Vec<Case> {
    let mut cases = Vec::new();
    for host in hosts::NONE {
        cases.push(Case::refused(format!("authority: {}", shown(host)), &changed(":authority", host)));
        let beside = with(&GET, &[("host", host), ("x", "§")]);
        cases.push(Case::refused(format!("host beside authority: {}", shown(host)), &beside));
        let instead = with(&[GET[0], GET[1], GET[3]], &[("host", host), ("x", "§")]);
        cases.push(Case::refused(format!("host instead of authority: {}", shown(host)), &instead));
    }
    for injection in [
        "www.test\r\nx: y",
        "www.test\r\n\r\nGET /smuggled-§ HTTP/1.1\r\nHost: www.test",
        "www.test\n",
        "www.test\0",
        "www.test\r",
        "www.test\x7f",
        "www.test\x0b",
    ] {
        cases.push(Case::refused(format!("authority: {}", shown(injection)), &changed(":authority", injection)));
        cases.push(Case::refused(
            format!("host beside authority: {}", shown(injection)),
            &with(&GET, &[("host", injection), ("x", "§")]),
        ));
    }
    for host in ["other.test", "www.test:444", "www.test:80", "www.test.evil", "ww.test", "[::1]", "127.0.0.1"] {
        cases.push(Case::refused(
            format!("two readings of the host: {host}"),
            &with(&GET, &[("host", host), ("x", "§")]),
        ));
        let other = changed(":authority", host);
        let both = with(&other, &[("host", "www.test")]);
        cases.push(Case::refused(format!("two readings of the host: authority {host}"), &both));
    }
    for other in ["other.test", "www.test.evil", "127.0.0.1"] {
        cases.push(Case::refused(format!("authority: of another connection {other}"), &changed(":authority", other)));
    }
    for second in ["www.test", "other.test", ""] {
        let twice = with(&GET, &[("host", "www.test"), ("host", second), ("x", "§")]);
        cases.push(Case::refused(format!("two hosts: {second:?}"), &twice));
    }
    for (authority, host, left) in [
        ("www.test", Some("www.test"), "www.test"),
        ("www.test", Some("WWW.TEST"), "www.test"),
        ("www.test", Some("www.test:443"), "www.test"),
        ("www.test:443", None, "www.test:443"),
        ("www.test:443", Some("www.test"), "www.test:443"),
        ("www.test:8443", Some("www.test:8443"), "www.test:8443"),
        ("WWW.Test", None, "WWW.Test"),
        ("www.test.", None, "www.test."),
    ] {
        let fields = changed(":authority", authority);
        let fields = host.map_or_else(|| fields.clone(), |host| with(&fields, &[("host", host)]));
        cases.push(Case::sent(
            format!("authority: good {authority} {host:?}"),
            &fields,
            Sent::get().host(left).with("x", "§"),
        ));
    }
    let instead = with(&[GET[0], GET[1], GET[3]], &[("host", "www.test"), ("x", "§")]);
    cases.push(Case::sent("authority: good, in host instead", &instead, Sent::get().with("x", "§")));
    cases
}

fn paths() -> Vec<Case> {
    let mut cases = Vec::new();
    for target in targets::NONE.iter().filter(|target| !matches!(**target, "/§#" | "/§#x" | "/§?a#b" | "//")) {
        cases.push(Case::refused(format!("path: {}", shown(target)), &changed(":path", target)));
    }
    for path in targets::NEVER {
        cases.push(Case::refused(format!("path: never {}", shown(path)), &changed(":path", path)));
    }
    for path in [
        "/§ HTTP/1.1",
        "/§ ",
        " /§",
        "/§ x",
        "/§\t",
        "/§\r\n",
        "/§\n",
        "/§\r",
        "/§\0",
        "/§\x01",
        "/§\x0b",
        "/§\x1f",
        "/§\x7f",
        "/§\u{e9}",
        "/§\u{80}",
        "/§\u{ff}",
        "/§?a b",
        "/§?a\r\nb",
        "/§ HTTP/1.1\r\nHost: www.test\r\n\r\nGET /smuggled-§",
        "/§ HTTP/1.1\r\nTransfer-Encoding: chunked\r\nX: y",
        "/§?\0",
        "/§?\u{e9}",
        "http://www.test/§",
        "https://www.test/§",
        "http://other.test/§",
        "/§#x",
        "/§?a#b",
        "/§#",
    ] {
        cases.push(Case::refused(format!("path: {}", shown(path)), &changed(":path", path)));
    }
    for (path, left) in targets::SPELLINGS.iter().filter(|(path, _)| path.starts_with('/')) {
        cases.push(Case::sent(
            format!("path: spelling {}", shown(path)),
            &changed(":path", path),
            Sent::get().to(left).with("x", "§"),
        ));
    }
    let star: Vec<(&str, &str)> =
        vec![(":method", "OPTIONS"), (":scheme", "https"), (":authority", "www.test"), (":path", "*"), ("x", "§")];
    cases.push(Case::sent("path: OPTIONS *", &star, Sent::get().method("OPTIONS").to("*").with("x", "§")));
    let long = format!("/§?{}", "a".repeat(9 * 1024));
    cases.push(Case::refused("path: 9 KiB", &changed(":path", &long)));
    cases
}

/// CONNECT has its own rules (RFC 9113 §8.5, RFC 8441), and here it is refused in every form.
fn connects() -> Vec<Case> {
    let connect = (":method", "CONNECT");
    let x = ("x", "§");
    let mut cases = Vec::new();
    for (name, fields) in [
        ("as it should be", vec![connect, (":authority", "www.test:443"), x]),
        ("without a port", vec![connect, (":authority", "www.test"), x]),
        ("without authority", vec![connect, x]),
        ("with a scheme", vec![connect, (":scheme", "https"), (":authority", "www.test:443"), x]),
        ("with a path", vec![connect, (":authority", "www.test:443"), (":path", "/§"), x]),
        ("with both", vec![connect, (":scheme", "https"), (":authority", "www.test:443"), (":path", "/§"), x]),
        ("with host", vec![connect, ("host", "www.test:443"), x]),
        ("with another host", vec![connect, (":authority", "www.test:443"), ("host", "other.test:443"), x]),
        ("extended to something else", with(&[connect, (":protocol", "foo")], &[POST[1], POST[2], POST[3], x])),
    ] {
        cases.push(Case::refused(format!("CONNECT: {name}"), &fields));
        cases.push(
            Case::new(format!("CONNECT: {name}, with a body"), &fields, super::Must::Refused)
                .data(&["GET /smuggled-§ HTTP/1.1\r\nHost: www.test\r\n\r\n"]),
        );
    }
    cases.push(Case::refused("CONNECT: :protocol without it", &with(&[(":protocol", "websocket")], &with(&GET, &[x]))));
    cases
}
