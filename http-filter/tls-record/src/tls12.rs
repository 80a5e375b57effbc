//! TLS 1.2 behind its handshake (RFC 5246 §6.2), with the AEAD suites that tls-terminator offers and no other: AES-GCM (RFC 5288, RFC 5289)
//! and ChaCha20-Poly1305 (RFC 7905). Sibling of the TLS 1.3 layer in the files around it: the same calls, the same [`crate::Fault`]s,
//! [`crate::Limits`] and claim about nonces. The files: `layer` → `open` or `seal` → `keys` → `secret` → `suite`; `hello` counts off what a
//! client sends that wants to shake hands again; `last_words` is the farewell where nobody goes on.
//!
//! What is otherwise than in 1.3:
//!
//! - The hand-over carries keys, not secrets: nothing can be derived in 1.2 without the master secret, which opens every session that is resumed
//!   with it, and therefore stays where it is.
//! - A connection has one key per direction for life. When ours has sealed as many records as it may, the last one is a close_notify.
//! - The type of a record stands in its header, protected but readable; there is no padding, so the length of a record says that of its content.
//! - A warning does not end a connection; a few are ignored. A client that asks for a new handshake is told no (`no_renegotiation`, a
//!   warning) once, and may go on; the second time the connection ends. No handshake message but a ClientHello may come, and nothing between its
//!   parts.
//! - Compression and the suites with CBC or RC4 have no code.

mod hello;
mod keys;
mod last_words;
mod layer;
mod open;
mod seal;
mod secret;
mod suite;

pub use last_words::last_words;
pub use layer::{Direction, RecordLayer, State};
pub use secret::Keys;
pub use suite::Suite;

/// What a sealed record adds to its plaintext, bytes: header, explicit nonce (AES-GCM only), tag.
pub const OVERHEAD: usize = crate::frame::HEADER + suite::EXPLICIT + crate::frame::TAG;
