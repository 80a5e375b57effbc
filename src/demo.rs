//! `bulkhead demo`: becomes `bulkhead-demo`, which carries what the product must not: a CA, example backends, a client.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::siblings;

/// Never returns unless it fails.
///
/// # Errors
/// When the program is missing or cannot be run.
pub fn run(words: Vec<OsString>) -> Result<(), String> {
    let program = siblings::find("bulkhead-demo").map_err(|error| error.to_string())?;
    let cause = Command::new(&program).args(words).exec();
    Err(siblings::SiblingError::Unusable { program, cause }.to_string())
}
