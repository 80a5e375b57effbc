//! Version 2: signature, command, family, length, addresses, TLVs (specification §2.2).
//!
//! TLVs are walked so that a header that lies about them is refused, and the checksum is verified if there is one
//! (the specification demands it); no other TLV is believed here.

use super::{Addresses, BadProxyHeader, MAX_HEADER, Read, crc32c};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, command, family, length.
pub(super) const FIXED: usize = 16;
pub(super) const LOCAL: u8 = 0x20;
pub(super) const PROXY: u8 = 0x21;
pub(super) const UNSPECIFIED: u8 = 0x00;
pub(super) const TCP4: u8 = 0x11;
pub(super) const TCP6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;
const UNIX_ADDRESSES: usize = 216;
const TYPE_CRC32C: u8 = 0x03;
const TLV_HEADER: usize = 3;

/// Reads bytes that agree with [`SIGNATURE`].
pub(super) fn read(bytes: &[u8]) -> Result<Read, BadProxyHeader> {
    let after = bytes.get(SIGNATURE.len()..).unwrap_or_default();
    let &[command, ..] = after else {
        return Ok(Read::Incomplete { at_least: FIXED });
    };
    if command != LOCAL && command != PROXY {
        return Err(BadProxyHeader::Command(command));
    }
    let &[_, family, high, low, ..] = after else {
        return Ok(Read::Incomplete { at_least: FIXED });
    };
    let len = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if len > MAX_HEADER {
        return Err(BadProxyHeader::TooLong(len));
    }
    let Some(header) = bytes.get(..len) else {
        return Ok(Read::Incomplete { at_least: len });
    };
    // LOCAL: the sender speaks for itself; family, addresses and TLVs must be ignored.
    let addresses = if command == LOCAL { None } else { proxied(family, header)? };
    Ok(Read::Header { len, addresses })
}

fn proxied(family: u8, header: &[u8]) -> Result<Option<Addresses>, BadProxyHeader> {
    let block = header.get(FIXED..).unwrap_or_default();
    let (addresses, tlvs) = match family {
        UNSPECIFIED => (None, None),
        TCP4 => tcp4(block)?,
        TCP6 => tcp6(block)?,
        UNIX_STREAM => (None, Some(block.get(UNIX_ADDRESSES..).ok_or(BadProxyHeader::TooShort)?)),
        other => return Err(BadProxyHeader::Family(other)),
    };
    if let Some(tlvs) = tlvs {
        check_tlvs(tlvs, header)?;
    }
    Ok(addresses)
}

type Block<'a> = (Option<Addresses>, Option<&'a [u8]>);

fn tcp4(block: &[u8]) -> Result<Block<'_>, BadProxyHeader> {
    let (source, rest) = block.split_first_chunk::<4>().ok_or(BadProxyHeader::TooShort)?;
    let (destination, rest) = rest.split_first_chunk::<4>().ok_or(BadProxyHeader::TooShort)?;
    let (ports, tlvs) = ports(rest)?;
    let source = SocketAddr::from((Ipv4Addr::from(*source), ports.0));
    let destination = SocketAddr::from((Ipv4Addr::from(*destination), ports.1));
    Ok((Some(Addresses { source, destination }), Some(tlvs)))
}

fn tcp6(block: &[u8]) -> Result<Block<'_>, BadProxyHeader> {
    let (source, rest) = block.split_first_chunk::<16>().ok_or(BadProxyHeader::TooShort)?;
    let (destination, rest) = rest.split_first_chunk::<16>().ok_or(BadProxyHeader::TooShort)?;
    let (ports, tlvs) = ports(rest)?;
    let source = SocketAddr::from((Ipv6Addr::from(*source), ports.0));
    let destination = SocketAddr::from((Ipv6Addr::from(*destination), ports.1));
    Ok((Some(Addresses { source, destination }), Some(tlvs)))
}

fn ports(bytes: &[u8]) -> Result<((u16, u16), &[u8]), BadProxyHeader> {
    let (&[a, b, c, d], rest) = bytes.split_first_chunk::<4>().ok_or(BadProxyHeader::TooShort)?;
    Ok(((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])), rest))
}

/// `tlvs` are the end of `header`.
fn check_tlvs(tlvs: &[u8], header: &[u8]) -> Result<(), BadProxyHeader> {
    let mut rest = tlvs;
    let mut checksum_at = None;
    while !rest.is_empty() {
        let (&[kind, high, low], after) = rest.split_first_chunk::<TLV_HEADER>().ok_or(BadProxyHeader::Tlv)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (_, next) = after.split_at_checked(length).ok_or(BadProxyHeader::Tlv)?;
        if kind == TYPE_CRC32C {
            let at = header.len() - after.len();
            if length != 4 || checksum_at.replace(at).is_some() {
                return Err(BadProxyHeader::Tlv);
            }
        }
        rest = next;
    }
    match checksum_at {
        Some(at) if !checksum_holds(header, at) => Err(BadProxyHeader::Checksum),
        _ => Ok(()),
    }
}

/// The checksum covers the whole header with its own four bytes, at `at`, as zeroes.
fn checksum_holds(header: &[u8], at: usize) -> bool {
    let (before, rest) = header.split_at_checked(at).unwrap_or_default();
    let Some((claimed, after)) = rest.split_first_chunk::<4>() else { return false };
    crc32c::checksum([before, &[0; 4], after]) == u32::from_be_bytes(*claimed)
}
