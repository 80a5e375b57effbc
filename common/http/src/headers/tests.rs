//! What travels on, what does not, and whose word counts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;

fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    map
}

fn flat(map: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<_> = map.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
    lines.sort();
    lines
}

#[test]
fn hop_by_hop_fields_go() {
    let mut headers = map(&[
        ("host", "a"),
        ("connection", "close, X-Secret , TE"),
        ("connection", "x-other"),
        ("x-secret", "1"),
        ("x-other", "2"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("te", "gzip, trailers"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAA"),
        ("proxy-authorization", "Basic x"),
        ("proxy-authenticate", "Basic"),
        ("trailer", "x-sum"),
        ("accept", "*/*"),
        ("x_forwarded_for", "6.6.6.6"),
    ]);
    let mut response = headers.clone();
    assert!(strip(&mut headers, Direction::Request, false, Underscores::Drop));
    assert_eq!(flat(&headers), ["accept: */*", "host: a", "proxy-authenticate: Basic", "trailer: x-sum"]);
    strip(&mut response, Direction::Response, true, Underscores::Keep);
    assert_eq!(
        flat(&response),
        [
            "accept: */*",
            "connection: upgrade",
            "host: a",
            "proxy-authorization: Basic x",
            "trailer: x-sum",
            "upgrade: h2c",
            "x_forwarded_for: 6.6.6.6"
        ]
    );
}

#[test]
fn connection_cannot_remove_what_others_rely_on() {
    let kept = [
        ("x-forwarded-for", "1.1.1.1"),
        ("authorization", "x"),
        ("cookie", "c"),
        ("host", "a"),
        ("content-length", "3"),
    ];
    let mut headers = map(&kept);
    headers.insert(
        "connection",
        HeaderValue::from_static("close, X-Forwarded-For, authorization, Cookie, Host, Content-Length, bad name"),
    );
    strip(&mut headers, Direction::Request, false, Underscores::Drop);
    assert_eq!(flat(&headers), flat(&map(&kept)));
}

fn connection(peer: &str) -> Connection {
    Connection { peer: peer.parse().unwrap(), local: "10.0.0.1:443".parse().unwrap(), tls: true }
}

const LIES: &[(&str, &str)] = &[
    ("x-forwarded-for", "6.6.6.6"),
    ("x-forwarded-for", "7.7.7.7"),
    ("x-forwarded-proto", "gopher"),
    ("x-forwarded-prefix", "/admin"),
    ("forwarded", "for=6.6.6.6"),
    ("x-real-ip", "6.6.6.6"),
    ("x-original-url", "/admin"),
    ("true-client-ip", "6.6.6.6"),
    ("x-other", "stays"),
];

#[test]
fn a_strangers_claims_are_replaced() {
    let mut forwarder =
        Forwarder::new(Style { via: Some("bulkhead".into()), ..Style::default() }, &connection("203.0.113.9:5"), &[]);
    for _ in 0..2 {
        let mut headers = map(LIES);
        forwarder.write(&mut headers, &HeaderValue::from_static("shop.example"));
        assert_eq!(
            flat(&headers),
            [
                "forwarded: for=203.0.113.9;proto=https;host=\"shop.example\"",
                "via: 1.1 bulkhead",
                "x-forwarded-for: 203.0.113.9",
                "x-forwarded-host: shop.example",
                "x-forwarded-port: 443",
                "x-forwarded-proto: https",
                "x-other: stays",
            ]
        );
    }
}

#[test]
fn a_trusted_hops_word_is_extended() {
    let trusted = ["2001:db8::/32".parse().unwrap()];
    let mut forwarder =
        Forwarder::new(Style { real_ip: true, ..Style::default() }, &connection("[2001:db8::7]:5"), &trusted);
    let mut headers =
        map(&[("x-forwarded-for", "198.51.100.1"), ("x-forwarded-proto", "http"), ("forwarded", "for=198.51.100.1")]);
    forwarder.write(&mut headers, &HeaderValue::from_static("a"));
    let lines = flat(&headers);
    assert!(lines.contains(&"x-forwarded-for: 198.51.100.1, 2001:db8::7".to_owned()), "{lines:?}");
    assert!(lines.contains(&"x-forwarded-proto: http".to_owned()));
    assert!(lines.contains(&"forwarded: for=198.51.100.1, for=\"[2001:db8::7]\";proto=https;host=\"a\"".to_owned()));
    assert!(lines.contains(&"x-real-ip: 2001:db8::7".to_owned()));
}

#[test]
fn the_client_is_found_from_the_right() {
    let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
    let find = |peer: &str, lines: &[(&'static str, &'static str)], source| {
        client_address(&trusted, peer.parse().unwrap(), source, &map(lines)).to_string()
    };
    let xff = AddressSource::XForwardedFor;
    assert_eq!(find("8.8.8.8", &[("x-forwarded-for", "1.1.1.1")], xff), "8.8.8.8", "a stranger's word");
    assert_eq!(find("10.0.0.1", &[], xff), "10.0.0.1");
    assert_eq!(find("::ffff:10.0.0.1", &[("x-forwarded-for", "1.1.1.1, 2.2.2.2, 10.9.9.9")], xff), "2.2.2.2");
    assert_eq!(find("10.0.0.1", &[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "2.2.2.2")], xff), "2.2.2.2");
    assert_eq!(find("10.0.0.1", &[("x-forwarded-for", "1.1.1.1, unknown, 10.0.0.2")], xff), "10.0.0.2");
    assert_eq!(find("10.0.0.1", &[("x-forwarded-for", "10.0.0.3,10.0.0.2")], xff), "10.0.0.3");
    assert_eq!(find("10.0.0.1", &[("x-forwarded-for", "[2001:db8::1]:99")], xff), "2001:db8::1");
    let fwd = AddressSource::Forwarded;
    assert_eq!(
        find("10.0.0.1", &[("forwarded", "for=1.1.1.1, proto=http;For=\"[2001:db8::2]:80\"")], fwd),
        "2001:db8::2"
    );
    assert_eq!(find("10.0.0.1", &[("forwarded", "for=1.1.1.1;by=x, for=_hidden")], fwd), "10.0.0.1");
    assert_eq!(find("10.0.0.1", &[("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "2.2.2.2")], fwd), "1.1.1.1");
}
