//! Whether a process ends well. Exit code 0 is for who was told to finish, so that whoever starts it again can tell. Pure.

use super::StartError;

/// `broken`: what has ended without which nothing is served. `told`: somebody has told the process to finish.
///
/// # Errors
/// Why it does not end well.
pub(super) fn judge(broken: Option<&'static str>, told: bool) -> Result<(), StartError> {
    match broken {
        Some(what) => Err(StartError::Other(format!("{what} has ended"))),
        None if told => Ok(()),
        None => Err(StartError::Other("it has stopped serving although nobody told it to".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_was_told_to_finish_ends_well() {
        let why = |broken, told| judge(broken, told).err().map(|why| why.to_string());
        assert!(why(None, false).is_some_and(|why| why.contains("nobody told it")));
        // Then it tells itself.
        assert!(why(Some("accepting"), true).is_some_and(|why| why.contains("accepting has ended")));
        assert_eq!(why(None, true), None);
    }
}
