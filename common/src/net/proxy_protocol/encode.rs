//! Headers for the server behind us.
//!
//! Written by us from checked values, so nothing here can fail; a value that a server might not expect is left out
//! rather than cut, because half a name is another name.

use super::v2;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Bytes of a TLV value at most; a longer one is left out. (A name has up to 253, an ALPN protocol up to 255.)
pub const MAX_TLV_VALUE: usize = 255;

const TYPE_ALPN: u8 = 0x01;
const TYPE_AUTHORITY: u8 = 0x02;

/// A whole version 2 header that says "I speak for myself": for health checks.
pub const LOCAL: [u8; 16] = *b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// A version 1 line. If only one of the two is IPv4, it is written as an IPv6 address.
#[must_use]
pub fn encode_v1(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let (from, to) = (source.port(), destination.port());
    match one_family(source, destination) {
        Family::V4(source, destination) => format!("PROXY TCP4 {source} {destination} {from} {to}\r\n"),
        Family::V6(source, destination) => format!("PROXY TCP6 {source} {destination} {from} {to}\r\n"),
    }
    .into_bytes()
}

/// A version 2 header, with the server name the client asked for and the protocol, where known.
/// If only one of the two addresses is IPv4, it is written as an IPv6 address.
#[must_use]
pub fn encode_v2(source: SocketAddr, destination: SocketAddr, authority: Option<&str>, alpn: Option<&[u8]>) -> Vec<u8> {
    let (family, mut block) = match one_family(source, destination) {
        Family::V4(source, destination) => (v2::TCP4, [source.octets(), destination.octets()].concat()),
        Family::V6(source, destination) => (v2::TCP6, [source.octets(), destination.octets()].concat()),
    };
    block.extend(source.port().to_be_bytes());
    block.extend(destination.port().to_be_bytes());
    push_tlv(&mut block, TYPE_ALPN, alpn);
    push_tlv(&mut block, TYPE_AUTHORITY, authority.map(str::as_bytes));

    let mut header = Vec::with_capacity(v2::FIXED + block.len());
    header.extend_from_slice(v2::SIGNATURE);
    header.extend([v2::PROXY, family]);
    header.extend(u16::try_from(block.len()).unwrap_or_default().to_be_bytes()); // 36 + 2 × (3 + 255) at most
    header.extend(block);
    header
}

fn push_tlv(block: &mut Vec<u8>, kind: u8, value: Option<&[u8]>) {
    let Some(value) = value.filter(|value| (1..=MAX_TLV_VALUE).contains(&value.len())) else { return };
    let Ok(length) = u16::try_from(value.len()) else { return };
    block.push(kind);
    block.extend(length.to_be_bytes());
    block.extend_from_slice(value);
}

enum Family {
    V4(std::net::Ipv4Addr, std::net::Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

fn one_family(source: SocketAddr, destination: SocketAddr) -> Family {
    match (source.ip().to_canonical(), destination.ip().to_canonical()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => Family::V4(source, destination),
        (source, destination) => Family::V6(as_v6(source), as_v6(destination)),
    }
}

fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}
