//! What the demo shows and checks, as data: one row is one request and what must come of it.
//!
//! The same row becomes a curl line (`crate::curl`) and a check (`crate::check`), so what is printed is what is checked.
//! All expectations are in this folder; a changed answer of Bulkhead is a changed row here and nothing else.
//!
//! [`passthrough`] → [`termination`] → [`refusals`] → [`attacks`] → [`streams`] → [`forwarding`]

mod attacks;
mod forwarding;
mod passthrough;
mod refusals;
mod streams;
mod termination;

use crate::certificates::{API, SECURE, WWW};
use crate::world::World;
use std::time::Duration;

/// One request and what must come of it.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Short and unique; printed by `--check`.
    pub name: &'static str,
    /// One line for people, printed above the curl line.
    pub about: &'static str,
    /// How the request gets there.
    pub road: Road,
    /// The request.
    pub ask: Ask,
    /// What must come of it.
    pub expect: Expect,
    /// Print it as a curl line.
    pub paste: bool,
}

/// How a request travels.
#[derive(Debug, Clone, Copy)]
pub enum Road {
    /// TLS to the TLS listener; no name means no SNI extension.
    Tls {
        /// SNI.
        server_name: Option<&'static str>,
        /// What the client offers.
        alpn: &'static [&'static str],
        /// Where it connects to.
        ip: Ip,
    },
    /// Plain HTTP to the HTTP listener.
    Plain,
    /// Plain HTTP to the TLS listener: a mistake that deserves a clear answer.
    PlainOnTls,
    /// CONNECT through the forward proxy, then the request inside the tunnel; `tls` names the server for TLS inside.
    Tunnel {
        /// Where the tunnel leads.
        to: Target,
        /// Who asks.
        login: Login,
        /// The server name for TLS inside.
        tls: Option<&'static str>,
    },
    /// A request in absolute form to the forward proxy.
    Absolute {
        /// Host and port in the URI.
        to: Target,
        /// Who asks.
        login: Login,
    },
}

/// Which loopback address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ip {
    /// 127.0.0.1
    V4,
    /// ::1; skipped where there is none.
    V6,
}

/// A `host:port` for the forward proxy.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// The HTTP backend.
    HttpBackend,
    /// The HTTPS backend.
    HttpsBackend,
    /// The HTTP backend's port, which the configuration opens, on another host (brackets included).
    HttpPortOn(&'static str),
    /// Exactly this.
    Fixed(&'static str),
}

/// What is said to the forward proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// No Proxy-Authorization.
    Nothing,
    /// The user and password of the configuration.
    Right,
    /// The user with another password.
    WrongPassword,
}

impl Login {
    /// Value of `Proxy-Authorization` (RFC 7617), if any.
    #[must_use]
    pub fn header(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Right => Some("Basic ZGVtbzpkZW1v"),             // demo:demo
            Self::WrongPassword => Some("Basic ZGVtbzp3cm9uZw=="), // demo:wrong
        }
    }
}

impl Target {
    /// As it is written in a request.
    #[must_use]
    pub fn text(self, world: &World) -> String {
        match self {
            Self::HttpBackend => world.http_backend.to_string(),
            Self::HttpsBackend => world.https_backend.to_string(),
            Self::HttpPortOn(host) => format!("{host}:{}", world.http_backend.port()),
            Self::Fixed(text) => text.to_owned(),
        }
    }
}

/// A request.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// GET unless something is sent, then POST.
    pub path: &'static str,
    /// Another host than the road leads to (without port).
    pub host: Option<&'static str>,
    /// Further headers.
    pub headers: &'static [(&'static str, &'static str)],
    /// Bytes of the pattern to send as a body; 0 = no body.
    pub upload: u64,
    /// A form, already encoded, to send as a body; empty = none.
    pub form: &'static str,
}

