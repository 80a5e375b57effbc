//! forward-proxy → passthrough-relay: connections to where clients want to go, and finished tunnels.

use super::Ends;
pub use super::filter_to_relay::{DialRefusal, Dialed};

/// What forward-proxy asks of the relay.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub enum Outward {
    /// A call; answered with [`Dialed`]. The relay resolves the name, judges the *address it will connect to*, connects.
    Dial {
        /// Host name or address literal, validated by the caller and again by the relay.
        host: Box<str>,
        /// TCP port.
        port: u16,
        /// How long resolving and connecting may take together, milliseconds.
        deadline_ms: u32,
    },
    /// A hand-over; carries two descriptors, client then server. The relay moves bytes until both sides are done.
    Splice {
        /// Whose connection it is.
        ends: Ends,
        /// What the log calls it: `host:port` of the destination.
        label: Box<str>,
        /// The user that authenticated, for the log.
        user: Option<Box<str>>,
        /// Bytes read from the client that the server has not got yet (at most 32 KiB).
        to_server: Box<[u8]>,
        /// Bytes for the client not yet written, such as the answer to CONNECT (at most 16 KiB).
        to_client: Box<[u8]>,
    },
}

impl crate::ipc::Message for Outward {
    fn descriptors(&self) -> usize {
        match self {
            Self::Dial { .. } => 0,
            Self::Splice { .. } => 2,
        }
    }
}
