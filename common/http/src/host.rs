//! Host names and authorities (RFC 3986 §3.2, RFC 9110 §7.2): one reading for Host headers, request targets, `:authority`, CONNECT and rules.
//!
//! Narrower than the RFC's `reg-name`: letters, digits, `-`, `.`, `_`, and bracketed IPv6. No percent-encoding, no user information, no zone.
//! A name whose last label is a number must be a plain dotted IPv4 address: `127.1`, `0x7f.1` and `2130706433` are read as addresses
//! by some resolvers, so they must not pass as names. Pure; allocates only when a name has to be rewritten.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest accepted host, in bytes (RFC 1035 §2.3.4 without the root dot).
pub const MAX_HOST: usize = 253;
const MAX_LABEL: usize = 63;

/// What is wrong with an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostError {
    /// Nothing before the port.
    Empty,
    /// `user@host`.
    UserInfo,
    /// Longer than [`MAX_HOST`], or a label longer than 63 bytes.
    TooLong,
    /// A character that host names do not have, or an empty label.
    BadName,
    /// Not a valid IPv4 or bracketed IPv6 address although it looks like one.
    BadAddress,
    /// Empty, zero, not a number, or above 65535.
    BadPort,
}

impl std::fmt::Display for HostError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            HostError::Empty => "the host is empty",
            HostError::UserInfo => "user information before the host is not accepted",
            HostError::TooLong => "the host is too long",
            HostError::BadName => "the host has a character or label that host names do not have",
            HostError::BadAddress => "the host looks like an IP address but is not a valid one",
            HostError::BadPort => "the port is not a number from 1 to 65535",
        })
    }
}

impl std::error::Error for HostError {}

/// A checked `host[:port]`, borrowed from where it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority<'a> {
    /// As written, without brackets and without the root dot; case not changed. Use [`Authority::host`] for decisions.
    written: &'a str,
    /// Set when the host is an address.
    pub address: Option<IpAddr>,
    /// As written; never 0.
    pub port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads and checks `host[:port]`.
    ///
    /// # Errors
    /// Says what is wrong; nothing is repaired.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, HostError> {
        if bytes.contains(&b'@') {
            return Err(HostError::UserInfo);
        }
        if let Some(rest) = bytes.strip_prefix(b"[") {
            return parse_v6(rest);
        }
        let mut parts = bytes.splitn(2, |b| *b == b':');
        let host = parts.next().unwrap_or_default();
        let port = parts.next().map(parse_port).transpose()?;
        let host = host.strip_suffix(b".").unwrap_or(host);
        let address = check_name(host)?.map(IpAddr::V4);
        Ok(Authority { written: std::str::from_utf8(host).map_err(|_| HostError::BadName)?, address, port })
    }

    /// The one form for every decision: lower case, no root dot, IPv6 compressed and without brackets.
    #[must_use]
    pub fn host(&self) -> Cow<'a, str> {
        match self.address {
            Some(IpAddr::V6(address)) => {
                let canonical = address.to_string();
                if canonical == self.written { Cow::Borrowed(self.written) } else { Cow::Owned(canonical) }
            }
            _ if self.written.bytes().any(|b| b.is_ascii_uppercase()) => Cow::Owned(self.written.to_ascii_lowercase()),
            _ => Cow::Borrowed(self.written),
        }
    }

    /// Same host, whatever the case and the way of writing an address; a missing port counts as `default_port`.
    #[must_use]
    pub fn same(&self, other: &Authority<'_>, default_port: Option<u16>) -> bool {
        let hosts = match (self.address, other.address) {
            (Some(a), Some(b)) => a == b,
            (None, None) => self.written.eq_ignore_ascii_case(other.written),
            _ => false,
        };
        hosts && self.port.or(default_port) == other.port.or(default_port)
    }
}

/// Writes `host[:port]` for a Host header or an authority, with brackets where they belong. `host` in the form of [`Authority::host`].
#[must_use]
pub fn write_authority(host: &str, port: Option<u16>) -> String {
    let bracketed = host.contains(':');
    match (bracketed, port) {
        (true, Some(port)) => format!("[{host}]:{port}"),
        (true, None) => format!("[{host}]"),
        (false, Some(port)) => format!("{host}:{port}"),
        (false, None) => host.to_owned(),
    }
}

fn parse_v6(rest: &[u8]) -> Result<Authority<'_>, HostError> {
    let mut parts = rest.splitn(2, |b| *b == b']');
    let inside = parts.next().unwrap_or_default();
    let after = parts.next().ok_or(HostError::BadAddress)?;
    let written = std::str::from_utf8(inside).map_err(|_| HostError::BadAddress)?;
    let address: Ipv6Addr = written.parse().map_err(|_| HostError::BadAddress)?;
    let port = match after.split_first() {
        None => None,
        Some((b':', port)) => Some(parse_port(port)?),
        Some(_) => return Err(HostError::BadAddress),
    };
    Ok(Authority { written, address: Some(IpAddr::V6(address)), port })
}

