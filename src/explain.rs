//! `bulkhead explain`: one key of the configuration, from the table that also makes the documentation.

use crate::say::say;

/// Prints what is known of a key or table.
///
/// # Errors
/// When there is no such key, with the nearest that exists.
pub fn run(key: &str) -> Result<(), String> {
    let text = common::config::reference::explain_key(key).map_err(|complaint| format!("error: {complaint}"))?;
    say(&text);
    Ok(())
}
