//! The messages, one file per edge, named `<sender>_to_<receiver>`. Nothing but data in here.

pub mod control;
pub mod explain;
pub mod filter_to_relay;
pub mod filter_to_successor;
pub mod forward_to_relay;
pub mod forward_to_successor;
pub mod launcher;
pub mod relay_to_successor;
pub mod router_to_filter;
pub mod router_to_relay;
pub mod router_to_terminator;
pub mod terminator_to_filter;

use std::net::SocketAddr;

/// Where a client's connection came from and where it arrived. With a PROXY header these are the announced addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ends {
    /// The client's address.
    pub client: SocketAddr,
    /// The address of ours that it connected to.
    pub local: SocketAddr,
}
