//! What must not get through, and how clearly that is said.

use super::{ASK, Ask, BodyIs, EXPECT, Ending, Expect, H1, H2, Ip, Road, Scenario};
use crate::certificates::{API, WWW};
use crate::configuration::RULE;

/// The access list's answer names the rule.
const DENIED: Expect = Expect { ending: Ending::Status(403), body: BodyIs::Holds(&[RULE]), ..EXPECT };

/// Host and SNI differ (RFC 9110 §15.5.20).
const MISDIRECTED: Expect = Expect { ending: Ending::Status(421), body: BodyIs::Holds(&["misdirected"]), ..EXPECT };

const WWW_H1: Road = Road::Tls { server_name: Some(WWW), alpn: H1, ip: Ip::V4 };
const WWW_H2: Road = Road::Tls { server_name: Some(WWW), alpn: H2, ip: Ip::V4 };

/// The rows.
pub const ROWS: &[Scenario] = &[
    Scenario {
        name: "access-list-h2",
        about: "The access list refuses, and names its rule",
        road: WWW_H2,
        ask: Ask { path: "/admin/users", ..ASK },
        expect: DENIED,
        paste: true,
    },
    Scenario {
        name: "access-list-h1",
        about: "The same over HTTP/1.1",
        road: WWW_H1,
        ask: Ask { path: "/admin", ..ASK },
        expect: DENIED,
        paste: false,
    },
    Scenario {
        name: "access-list-dots",
        about: "No way around it by dot segments",
        road: WWW_H1,
        ask: Ask { path: "/public/../admin/users", ..ASK },
        expect: DENIED,
        paste: true,
    },
    Scenario {
        name: "access-list-escapes",
        about: "No way around it by percent-encoding",
        road: WWW_H2,
        ask: Ask { path: "/%61dmin/users", ..ASK },
        expect: DENIED,
        paste: false,
    },
    Scenario {
        name: "access-list-plain",
        about: "The same list on the plain-HTTP listener",
        road: Road::Plain,
        ask: Ask { path: "/admin", host: Some(WWW), ..ASK },
        expect: DENIED,
        paste: false,
    },
    Scenario {
        name: "no-route",
        about: "A host no route serves",
        road: Road::Plain,
        ask: Ask { host: Some("other.demo.test"), ..ASK },
        expect: Expect { ending: Ending::Status(404), body: BodyIs::Holds(&["route"]), ..EXPECT },
        paste: false,
    },
    Scenario {
        name: "misdirected-h1",
        about: "A request for another host than the TLS handshake named",
        road: WWW_H1,
        ask: Ask { host: Some(API), ..ASK },
        expect: MISDIRECTED,
        paste: false,
    },
    Scenario {
        name: "misdirected-h2",
        about: "The same over HTTP/2",
        road: WWW_H2,
        ask: Ask { host: Some(API), ..ASK },
        expect: MISDIRECTED,
        paste: false,
    },
    Scenario {
        name: "unknown-name",
        about: "A server name nobody serves: a TLS alert, no certificate of somebody else",
        road: Road::Tls { server_name: Some("unknown.demo.test"), alpn: H2, ip: Ip::V4 },
        ask: ASK,
        expect: Expect { ending: Ending::Alert(&["unrecognized_name"]), ..EXPECT },
        paste: true,
    },
    Scenario {
        name: "no-server-name",
        about: "No server name at all",
        road: Road::Tls { server_name: None, alpn: H2, ip: Ip::V4 },
        ask: ASK,
        // RFC 6066 §3 and RFC 8446 §9.2 leave a choice.
        expect: Expect { ending: Ending::Alert(&["unrecognized_name", "missing_extension"]), ..EXPECT },
        paste: false,
    },
    Scenario {
        name: "http-on-tls-port",
        about: "Plain HTTP on the TLS port gets an answer people understand",
        road: Road::PlainOnTls,
        ask: Ask { host: Some(WWW), ..ASK },
        expect: Expect { ending: Ending::Status(400), body: BodyIs::Holds(&["https"]), ..EXPECT },
        paste: true,
    },
];