/// What must come of a request. Everything named must hold.
#[derive(Debug, Clone, Copy)]
pub struct Expect {
    /// How it ends.
    pub ending: Ending,
    /// What the TLS handshake agreed on; `Some("")` = no protocol.
    pub alpn: Option<&'static str>,
    /// Whose certificate was shown.
    pub certificate: Option<Certificate>,
    /// A header of the answer and a word its value must hold (any case).
    pub header: Option<(&'static str, &'static str)>,
    /// What the body must be.
    pub body: BodyIs,
    /// How long the whole may take.
    pub deadline: Duration,
}

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// An HTTP answer with this status. On a [`Road::Tunnel`]: from inside the tunnel.
    Status(u16),
    /// The proxy does not open the tunnel but answers this status.
    NoTunnel(u16),
    /// One of these TLS alerts, by their names in RFC 8446 §6.
    Alert(&'static [&'static str]),
}

impl Ending {
    /// In words.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Status(status) => status.to_string(),
            Self::NoTunnel(status) => format!("no tunnel but {status}"),
            Self::Alert(names) => format!("TLS alert {}", names.join(" or ")),
        }
    }
}

/// Whose certificate; the order is the one of `World::leaves`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// Terminated.
    Www,
    /// Terminated, another one.
    Api,
    /// The HTTPS backend's own.
    Secure,
}

impl Certificate {
    /// All, in the order of `World::leaves`.
    pub const ALL: [Self; 3] = [Self::Www, Self::Api, Self::Secure];

    /// The name it is for.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Www => WWW,
            Self::Api => API,
            Self::Secure => SECURE,
        }
    }
}

/// What a body must be.
#[derive(Debug, Clone, Copy)]
pub enum BodyIs {
    /// Anything.
    Any,
    /// Text with all these words in it (any case).
    Holds(&'static [&'static str]),
    /// The greeting of an example backend, which must have seen this.
    Greeting(&'static [(&'static str, Seen)]),
    /// So many bytes of the pattern, each in its place.
    Pattern(u64),
    /// Came piece by piece: between the first and the last byte there was at least this.
    Over(Duration),
}

/// What a backend must have seen of one line of its greeting.
#[derive(Debug, Clone, Copy)]
pub enum Seen {
    /// Exactly this.
    Is(&'static str),
    /// This at the beginning.
    Starts(&'static str),
    /// This somewhere (any case).
    Has(&'static str),
    /// The line is not there.
    Absent,
}

/// A plain GET of `/`; rows say what differs.
const ASK: Ask = Ask { path: "/", host: None, headers: &[], upload: 0, form: "" };

/// A 200; rows say what else.
const EXPECT: Expect = Expect {
    ending: Ending::Status(200),
    alpn: None,
    certificate: None,
    header: None,
    body: BodyIs::Any,
    deadline: Duration::from_secs(10),
};

/// TLS 1.3 clients that speak only HTTP/1.1.
const H1: &[&str] = &["http/1.1"];
/// Clients that prefer HTTP/2, as browsers and curl do.
const H2: &[&str] = &["h2", "http/1.1"];

/// Every row, in the order in which they are printed and checked.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    let parts = [passthrough::ROWS, termination::ROWS, refusals::ROWS, attacks::ROWS, streams::ROWS, forwarding::ROWS];
    parts.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_bodies_of_refusals_are_looked_at() {
        let mut seen = std::collections::HashSet::new();
        for row in all() {
            assert!(seen.insert(row.name), "{} twice", row.name);
            assert!(!row.about.is_empty());
            if matches!(row.expect.ending, Ending::Status(400..) | Ending::NoTunnel(_)) {
                let looked_at = matches!(row.expect.body, BodyIs::Holds([_, ..])) || row.expect.header.is_some();
                assert!(looked_at, "{} would accept any refusal", row.name);
            }
        }
    }

    #[test]
    fn certificates_and_alpn_are_expected_only_of_tls() {
        for row in all() {
            let tls = matches!(row.road, Road::Tls { .. } | Road::Tunnel { tls: Some(_), .. });
            assert!(tls || (row.expect.alpn.is_none() && row.expect.certificate.is_none()), "{}", row.name);
        }
    }
}
