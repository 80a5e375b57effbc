//! http-filter → passthrough-relay: a connection to one of the servers that the configuration names.

use std::net::SocketAddr;

/// Asks for a connected socket. A call; may be made twice.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Dial {
    /// `host:port` exactly as the pool's table names it; anything else is refused.
    pub endpoint: Box<str>,
    /// How long connecting may take, milliseconds.
    pub deadline_ms: u32,
}

/// The answer.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub enum Dialed {
    /// Carries one descriptor: the connected socket.
    Connected {
        /// The address it is connected to.
        address: SocketAddr,
    },
    /// Nothing was connected.
    Refused {
        /// Whose fault it is.
        reason: DialRefusal,
        /// One sentence for the log.
        detail: Box<str>,
    },
}

/// Why a dial came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum DialRefusal {
    /// The configuration does not name this endpoint for this caller.
    NotConfigured,
    /// The address is of a class that may not be reached (private, loopback, our own ...).
    ForbiddenAddress,
    /// The name has no address, or cannot be looked up.
    Name,
    /// The server refused or is unreachable.
    Connect,
    /// Not connected within the deadline.
    Deadline,
    /// The relay is at its limit of connections.
    Full,
}

impl crate::ipc::Message for Dial {
    fn descriptors(&self) -> usize {
        0
    }
}

impl crate::ipc::Message for Dialed {
    fn descriptors(&self) -> usize {
        match self {
            Self::Connected { .. } => 1,
            Self::Refused { .. } => 0,
        }
    }
}
