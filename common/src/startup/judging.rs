//! The second step of a start: the configuration is read, and what is wrong with it is told.

use std::path::Path;
use std::process::ExitCode;

use crate::agreement::{Agreement, Judgement};
use crate::complain::complain;
use crate::config::{Config, ConfigErrors, Text};
use crate::sandbox;

/// Reads the configuration and says what should be said about it.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(file: &Path) -> Result<(Text, Config), ConfigErrors> {
    let text = Text::read(file)?;
    let (config, warnings) = text.parse()?;
    // The launcher has said them already, once for all processes.
    if std::env::var_os(sandbox::LAUNCHER_VARIABLE).is_none() {
        warnings.iter().for_each(complain);
    }
    Ok((text, config))
}

/// Says what is wrong: to whoever waits for it, otherwise on standard error.
pub fn refuse(agreement: &Agreement, complaints: &[String]) -> ExitCode {
    // What was drawn under its source line begins so already.
    let label = |problem: &String| {
        let label = if problem.starts_with("error") { "" } else { "error: " };
        format!("{label}{problem}")
    };
    let lines = complaints.iter().map(label).collect::<Vec<_>>().join("\n");
    match agreement.is_awaited() {
        true => agreement.say(&Judgement::Refused(lines)),
        false => complain(lines),
    }
    ExitCode::FAILURE
}
