//! sni-router, files in the order in which a connection meets them:
//! [`accept`] → [`admission`] (pure) → [`announce`] (PROXY header) → [`peek`] → [`route`] (pure) → [`hand_over`], or
//! [`refuse`]; [`explain`] says what would become of one, [`budget`] what the process may need. The process must never consume a byte of a connection that it hands on.

pub mod accept;
pub mod admission;
pub mod announce;
pub mod budget;
pub mod explain;
pub mod hand_over;
pub mod metrics;
pub mod peek;
pub mod refuse;
pub mod route;
pub mod sandbox;
pub mod serve;

pub use serve::{Opened, check, open, serve};
