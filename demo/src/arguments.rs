//! The command line of `bulkhead-demo`: three flags, read by hand. Pure: words in, choice or complaint out.

use std::ffi::OsString;
use std::path::PathBuf;

/// Shown for `--help` and under every complaint.
pub const USAGE: &str = "\
bulkhead demo [--check] [--keep] [--dir DIR]

  (no flag)    start the five processes and two example backends, print curl lines to paste, stop on Ctrl-C
  --check      send those requests itself, print one line per request, exit 0 only if all are right
  --keep       leave the folder (certificates, configuration, log) in place at the end
  --dir DIR    work in DIR, which must be empty or not exist, instead of a new temporary folder
";

/// What the user asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// Check and end instead of waiting for Ctrl-C.
    pub check: bool,
    /// Do not remove the folder at the end.
    pub keep: bool,
    /// Work here instead of in a new temporary folder.
    pub dir: Option<PathBuf>,
    /// Print the usage and end.
    pub help: bool,
}

/// Reads the words after the program's name.
///
/// # Errors
/// A sentence that names the word that was not understood and what is allowed.
pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Arguments, String> {
    let mut arguments = Arguments::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--check") => arguments.check = true,
            Some("--keep") => arguments.keep = true,
            Some("--help" | "-h") => arguments.help = true,
            Some("--dir") => {
                let dir = words.next().filter(|dir| !dir.is_empty());
                arguments.dir = Some(dir.ok_or("--dir needs a folder after it")?.into());
            }
            _ => return Err(format!("unknown argument `{}`", word.to_string_lossy())),
        }
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn words(line: &str) -> Result<Arguments, String> {
        read(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn flags_in_any_order() {
        let expected = Arguments { check: true, keep: true, dir: Some("/tmp/x".into()), help: false };
        assert_eq!(words("--keep --dir /tmp/x --check").unwrap(), expected);
        assert_eq!(words("").unwrap(), Arguments::default());
        assert!(words("-h").unwrap().help);
    }

    #[test]
    fn complaints_name_the_word() {
        assert!(words("--chek").unwrap_err().contains("`--chek`"));
        assert!(words("--dir").unwrap_err().contains("--dir needs"));
    }
}
