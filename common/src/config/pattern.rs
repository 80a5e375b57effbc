//! The small matcher types that sections share: names, paths, headers, networks, ports, servers.
//!
//! Each can only be made from a text that was judged, so whoever holds one need not judge it again. Everything here is
//! pure: no file, no resolver, no clock. The caller brings lower-cased host names (`client_hello::HostName` and the
//! authority of a request are); nothing here folds case at match time, except where a comment says so.

use super::text_pattern::TextPattern;
use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Longest host name in its text form, without a trailing dot (RFC 1035 §2.3.4, RFC 1123 §2.1).
pub const MAX_HOST_NAME: usize = 253;

/// A host name or `*.suffix`, in lower case, without a trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NamePattern {
    /// Exactly this name.
    Exact(Arc<str>),
    /// Any name with at least one more label in front: the whole text, `*.example.org`.
    Suffix(Arc<str>),
}

impl NamePattern {
    /// Reads `name` or `*.suffix`; upper case and one trailing dot are accepted and dropped.
    ///
    /// # Errors
    /// What is wrong with the text, as the end of a sentence ("it has an empty label").
    pub fn parse(text: &str) -> Result<NamePattern, String> {
        let lower = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if lower == "*" {
            return Err("`*` alone is not a name; a wildcard needs a suffix, `*.example.org`".to_owned());
        }
        match lower.strip_prefix("*.") {
            Some(suffix) => {
                judge_host_name(suffix)?;
                if lower.len() > MAX_HOST_NAME {
                    return Err(format!("it is longer than {MAX_HOST_NAME} bytes"));
                }
                Ok(NamePattern::Suffix(lower.into()))
            }
            None => {
                judge_host_name(&lower)?;
                Ok(NamePattern::Exact(lower.into()))
            }
        }
    }

    /// `shop.example` or `*.shop.example`.
    pub fn as_str(&self) -> &str {
        match self {
            NamePattern::Exact(text) | NamePattern::Suffix(text) => text,
        }
    }

    /// Whether a lower-cased host name without trailing dot falls under the pattern. `*.a` does not match `a`.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            NamePattern::Exact(own) => **own == *name,
            NamePattern::Suffix(own) => {
                // `*.example` → `.example`; something must stand before it.
                let dotted = own.strip_prefix('*').unwrap_or(own);
                name.len() > dotted.len() && name.ends_with(dotted)
            }
        }
    }

    /// Whether every name that falls under `other` falls under `self` too.
    pub fn covers(&self, other: &NamePattern) -> bool {
        match (self, other) {
            (NamePattern::Exact(own), NamePattern::Exact(their)) => own == their,
            (NamePattern::Exact(_), NamePattern::Suffix(_)) => false,
            (NamePattern::Suffix(_), NamePattern::Exact(their)) => self.matches(their),
            (NamePattern::Suffix(own), NamePattern::Suffix(their)) => own == their || self.matches(their),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Letters, digits, `-` and `_` in labels of 1 to 63 bytes (RFC 1123 §2.1, with the underscore that is used in practice).
/// `text` is in lower case.
pub(crate) fn judge_host_name(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.len() > MAX_HOST_NAME {
        return Err(format!("it is longer than {MAX_HOST_NAME} bytes"));
    }
    if text.parse::<IpAddr>().is_ok() {
        return Err("it is an address, and a name is wanted here".to_owned());
    }
    for label in text.split('.') {
        if label.is_empty() {
            return Err("it has an empty label (two dots in a row, or a dot at the start)".to_owned());
        }
        if label.len() > 63 {
            return Err("one of its labels is longer than 63 bytes".to_owned());
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err("a label may not start or end with `-`".to_owned());
        }
        if let Some(bad) = label.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-' | '_')) {
            return Err(match bad {
                '*' => "`*` may only stand as the whole first label, `*.example.org`".to_owned(),
                c if !c.is_ascii() => format!("`{c}` is not ASCII; write the name in its `xn--` form"),
                c => format!("{c:?} may not stand in a host name"),
            });
        }
    }
    Ok(())
}

/// Networks in CIDR form; a single address is `/32` or `/128`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSet(Vec<IpNet>);

impl NetworkSet {
    /// A set of these networks.
    pub fn new(networks: Vec<IpNet>) -> NetworkSet {
        NetworkSet(networks)
    }

    /// Whether the address is in one of the networks. An IPv4-mapped IPv6 address counts as the IPv4 address it carries.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether there is no network at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The networks, as written.
    pub fn as_slice(&self) -> &[IpNet] {
        &self.0
    }
}

/// A path of a request: exact, or everything that starts with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPattern {
    /// `/admin`: this path only.
    Exact(Arc<str>),
    /// `/admin/*`: every path that starts with `/admin/` (the text is kept without the star).
    Prefix(Arc<str>),
}

