//! The PROXY header of a trusted load balancer in front of us: the only bytes this process ever consumes, and exactly
//! those (PROXY protocol specification, versions 1 and 2).

use std::net::SocketAddr;

use common::ipc::messages::Ends;
use common::net::proxy_protocol::{MAX_HEADER, ProxyPrefix, read_prefix};
use rustix::net::RecvFlags;

use super::peek::Watched;

/// Why there is no usable header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoHeader {
    /// The peer ended first.
    Gone,
    /// It sends something else, or a broken header.
    Malformed,
}

/// Reads and consumes the header that this peer owes. Addresses it does not tell stay those of the connection.
pub async fn read(socket: &Watched, ends: Ends) -> Result<Ends, NoHeader> {
    let header = socket.until(MAX_HEADER, |bytes| match read_prefix(bytes) {
        ProxyPrefix::Incomplete { at_least } if at_least <= MAX_HEADER => Err(at_least),
        other => Ok(other),
    });
    match header.await {
        None => Err(NoHeader::Gone),
        Some(ProxyPrefix::Header { len, source, destination }) => {
            consume(socket, len)?;
            Ok(announced(ends, source, destination))
        }
        Some(_) => Err(NoHeader::Malformed),
    }
}

fn announced(ends: Ends, source: Option<SocketAddr>, destination: Option<SocketAddr>) -> Ends {
    match (source, destination) {
        (Some(client), Some(local)) => Ends { client, local },
        _ => ends, // LOCAL or UNKNOWN: the balancer speaks for itself
    }
}

fn consume(socket: &Watched, length: usize) -> Result<(), NoHeader> {
    let mut left = length;
    let mut scratch = [0u8; 512];
    while left > 0 {
        let take = left.min(scratch.len());
        let room = scratch.get_mut(..take).ok_or(NoHeader::Malformed)?;
        match rustix::net::recv(socket, &mut *room, RecvFlags::DONTWAIT) {
            Ok((count, _)) if count > 0 => left -= count,
            _ => return Err(NoHeader::Gone), // it was peeked whole, so less can only mean an end
        }
    }
    Ok(())
}
