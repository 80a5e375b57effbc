//! The PROXY protocol: who the client is, told by the proxy in front of us, or told to the server behind us.
//!
//! HAProxy's specification, versions 1 (one line of text) and 2 (binary, with TLVs). Reading is pure and takes any
//! prefix of a stream, because the header is peeked or read in pieces; it never panics and asks for no more than
//! [`MAX_HEADER`] bytes. **Who may send one is not decided here**: whoever calls must ask only for connections from
//! named networks, since a header is a claim that anybody can write.

mod crc32c;
mod encode;
mod v1;
mod v2;

pub use encode::{LOCAL, MAX_TLV_VALUE, encode_v1, encode_v2};

use std::net::SocketAddr;

/// Bytes of the longest header accepted, TLVs included.
pub const MAX_HEADER: usize = 4096;

/// What a stream begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyPrefix {
    /// No verdict yet.
    Incomplete {
        /// Bytes from the start of the stream that a whole header needs at the least: always more than were given,
        /// never more than [`MAX_HEADER`].
        at_least: usize,
    },
    /// No PROXY header; the bytes belong to the client.
    Absent,
    /// A PROXY header that breaks a rule. The connection must be closed: who the client is, is unknown.
    Malformed(BadProxyHeader),
    /// A whole header.
    Header {
        /// Its bytes; what follows belongs to the client.
        len: usize,
        /// The client; `None` if the sender speaks for itself (`LOCAL`, as health checks do) or does not say
        /// (`UNKNOWN`, `UNSPEC`, a Unix socket). An IPv4 address mapped into IPv6 comes as IPv4.
        source: Option<SocketAddr>,
        /// Where the client connected to; `None` and mapped as `source`.
        destination: Option<SocketAddr>,
    },
}

/// Why a PROXY header is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProxyHeader {
    /// Version 1: no end of line within the longest line possible.
    #[error("version 1 line longer than {} bytes", v1::MAX_LINE)]
    LineTooLong,
    /// Version 1: CR without LF, or LF without CR.
    #[error("version 1 line does not end in CR LF")]
    LineEnd,
    /// Version 1: anything but TCP4, TCP6 or UNKNOWN, or too many or too few words.
    #[error("version 1 line is not 'PROXY TCP4|TCP6 source destination port port' nor 'PROXY UNKNOWN'")]
    Line,
    /// Version 1: an address or port that is none, or of the wrong family.
    #[error("version 1 line with an address or port that is none")]
    Address,
    /// Version 2 signature with another version, or a command that does not exist.
    #[error("version and command byte {0:#04x} is neither LOCAL nor PROXY of version 2")]
    Command(u8),
    /// Not a stream over IPv4, IPv6 or Unix.
    #[error("family and transport byte {0:#04x} is no stream")]
    Family(u8),
    /// Longer than [`MAX_HEADER`].
    #[error("header of {0} bytes (allowed: {MAX_HEADER})")]
    TooLong(usize),
    /// Shorter than the addresses of its family.
    #[error("header too short for the addresses it should hold")]
    TooShort,
    /// TLVs that do not add up, or a checksum TLV of the wrong size or given twice.
    #[error("TLVs do not fit the header")]
    Tlv,
    /// The CRC-32C TLV disagrees.
    #[error("checksum is wrong")]
    Checksum,
}

/// Reads the first `bytes` of a stream, of which a prefix of any length may be there.
#[must_use]
pub fn read_prefix(bytes: &[u8]) -> ProxyPrefix {
    let read = if bytes.is_empty() {
        return ProxyPrefix::Incomplete { at_least: 1 };
    } else if agree(bytes, v1::BEGINNING) {
        v1::read(bytes)
    } else if agree(bytes, v2::SIGNATURE) {
        v2::read(bytes)
    } else {
        return ProxyPrefix::Absent;
    };
    match read {
        Err(bad) => ProxyPrefix::Malformed(bad),
        Ok(Read::Incomplete { at_least }) => ProxyPrefix::Incomplete { at_least },
        Ok(Read::Header { len, addresses }) => ProxyPrefix::Header {
            len,
            source: addresses.map(|addresses| canonical(addresses.source)),
            destination: addresses.map(|addresses| canonical(addresses.destination)),
        },
    }
}

/// What one version made of the bytes.
enum Read {
    Incomplete { at_least: usize },
    Header { len: usize, addresses: Option<Addresses> },
}

#[derive(Clone, Copy)]
struct Addresses {
    source: SocketAddr,
    destination: SocketAddr,
}

/// Whether `bytes` begin with `beginning`, as far as they go.
fn agree(bytes: &[u8], beginning: &[u8]) -> bool {
    bytes.iter().zip(beginning).all(|(a, b)| a == b)
}

/// Access lists name IPv4 networks; `::ffff:10.0.0.1` must not slip past them.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests;
