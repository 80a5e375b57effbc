//! From a judged request to a backend's answer: [`prepare`] writes what goes out, [`dialer`] gets sockets from the relay ([`socket`], [`tls`]),
//! [`pool`] knows the servers ([`sticky`] and [`cookies`]: whose client it is, [`queue`]: who waits, [`health`]: who is well), [`send`] tries
//! them ([`retry`]: when another one, [`deadline`]: how long in all), [`body`] streams what
//! the client sends, and keeps what is looked at before ([`held`]). [`command`] is for operators.

pub mod body;
pub mod command;
pub mod cookies;
pub mod deadline;
pub mod dialer;
pub mod health;
pub mod held;
pub mod pool;
pub mod prepare;
pub mod queue;
pub mod retry;
pub mod send;
pub mod socket;
pub mod sticky;
pub mod tls;

pub use pool::{Answer, ServerPool};
pub use prepare::prepare;
pub use send::send;
