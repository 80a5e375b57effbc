//! `bulkhead rules test`: becomes `http-filter --rules-test`, because the front door links no rule engine.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use common::process::Process;

use crate::siblings;

/// Never returns unless it fails.
///
/// # Errors
/// When the program is missing or cannot be run.
pub fn test(words: Vec<OsString>) -> Result<(), String> {
    let program = siblings::find(Process::HttpFilter.name()).map_err(|error| error.to_string())?;
    let mut command = Command::new(&program);
    command.env_clear().envs(siblings::passed_environment());
    let cause = command.arg("--rules-test").args(words).exec();
    Err(siblings::SiblingError::Unusable { program, cause }.to_string())
}
