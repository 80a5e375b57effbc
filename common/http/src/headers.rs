//! Header hygiene at the hop (RFC 9110 §7.6, RFC 7239): what must not travel on is taken off, and what the backend has to know about the
//! client is put on, from connection facts and never from the client's own word.
//!
//! The header map is the dearest part of a proxied request, so one pass over the names says what is there ([`Found`]), removals
//! happen only for that, and values that stay the same for a connection are made once ([`Forwarder`]).

mod client_address;
mod cookies;
mod facts;
mod forwarded;
mod hop_by_hop;
mod max_forwards;
mod trailers;
mod websocket;

#[cfg(test)]
mod tests;

pub use client_address::{AddressSource, client_address};
pub use cookies::join_cookies;
pub use facts::Fields;
pub use forwarded::{Connection, Forwarder, Style};
pub use hop_by_hop::{Direction, Underscores, strip};
pub use max_forwards::{LastHop, count_down};
pub use trailers::keep_safe_trailers;
pub use websocket::asks_for_websocket;
