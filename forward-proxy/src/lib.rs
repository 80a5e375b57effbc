//! forward-proxy: CONNECT and absolute-form requests for clients that go out, files in the order in which a connection
//! meets them.
//!
//! [`accept`] reads the first [`head`] → [`destination`] (pure: where to) → [`admit`]: [`authenticate`] (who), [`decide`]
//! (pure: may they) → [`outward`] (the relay dials, and judges the address) → [`connect_tunnel`] gives both sockets away,
//! or [`plain_forward`] stays in between (answering with [`answered`]); [`refuse`] says no and why.
//! [`access_log`] writes one line for each, [`explain`] says what would become of one, [`budget`] what the process may need. [`serve`] holds it all together,
//! and when it finishes, connections go on in the [`succession`].
//!
//! It parses what clients send, so it owns no network: it accepts on sockets it inherited and connects nowhere.
#![forbid(unsafe_code)]

pub mod accept;
pub mod access_log;
pub mod admit;
pub mod answered;
pub mod authenticate;
pub mod budget;
pub mod connect_tunnel;
pub mod decide;
pub mod destination;
pub mod explain;
pub mod head;
pub mod metrics;
pub mod outward;
pub mod plain_forward;
pub mod refuse;
pub mod sandbox;
pub mod serve;
pub mod succession;

pub use serve::{Opened, check, open, serve};
