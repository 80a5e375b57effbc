//! `X-Forwarded-*`, `Forwarded` (RFC 7239) and `Via` (RFC 9110 §7.6.3), written from what the connection is, not from what the client says.
//!
//! A client's own copies are dropped unless its address is a trusted hop; then our entry is appended to its list and its host, scheme and port are kept.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{self, HeaderName, HeaderValue};
use ipnet::IpNet;

use super::client_address::is_trusted;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const PREFIX: &str = "x-forwarded-";

/// Taken off from untrusted clients besides `X-Forwarded-*`: frameworks read them as the client's address, or as the path *after* our rules saw another one.
const CLIENT_CLAIMS: &[&str] = &[
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "x-cluster-client-ip",
    "x-original-url",
    "x-rewrite-url",
    "x-original-host",
];

/// Which of the fields are written. All are cheap; two vocabularies at once only cost bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    /// `X-Forwarded-For`, `-Proto`, `-Host`, `-Port`.
    pub x_forwarded: bool,
    /// `Forwarded`.
    pub forwarded: bool,
    /// `X-Real-IP`.
    pub real_ip: bool,
    /// Our name in `Via`; none: no `Via`.
    pub via: Option<String>,
}

impl Default for Style {
    fn default() -> Self {
        Style { x_forwarded: true, forwarded: true, real_ip: false, via: None }
    }
}

/// What is true of a client connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// The client's (or the last proxy's) socket address.
    pub peer: SocketAddr,
    /// The address that was connected to.
    pub local: SocketAddr,
    /// The client spoke TLS.
    pub tls: bool,
}

/// Writes the fields for all requests of one connection.
#[derive(Debug)]
pub struct Forwarder {
    style: Style,
    /// The peer is a trusted hop.
    trusted: bool,
    peer: IpAddr,
    address: HeaderValue,
    proto: HeaderValue,
    port: HeaderValue,
    via: Option<HeaderValue>,
    /// `Forwarded` for the host last seen: connections rarely change it.
    last: Option<(HeaderValue, HeaderValue)>,
}

impl Forwarder {
    /// Makes the values that stay the same.
    #[must_use]
    pub fn new(style: Style, connection: &Connection, trusted_hops: &[IpNet]) -> Self {
        let peer = connection.peer.ip().to_canonical();
        let via = style.via.as_ref().and_then(|name| HeaderValue::try_from(format!("1.1 {name}")).ok());
        Forwarder {
            style,
            trusted: is_trusted(trusted_hops, peer),
            peer,
            address: value(&peer.to_string()),
            proto: HeaderValue::from_static(if connection.tls { "https" } else { "http" }),
            port: HeaderValue::from(connection.local.port()),
            via,
            last: None,
        }
    }

    /// The peer is a trusted hop, so [`super::client_address`] may look further.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// Drops or extends what came, adds what we know. `host` is the request's Host as it goes on.
    pub fn write(&mut self, headers: &mut HeaderMap, host: &HeaderValue) {
        if !self.trusted {
            drop_claims(headers);
        }
        if self.style.x_forwarded {
            let address = self.address.clone();
            append(headers, X_FORWARDED_FOR, address, self.trusted);
            self.set(headers, X_FORWARDED_PROTO, self.proto.clone());
            self.set(headers, X_FORWARDED_HOST, host.clone());
            self.set(headers, X_FORWARDED_PORT, self.port.clone());
        }
        if self.style.forwarded {
            let element = self.forwarded(host);
            append(headers, header::FORWARDED, element, self.trusted);
        }
        if self.style.real_ip {
            self.set(headers, X_REAL_IP, self.address.clone());
        }
        if let Some(via) = &self.via {
            append(headers, header::VIA, via.clone(), true);
        }
    }

    /// A trusted hop's word stands; anybody else's is already gone.
    fn set(&self, headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
        if !(self.trusted && headers.contains_key(&name)) {
            headers.insert(name, value);
        }
    }

    fn forwarded(&mut self, host: &HeaderValue) -> HeaderValue {
        if let Some((for_host, element)) = &self.last
            && for_host == host
        {
            return element.clone();
        }
        let mut text = String::with_capacity(64);
        // Writing to a String cannot fail. IPv6 must stand in brackets and quotes (RFC 7239 §6).
        let _ = match self.peer {
            IpAddr::V4(address) => write!(text, "for={address}"),
            IpAddr::V6(address) => write!(text, "for=\"[{address}]\""),
        };
        let _ = write!(text, ";proto={}", self.proto.to_str().unwrap_or("http"));
        // Only a checked host has no quote or backslash in it; anything else is left out rather than escaped.
        if let Ok(host) = host.to_str()
            && !host.contains(['"', '\\'])
        {
            let _ = write!(text, ";host=\"{host}\"");
        }
        let element = value(&text);
        // A copy: a clone would keep the whole read buffer of this request alive.
        self.last = HeaderValue::from_bytes(host.as_bytes()).ok().map(|host| (host, element.clone()));
        element
    }
}

/// Values made here have no control bytes; should one ever be refused, an empty one says nothing false.
fn value(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Adds an element to a list field: all its lines become one, so that no reader sees only the first.
fn append(headers: &mut HeaderMap, name: HeaderName, element: HeaderValue, keep: bool) {
    let mut lines = headers.get_all(&name).iter().peekable();
    if !keep || lines.peek().is_none() {
        headers.insert(name, element);
        return;
    }
    let mut joined = Vec::new();
    for line in lines {
        joined.extend_from_slice(line.as_bytes());
        joined.extend_from_slice(b", ");
    }
    joined.extend_from_slice(element.as_bytes());
    headers.insert(name, HeaderValue::try_from(joined).unwrap_or(element));
}

fn drop_claims(headers: &mut HeaderMap) {
    let is_claim = |name: &&HeaderName| {
        let name = name.as_str();
        matches!(name.as_bytes().first(), Some(b'x' | b'f' | b't'))
            && (name.starts_with(PREFIX) || CLIENT_CLAIMS.contains(&name))
    };
    while let Some(name) = headers.keys().find(is_claim).cloned() {
        headers.remove(name);
    }
}
