//! From a judged request to a backend's answer: [`prepare`] writes what goes out, [`dialer`] gets sockets from the relay ([`socket`], [`tls`]),
//! [`pool`] balances, [`body`] streams.

pub mod body;
pub mod dialer;
pub mod pool;
pub mod prepare;
pub mod socket;
pub mod tls;

pub use pool::{Answer, ServerPool, send};
pub use prepare::prepare;
