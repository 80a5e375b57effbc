//! What is changed on the way by configuration: [`values`] are the facts that templates are filled with, [`path`] makes another path,
//! [`headers`] changes header fields. Pure. Nothing here can make a message with two readings: outcomes are a target that was
//! normalised again, or `HeaderName` and `HeaderValue`, and fields of framing and of the hop cannot be named at all.

pub mod headers;
pub mod path;
pub mod values;

pub use headers::{Filled, HeaderRules};
pub use path::Rewriting;
pub use values::Values;
