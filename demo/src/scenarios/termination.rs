//! Termination: TLS ends at Bulkhead, which reads the request and tells the backend who asked.

use super::{ASK, Ask, BodyIs, Certificate, EXPECT, Expect, H1, H2, Ip, Road, Scenario, Seen};
use crate::certificates::{API, WWW};

/// What the backend must see of a client that came over TLS from 127.0.0.1 to `www`.
const FORWARDED: BodyIs = BodyIs::Greeting(&[
    ("backend", Seen::Is("http")),
    ("protocol", Seen::Is("HTTP/1.1")),
    ("host", Seen::Starts(WWW)),
    ("x-forwarded-for", Seen::Is("127.0.0.1")),
    ("x-forwarded-proto", Seen::Is("https")),
    ("forwarded", Seen::Has("for=127.0.0.1")),
    ("forwarded", Seen::Has("proto=https")),
]);

/// The rows.
pub const ROWS: &[Scenario] = &[
    Scenario {
        name: "termination-h1",
        about: "Termination, HTTP/1.1: the backend learns the client's address from X-Forwarded-For",
        road: Road::Tls { server_name: Some(WWW), alpn: H1, ip: Ip::V4 },
        ask: ASK,
        expect: Expect { alpn: Some("http/1.1"), certificate: Some(Certificate::Www), body: FORWARDED, ..EXPECT },
        paste: true,
    },
    Scenario {
        name: "termination-h2",
        about: "Termination, HTTP/2",
        road: Road::Tls { server_name: Some(WWW), alpn: H2, ip: Ip::V4 },
        ask: ASK,
        expect: Expect { alpn: Some("h2"), certificate: Some(Certificate::Www), body: FORWARDED, ..EXPECT },
        paste: true,
    },
    Scenario {
        name: "termination-no-alpn",
        about: "A client without ALPN speaks HTTP/1.1",
        road: Road::Tls { server_name: Some(WWW), alpn: &[], ip: Ip::V4 },
        ask: ASK,
        expect: Expect { alpn: Some(""), certificate: Some(Certificate::Www), body: FORWARDED, ..EXPECT },
        paste: false,
    },
    Scenario {
        name: "termination-ipv6",
        about: "The same over IPv6",
        road: Road::Tls { server_name: Some(WWW), alpn: H2, ip: Ip::V6 },
        ask: ASK,
        expect: Expect {
            alpn: Some("h2"),
            certificate: Some(Certificate::Www),
            body: BodyIs::Greeting(&[
                ("x-forwarded-for", Seen::Is("::1")),
                // RFC 7239 §6: an IPv6 address is quoted and in brackets.
                ("forwarded", Seen::Has("for=\"[::1]\"")),
            ]),
            ..EXPECT
        },
        paste: false,
    },
    Scenario {
        name: "second-certificate",
        about: "Another name, another certificate",
        road: Road::Tls { server_name: Some(API), alpn: H2, ip: Ip::V4 },
        ask: ASK,
        expect: Expect {
            alpn: Some("h2"),
            certificate: Some(Certificate::Api),
            body: BodyIs::Greeting(&[("backend", Seen::Is("http")), ("host", Seen::Starts(API))]),
            ..EXPECT
        },
        paste: true,
    },
    Scenario {
        name: "forged-forwarded",
        about: "What a client claims about itself is dropped",
        road: Road::Tls { server_name: Some(WWW), alpn: H1, ip: Ip::V4 },
        ask: Ask {
            headers: &[
                ("x-forwarded-for", "203.0.113.9"),
                ("forwarded", "for=203.0.113.9;proto=http"),
                ("x-forwarded-proto", "http"),
            ],
            ..ASK
        },
        expect: Expect { body: FORWARDED, ..EXPECT },
        paste: false,
    },
    Scenario {
        name: "plain-http",
        about: "The plain-HTTP listener goes through the same filter",
        road: Road::Plain,
        ask: Ask { host: Some(WWW), ..ASK },
        expect: Expect {
            body: BodyIs::Greeting(&[
                ("backend", Seen::Is("http")),
                ("x-forwarded-for", Seen::Is("127.0.0.1")),
                ("x-forwarded-proto", Seen::Is("http")),
                ("forwarded", Seen::Has("proto=http")),
            ]),
            ..EXPECT
        },
        paste: true,
    },
];
