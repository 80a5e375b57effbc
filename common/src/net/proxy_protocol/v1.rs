//! Version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n` (specification §2.1).
//!
//! Exactly that: single blanks, no leading zeros, no signs. Two readers of a sloppy line could see two clients.

use super::{Addresses, BadProxyHeader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

pub(super) const BEGINNING: &[u8] = b"PROXY ";
/// With CR LF: what `UNKNOWN` and two long IPv6 addresses may take.
pub(super) const MAX_LINE: usize = 107;
const SHORTEST: usize = b"PROXY UNKNOWN\r\n".len();

/// Reads bytes that agree with [`BEGINNING`].
pub(super) fn read(bytes: &[u8]) -> Result<Read, BadProxyHeader> {
    let window = bytes.get(..MAX_LINE).unwrap_or(bytes);
    // CR must stand before the last byte possible; whoever waited for it there has refused the line already.
    let Some(end) = window.iter().take(MAX_LINE - 1).position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return wait(window.len(), 2);
    };
    let (line, ending) = window.split_at_checked(end).ok_or(BadProxyHeader::LineEnd)?;
    match ending {
        [b'\r'] => wait(window.len(), 1),
        [b'\r', b'\n', ..] => Ok(Read::Header { len: end + 2, addresses: addresses(line)? }),
        _ => Err(BadProxyHeader::LineEnd),
    }
}

/// `missing`: bytes that must still come at the least.
fn wait(present: usize, missing: usize) -> Result<Read, BadProxyHeader> {
    match present + missing {
        too_many if too_many > MAX_LINE => Err(BadProxyHeader::LineTooLong),
        enough => Ok(Read::Incomplete { at_least: enough.max(SHORTEST) }),
    }
}

fn addresses(line: &[u8]) -> Result<Option<Addresses>, BadProxyHeader> {
    let line = str::from_utf8(line).map_err(|_| BadProxyHeader::Line)?;
    let mut words = line.split(' ').skip(1);
    let addresses = match words.next() {
        // Whatever follows must be ignored, says the specification.
        Some("UNKNOWN") => return Ok(None),
        Some("TCP4") => pair::<Ipv4Addr>(&mut words)?,
        Some("TCP6") => pair::<Ipv6Addr>(&mut words)?,
        _ => return Err(BadProxyHeader::Line),
    };
    if words.next().is_some() { Err(BadProxyHeader::Line) } else { Ok(Some(addresses)) }
}

fn pair<'a, T: FromStr + Into<IpAddr>>(words: &mut impl Iterator<Item = &'a str>) -> Result<Addresses, BadProxyHeader> {
    let mut word = || words.next().ok_or(BadProxyHeader::Line);
    let address = |text: &str| text.parse::<T>().map(Into::into).map_err(|_| BadProxyHeader::Address);
    let (source, destination) = (address(word()?)?, address(word()?)?);
    let (source_port, destination_port) = (port(word()?)?, port(word()?)?);
    Ok(Addresses {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    })
}

fn port(text: &str) -> Result<u16, BadProxyHeader> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().map_err(|_| BadProxyHeader::Address) } else { Err(BadProxyHeader::Address) }
}
