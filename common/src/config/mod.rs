//! One TOML file, judged as a whole before anything is opened.
//!
//! The way of a file: text → `tree` (values with their places, every shape error collected) → [`checked`] (types that
//! cannot hold an invalid state) → the files it names (the only step that touches the disk). Who loads it takes its own
//! part and drops the rest. Secrets are paths in the file, never values.

pub mod checked;
pub mod pattern;

pub use checked::*;
pub use pattern::{
    HeaderPattern, HeaderValuePattern, Host, NamePattern, NetworkSet, PathPattern, PortSet, ServerAddress,
};