fn parse_port(digits: &[u8]) -> Result<u16, HostError> {
    if digits.is_empty() || digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(HostError::BadPort);
    }
    let number = digits.iter().fold(0u32, |n, b| n * 10 + u32::from(b - b'0'));
    u16::try_from(number).ok().filter(|port| *port != 0).ok_or(HostError::BadPort)
}

/// Checks a name without port; says so when it is an IPv4 address.
fn check_name(host: &[u8]) -> Result<Option<Ipv4Addr>, HostError> {
    if host.is_empty() {
        return Err(HostError::Empty);
    }
    if host.len() > MAX_HOST {
        return Err(HostError::TooLong);
    }
    let mut label = 0usize;
    let mut numeric = true;
    let mut hex_start = false;
    for &b in host {
        match b {
            b'.' if label == 0 => return Err(HostError::BadName),
            b'.' => {
                (label, numeric, hex_start) = (0, true, false);
                continue;
            }
            b'0'..=b'9' => {}
            b'x' | b'X' if label == 1 && numeric => hex_start = true,
            b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' => {}
            _ => return Err(HostError::BadName),
        }
        numeric &= b.is_ascii_digit() || (hex_start && b.is_ascii_hexdigit()) || (hex_start && label == 1);
        label += 1;
        if label > MAX_LABEL {
            return Err(HostError::TooLong);
        }
    }
    if label == 0 {
        return Err(HostError::BadName);
    }
    if !numeric {
        return Ok(None);
    }
    std::str::from_utf8(host).ok().and_then(|s| s.parse().ok()).map(Some).ok_or(HostError::BadAddress)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    fn host(s: &str) -> (String, Option<u16>) {
        let a = Authority::parse(s.as_bytes()).unwrap();
        (a.host().into_owned(), a.port)
    }

    #[test]
    fn one_form_for_every_way_of_writing() {
        assert_eq!(host("Example.COM"), ("example.com".into(), None));
        assert_eq!(host("example.com.:8080"), ("example.com".into(), Some(8080)));
        assert_eq!(host("[2001:DB8:0:0::1]:443"), ("2001:db8::1".into(), Some(443)));
        assert_eq!(host("10.0.0.1"), ("10.0.0.1".into(), None));
        assert_eq!(host("a_b-c.x0"), ("a_b-c.x0".into(), None));
        assert_eq!(host("0xx.example"), ("0xx.example".into(), None));
        assert_eq!(write_authority("2001:db8::1", Some(1)), "[2001:db8::1]:1");
    }

    #[test]
    fn refuses_what_could_be_read_twice() {
        use HostError::{BadAddress, BadName, BadPort, Empty, TooLong, UserInfo};
        let long = "a".repeat(64);
        for (text, error) in [
            ("", Empty),
            (":80", Empty),
            (".", Empty),
            ("a..b", BadName),
            (".a", BadName),
            ("a b", BadName),
            ("a%2fb", BadName),
            ("a/b", BadName),
            ("a\\b", BadName),
            ("a\0", BadName),
            ("ä.de", BadName),
            ("u@h", UserInfo),
            ("u:p@h:80", UserInfo),
            ("h:", BadPort),
            ("h:0", BadPort),
            ("h:65536", BadPort),
            ("h:80a", BadPort),
            ("h:+80", BadPort),
            ("h:80:90", BadPort),
            ("::1", BadPort),
            ("[::1", BadAddress),
            ("[::1]x", BadAddress),
            ("[fe80::1%eth0]", BadAddress),
            ("[127.0.0.1]", BadAddress),
            ("127.1", BadAddress),
            ("2130706433", BadAddress),
            ("0x7f.1", BadAddress),
            ("0x7f000001", BadAddress),
            ("0177.0.0.1", BadAddress),
            ("1.2.3.4.5", BadAddress),
            ("a.0x", BadAddress),
            ("256.1.1.1", BadAddress),
            (long.as_str(), TooLong),
        ] {
            assert_eq!(Authority::parse(text.as_bytes()), Err(error), "{text}");
        }
        assert_eq!(Authority::parse("a.".repeat(127).as_bytes()).unwrap().port, None);
        assert_eq!(Authority::parse("a.".repeat(128).as_bytes()), Err(TooLong));
    }

    #[test]
    fn sameness_ignores_case_dot_and_default_port() {
        let a = Authority::parse(b"Example.com.").unwrap();
        assert!(a.same(&Authority::parse(b"example.COM:80").unwrap(), Some(80)));
        assert!(!a.same(&Authority::parse(b"example.com:81").unwrap(), Some(80)));
        assert!(Authority::parse(b"[::1]").unwrap().same(&Authority::parse(b"[0:0::1]").unwrap(), None));
    }
}
