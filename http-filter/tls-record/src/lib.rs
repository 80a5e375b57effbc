//! tls-record: the record layer of TLS 1.3 after the handshake (RFC 8446 §5, §4.6.3, §7), without any I/O.
//!
//! tls-terminator shakes hands, then hands the socket, the two application traffic secrets and the two sequence numbers to http-filter,
//! which goes on with this crate. In the order in which a record meets the files:
//!
//! [`layer`] (both directions, what is final) → [`open`] (one record in) or [`seal`] (records out) → [`frame`] (header, type, padding) →
//! [`keys`] (key, IV, sequence number) → [`secret`] (derivation) → [`suite`]; [`update`] and [`alert`] read the two kinds of messages that may
//! come, [`fault`] is every refusal with its alert, [`limits`] what is tolerated, [`error`] what a hand-over may get wrong.
#![forbid(unsafe_code)]

mod alert;
mod error;
mod fault;
mod frame;
mod keys;
mod layer;
mod limits;
mod open;
mod seal;
mod secret;
mod suite;
mod update;

pub use alert::Alert;
pub use error::Error;
pub use fault::Fault;
pub use frame::{MAX_PLAINTEXT, MAX_RECORD, OVERHEAD};
pub use layer::{Direction, Opened, RecordLayer, State};
pub use limits::Limits;
pub use secret::Secret;
pub use suite::Suite;
