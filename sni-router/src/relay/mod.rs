//! The engine room of `passthrough-relay`: the one process that connects out. It moves bytes and never reads a meaning into them.
//!
//! The files in the order in which a connection meets them:
//! [`literal`] (is this text an address or a name?) → [`common::net::balance`] (which server? with [`health`]) → [`resolve`] (name → addresses) → [`address_guard`] (may we connect there?)
//! → [`connect`] with [`socket_options`] → [`tunnel`] (both directions, deadlines) made of two [`flow`]s, which borrow [`pipes`] for bulk.
//!
//! On top of these stand the three services: [`passthrough`], [`dial`] and [`splice`] (both tunnels count in [`tunnels`]); [`serve`] wires them up, [`generations`] is what a reload replaces, [`explain`] says what would be connected to, [`budget`] what the process may need.
//! A process that finishes is [`leaving`]: its tunnels go on in the [`succession`].
//!
//! [`literal`], [`generations`] and [`address_guard`] are pure: no socket, no file, the clock is an argument.

pub mod address_guard;
pub mod budget;
pub mod connect;
pub mod dial;
pub mod explain;
pub mod flow;
pub mod generations;
pub mod health;
pub mod leaving;
pub mod literal;
pub mod metrics;
pub mod passthrough;
pub mod pipes;
pub mod resolve;
pub mod sandbox;
pub mod serve;
pub mod socket_options;
pub mod splice;
pub mod succession;
pub mod tunnel;
pub mod tunnels;

pub use serve::{Opened, open, serve};
