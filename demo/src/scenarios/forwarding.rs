//! The forward proxy: who may go out, and where to. The configuration opens the backends' address and ports, nothing else inside.

use super::{ASK, Ask, BodyIs, Certificate, EXPECT, Ending, Expect, Login, Road, Scenario, Seen, Target};
use crate::certificates::SECURE;
use std::time::Duration;

/// A tunnel is opaque: the backend sees the request as the client wrote it, from the relay.
const INSIDE: Expect = Expect {
    body: BodyIs::Greeting(&[
        ("backend", Seen::Is("http")),
        ("x-forwarded-for", Seen::Absent),
        ("forwarded", Seen::Absent),
        ("via", Seen::Absent),
    ]),
    ..EXPECT
};

/// Forwarded, it is an ordinary request (RFC 9112 §3.2.1) and the password has stayed with the proxy (RFC 9110 §11.7.2).
const FORWARDED: Expect = Expect {
    body: BodyIs::Greeting(&[
        ("backend", Seen::Is("http")),
        ("path", Seen::Is("/")),
        ("host", Seen::Starts("127.0.0.2")),
        ("proxy-authorization", Seen::Absent),
    ]),
    ..EXPECT
};

/// The address guard's words, by kind of address.
const LOOPBACK: Expect = guarded(&["loopback"]);
const PRIVATE: Expect = guarded(&["private"]);
const LINK_LOCAL: Expect = guarded(&["link-local"]);

const fn guarded(words: &'static [&'static str]) -> Expect {
    Expect { ending: Ending::NoTunnel(403), body: BodyIs::Holds(words), ..EXPECT }
}

/// RFC 9110 §15.5.8: a 407 says how to log in.
const LOG_IN: Expect =
    Expect { ending: Ending::NoTunnel(407), header: Some(("proxy-authenticate", "basic realm=")), ..EXPECT };

const fn tunnel(to: Target) -> Road {
    Road::Tunnel { to, login: Login::Right, tls: None }
}

const fn row(name: &'static str, about: &'static str, road: Road, expect: Expect) -> Scenario {
    Scenario { name, about, road, ask: ASK, expect, paste: false }
}

const fn shown(scenario: Scenario) -> Scenario {
    Scenario { paste: true, ..scenario }
}

/// The rows.
pub const ROWS: &[Scenario] = &[
    shown(row(
        "connect",
        "CONNECT through the forward proxy, to the one inner address that is opened",
        tunnel(Target::HttpBackend),
        INSIDE,
    )),
    row(
        "connect-tls",
        "TLS inside the tunnel: end to end",
        Road::Tunnel { to: Target::HttpsBackend, login: Login::Right, tls: Some(SECURE) },
        Expect { certificate: Some(Certificate::Secure), alpn: Some("h2"), ..EXPECT },
    ),
    Scenario {
        ask: Ask { path: "/bytes/20971520", ..ASK },
        ..row(
            "connect-download",
            "20 MiB through a tunnel",
            tunnel(Target::HttpBackend),
            Expect { body: BodyIs::Pattern(20 << 20), deadline: Duration::from_secs(60), ..EXPECT },
        )
    },
    shown(row(
        "forward",
        "The forward proxy without a tunnel (absolute form)",
        Road::Absolute { to: Target::HttpBackend, login: Login::Right },
        FORWARDED,
    )),
    shown(row(
        "connect-no-user",
        "Without a user",
        Road::Tunnel { to: Target::HttpBackend, login: Login::Nothing, tls: None },
        LOG_IN,
    )),
    row(
        "connect-wrong-password",
        "With a wrong password",
        Road::Tunnel { to: Target::HttpBackend, login: Login::WrongPassword, tls: None },
        LOG_IN,
    ),
    row(
        "forward-no-user",
        "Without a user, without a tunnel",
        Road::Absolute { to: Target::HttpBackend, login: Login::Nothing },
        Expect { ending: Ending::Status(407), ..LOG_IN },
    ),
    shown(row(
        "guard-private",
        "The address guard: a private address is refused",
        tunnel(Target::Fixed("10.0.0.1:443")),
        PRIVATE,
    )),
    row("guard-loopback", "This machine, on a port that is open", tunnel(Target::HttpPortOn("127.0.0.1")), LOOPBACK),
    row("guard-loopback-ipv6", "The same in IPv6", tunnel(Target::HttpPortOn("[::1]")), LOOPBACK),
    row("guard-name", "A name that leads inside", tunnel(Target::HttpPortOn("localhost")), LOOPBACK),
    row("guard-mapped", "A private address in IPv6 clothes", tunnel(Target::Fixed("[::ffff:10.0.0.1]:443")), PRIVATE),
    row("guard-metadata", "The metadata service of clouds", tunnel(Target::Fixed("169.254.169.254:80")), LINK_LOCAL),
    shown(row(
        "guard-forward",
        "The metadata service of clouds, without a tunnel: the answer says why",
        Road::Absolute { to: Target::Fixed("169.254.169.254:80"), login: Login::Right },
        Expect { ending: Ending::Status(403), ..LINK_LOCAL },
    )),
    row(
        "port-closed",
        "A port that is not open",
        tunnel(Target::Fixed("127.0.0.2:22")),
        Expect { ending: Ending::NoTunnel(403), body: BodyIs::Holds(&["port"]), ..EXPECT },
    ),
];
