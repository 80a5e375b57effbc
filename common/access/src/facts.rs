//! What is known of a connection or request when it is judged. Everything is borrowed; a fact that is absent satisfies no condition
//! that asks for it.

use std::borrow::Cow;
use std::net::IpAddr;

use common::config::{Host, TlsVersion};
use common::ipc::messages::terminator_to_filter::ClientIdentity;

/// Facts of one decision.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The client: of the connection, or behind trusted proxies.
    pub client: IpAddr,
    /// Seconds since 1970, UTC; read only when a rule asks for the time.
    pub clock: &'a dyn Fn() -> u64,
    /// Name of the listener, where it is known; else empty.
    pub listener: &'a str,
    /// Present if the client speaks TLS.
    pub tls: Option<Tls<'a>>,
    /// The request.
    pub request: Option<Request<'a>>,
    /// Who has proved to be who.
    pub user: Option<&'a str>,
    /// Where a client of forward-proxy wants to go.
    pub destination: Option<Destination<'a>>,
}

impl<'a> Facts<'a> {
    /// A client of whom nothing else is known.
    #[must_use]
    pub fn of(client: IpAddr, clock: &'a dyn Fn() -> u64) -> Self {
        Facts { client, clock, listener: "", tls: None, request: None, user: None, destination: None }
    }
}

/// What the TLS handshake told, or the ClientHello alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tls<'a> {
    /// Name in the ClientHello, lower case.
    pub server_name: Option<&'a str>,
    /// JA4 fingerprint.
    pub ja4: &'a str,
    /// Negotiated version; `None` before the handshake.
    pub version: Option<TlsVersion>,
    /// The client's certificate, verified.
    pub certificate: Option<&'a ClientIdentity>,
}

/// One request in its one reading.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Method, as written.
    pub method: &'a str,
    /// Host, lower case, without port.
    pub host: &'a str,
    /// Path, normalised.
    pub path: &'a str,
    /// Query without `?`.
    pub query: Option<&'a str>,
    /// Header fields.
    pub headers: &'a dyn Headers,
    /// `Content-Length`.
    pub body_size: Option<u64>,
}

/// Header fields, whoever holds them. Names are asked for in lower case.
pub trait Headers {
    /// Whether `test` holds for the value of one of the lines of that name.
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool;

    /// Calls `visit` with the name of each field, once, in lower case.
    fn names(&self, visit: &mut dyn FnMut(&str));

    /// The lines of that name as one value, joined by `, ` (RFC 9110 §5.3) or for cookies by `; ` (RFC 9113 §8.2.3). Bytes that
    /// are no UTF-8 are replaced.
    fn joined(&self, name: &str) -> Option<Cow<'_, str>> {
        let separator = if name == "cookie" { "; " } else { ", " };
        let mut value: Option<String> = None;
        self.any(name, &mut |line| {
            let line = String::from_utf8_lossy(line);
            match &mut value {
                Some(value) => {
                    value.push_str(separator);
                    value.push_str(&line);
                }
                None => value = Some(line.into_owned()),
            }
            false
        });
        value.map(Cow::Owned)
    }
}

/// No header field at all: for whoever reads no requests.
#[derive(Debug, Clone, Copy)]
pub struct NoHeaders;

impl Headers for NoHeaders {
    fn any(&self, _: &str, _: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        false
    }

    fn names(&self, _: &mut dyn FnMut(&str)) {}
}

/// Where a client of forward-proxy wants to go, as it wrote it.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// Name in lower case, or address.
    pub host: &'a Host,
    /// TCP port.
    pub port: u16,
}

/// Groups of facts that become known one after the other. A rule that asks for what is not known yet cannot be judged yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known(u8);

impl Known {
    /// The client, the listener and the time.
    pub const CLIENT: Known = Known(0);
    /// What the ClientHello says, or that there is none.
    pub const HELLO: Known = Known(1);
    /// The user, or that there is none.
    pub const USER: Known = Known(2);
    /// The request or destination.
    pub const REQUEST: Known = Known(4);
    /// Everything.
    pub const ALL: Known = Known(7);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Known) -> Known {
        Known(self.0 | other.0)
    }

    /// Whether all of `needed` is known.
    #[must_use]
    pub const fn covers(self, needed: Known) -> bool {
        needed.0 & !self.0 == 0
    }
}

/// The clock of the machine, for [`Facts::clock`].
#[must_use]
pub fn system_clock() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Day of the week (0: Monday), minute of the day, of a moment in UTC.
#[must_use]
pub fn day_and_minute(seconds: u64) -> (u8, u16) {
    // 1 January 1970 was a Thursday.
    let day = (seconds / 86_400 + 3) % 7;
    let minute = seconds % 86_400 / 60;
    (u8::try_from(day).unwrap_or_default(), u16::try_from(minute).unwrap_or_default())
}

/// `mon` … `sun`.
pub const WEEK: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