impl PathPattern {
    /// Reads `/exact` or `/prefix*`.
    ///
    /// # Errors
    /// What is wrong with the text, as the end of a sentence.
    pub fn parse(text: &str) -> Result<PathPattern, String> {
        if !text.starts_with('/') {
            return Err("a path starts with `/`".to_owned());
        }
        if let Some(bad) = text.chars().find(|c| matches!(c, '?' | '#') || !c.is_ascii_graphic()) {
            return Err(format!(
                "{bad:?} may not stand in a path pattern; it is compared with the normalised path, without the query"
            ));
        }
        let (body, prefix) = match text.strip_suffix('*') {
            Some(body) => (body, true),
            None => (text, false),
        };
        if body.contains('*') {
            return Err("`*` may only stand at the end".to_owned());
        }
        if body.split('/').any(|part| part == "." || part == "..") {
            return Err("`.` and `..` never remain in a normalised path, so this would match nothing".to_owned());
        }
        Ok(if prefix { PathPattern::Prefix(body.into()) } else { PathPattern::Exact(body.into()) })
    }

    /// Whether a normalised path (no query) falls under the pattern.
    pub fn matches(&self, path: &str) -> bool {
        match self {
            PathPattern::Exact(own) => **own == *path,
            PathPattern::Prefix(own) => path.starts_with(&**own),
        }
    }

    /// Whether every path that falls under `other` falls under `self` too.
    pub fn covers(&self, other: &PathPattern) -> bool {
        match (self, other) {
            (PathPattern::Exact(own), PathPattern::Exact(their)) => own == their,
            (PathPattern::Exact(_), PathPattern::Prefix(_)) => false,
            (PathPattern::Prefix(own), PathPattern::Exact(their) | PathPattern::Prefix(their)) => {
                their.starts_with(&**own)
            }
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathPattern::Exact(text) => f.write_str(text),
            PathPattern::Prefix(text) => write!(f, "{text}*"),
        }
    }
}

/// Something with a name and a value (a header field, a cookie, a parameter) that must be there, with any value or a certain
/// one, or must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderPattern {
    /// Its name. That of a header field is in lower case and a valid token (RFC 9110 §5.1).
    pub name: Arc<str>,
    /// What the value must be.
    pub value: HeaderValuePattern,
}

/// What the value must be for a [`HeaderPattern`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderValuePattern {
    /// Any value: it is enough that it is there.
    Present,
    /// It must not be there.
    Absent,
    /// Byte for byte this value, or one that starts, ends or goes on so.
    Text(TextPattern),
}

impl HeaderValuePattern {
    /// Whether one value satisfies the pattern.
    pub fn matches(&self, value: &[u8]) -> bool {
        match self {
            HeaderValuePattern::Present => true,
            HeaderValuePattern::Absent => false,
            HeaderValuePattern::Text(text) => text.matches(value),
        }
    }
}

/// TCP ports, as inclusive ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortSet(Vec<(u16, u16)>);

impl PortSet {
    /// A set of inclusive ranges `(first, last)`, with `first <= last`.
    pub fn new(ranges: Vec<(u16, u16)>) -> PortSet {
        PortSet(ranges)
    }

    /// Whether the port is in one of the ranges.
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|&(first, last)| first <= port && port <= last)
    }

    /// Whether there is no port at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The inclusive ranges, as written.
    pub fn ranges(&self) -> &[(u16, u16)] {
        &self.0
    }
}

/// Where a server is: by name (resolved by the relay) or by address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A host name in lower case without trailing dot.
    Name(Arc<str>),
    /// A literal address.
    Ip(IpAddr),
}

impl fmt::Display for Host {
    /// `name`, `192.0.2.1`, or `[2001:db8::1]` with the brackets an authority wants.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Ip(IpAddr::V4(address)) => write!(f, "{address}"),
            Host::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// One server of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    /// Name or address.
    pub host: Host,
    /// TCP port, never 0.
    pub port: u16,
    /// Share of the connections beside the other servers of the pool, 1..=100.
    pub weight: u32,
}

impl fmt::Display for ServerAddress {
    /// `host:port`, an IPv6 address in brackets; the weight is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl ServerAddress {
    /// Reads `host:port`, with weight 1.
    ///
    /// # Errors
    /// What is wrong with the text, as the end of a sentence.
    pub fn parse(text: &str) -> Result<ServerAddress, String> {
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err("the port is missing; write `host:port`".to_owned());
        };
        let port = match port.parse::<u16>() {
            Ok(0) | Err(_) => return Err(format!("`{port}` is not a port (1 to 65535)")),
            Ok(port) => port,
        };
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => {
                Host::Ip(IpAddr::V6(inner.parse().map_err(|_| format!("`{inner}` is not an IPv6 address"))?))
            }
            None if host.contains(':') => {
                return Err("an IPv6 address stands in brackets, `[2001:db8::1]:443`".to_owned());
            }
            None => match host.parse::<IpAddr>() {
                Ok(address) => Host::Ip(address),
                Err(_) => {
                    let lower = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
                    judge_host_name(&lower)?;
                    // `10.0.0.256` would otherwise be looked up as a name.
                    if lower.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
                        return Err(format!("`{host}` is not an IPv4 address, and no host name ends in a number"));
                    }
                    Host::Name(lower.into())
                }
            },
        };
        Ok(ServerAddress { host, port, weight: 1 })
    }
}
