//! Passthrough: the backend's own TLS, untouched. The proxy sees a name and ciphertext.

use super::{ASK, BodyIs, Certificate, EXPECT, Expect, H1, H2, Ip, Road, Scenario, Seen};
use crate::certificates::SECURE;

/// A proxy that cannot read cannot write: no forwarding header may appear.
const UNTOUCHED: BodyIs = BodyIs::Greeting(&[
    ("backend", Seen::Is("https")),
    ("host", Seen::Starts(SECURE)),
    ("x-forwarded-for", Seen::Absent),
    ("forwarded", Seen::Absent),
    ("via", Seen::Absent),
]);

/// The rows.
pub const ROWS: &[Scenario] = &[
    Scenario {
        name: "passthrough-h1",
        about: "Passthrough: the backend's own certificate and TLS, moved as ciphertext",
        road: Road::Tls { server_name: Some(SECURE), alpn: H1, ip: Ip::V4 },
        ask: ASK,
        expect: Expect { alpn: Some("http/1.1"), certificate: Some(Certificate::Secure), body: UNTOUCHED, ..EXPECT },
        paste: true,
    },
    Scenario {
        name: "passthrough-h2",
        about: "Passthrough of HTTP/2: client and backend agree, the proxy does not take part",
        road: Road::Tls { server_name: Some(SECURE), alpn: H2, ip: Ip::V4 },
        ask: ASK,
        expect: Expect { alpn: Some("h2"), certificate: Some(Certificate::Secure), body: UNTOUCHED, ..EXPECT },
        paste: false,
    },
    Scenario {
        name: "passthrough-ipv6",
        about: "Passthrough from an IPv6 client to an IPv4 backend",
        road: Road::Tls { server_name: Some(SECURE), alpn: H2, ip: Ip::V6 },
        ask: ASK,
        expect: Expect { alpn: Some("h2"), certificate: Some(Certificate::Secure), body: UNTOUCHED, ..EXPECT },
        paste: false,
    },
];
