//! Who is the client, when trusted proxies stand before us? (RFC 7239 §5.2, §7.4)
//!
//! The list is read from its right end: the last entry was written by the hop that talks to us. As long as the hop is trusted, its word counts;
//! the first address that is not trusted is the client. What stands further left was written by strangers and is never believed.

use std::net::{IpAddr, SocketAddr};

use http::header::{self, HeaderMap};
use ipnet::IpNet;

use crate::framing::trim_ows;

/// Which field trusted hops write. One, not both: a client could smuggle the other past a hop that knows only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AddressSource {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (its `for` parameter).
    Forwarded,
}

/// More entries than this are not looked at.
const MAX_HOPS: usize = 64;

/// The address of the client: `peer` itself unless it is in `trusted`.
#[must_use]
pub fn client_address(trusted: &[IpNet], peer: IpAddr, source: AddressSource, headers: &HeaderMap) -> IpAddr {
    let mut client = peer.to_canonical();
    if !is_trusted(trusted, client) {
        return client;
    }
    let name = match source {
        AddressSource::XForwardedFor => "x-forwarded-for",
        AddressSource::Forwarded => header::FORWARDED.as_str(),
    };
    let lines = headers.get_all(name);
    let entries = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|b| *b == b','));
    for entry in entries.take(MAX_HOPS) {
        let address = match source {
            AddressSource::XForwardedFor => parse_node(trim_ows(entry)),
            AddressSource::Forwarded => forwarded_for(entry),
        };
        // An entry that is no address ("unknown", "_hidden", junk): the last one we could verify is the best we know.
        let Some(address) = address else { break };
        client = address;
        if !is_trusted(trusted, client) {
            break;
        }
    }
    client
}

/// Whether `address` lies in one of the networks; IPv4 in IPv6 clothes counts as IPv4.
pub(crate) fn is_trusted(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    element.split(|b| *b == b';').find_map(|pair| {
        let pair = trim_ows(pair);
        let (name, value) = pair.split_at_checked(4)?;
        name.eq_ignore_ascii_case(b"for=").then(|| parse_node(unquote(value)))?
    })
}

fn unquote(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value)
}

/// `1.2.3.4`, `1.2.3.4:5`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:5`.
fn parse_node(bytes: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(bytes).ok()?;
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|a| a.ip())).ok()?;
    Some(address.to_canonical())
}
