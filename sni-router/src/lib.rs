//! The way in and the way out: two small processes that see only ciphertext.
//!
//! [`router`] accepts a client, peeks at its ClientHello without consuming a byte, and hands the *socket* to whoever is to
//! own it. [`relay`] is the only process that connects outwards: it joins sockets and moves bytes it never looks at.
//! They share a package because they share their trust; they share no state and no process.
#![forbid(unsafe_code)]

pub mod relay;
pub mod router;
