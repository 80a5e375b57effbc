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
// TEMP until the loader lands
#[derive(Debug)]
pub struct Warning;
impl std::fmt::Display for Warning {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
#[derive(Debug)]
pub struct ConfigErrors;
impl std::fmt::Display for ConfigErrors {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
impl Config {
    /// temp
    pub fn load(_: &std::path::Path) -> Result<(Config, Vec<Warning>), ConfigErrors> {
        Err(ConfigErrors)
    }
}
