//! Files that a process may not read itself but was given a copy of: systemd's credentials (`LoadCredential=`,
//! systemd.exec(5), "Credentials").
//!
//! The configuration names the file where it lies, so `bulkhead check`, `bulkhead reload` and the process agree on one name.
//! Under the units the folder of secrets is closed to the process, and systemd has put copies into `$CREDENTIALS_DIRECTORY`.
//! A file in a folder that was loaded as a whole is called `<id>_<name>` there, `<id>_<folder>_<name>` further down.
//!
//! Only what cannot be opened is looked for among the credentials: a copy never takes the place of a file.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Set by systemd for units with credentials.
const VARIABLE: &str = "CREDENTIALS_DIRECTORY";
/// So many names at the end of a path are tried.
const DEEPEST: usize = 4;

/// Opens a file that the configuration names, or the copy of it.
///
/// # Errors
/// What opening the file itself answered.
pub fn open(path: &Path) -> io::Result<File> {
    let refusal = match File::open(path) {
        Ok(file) => return Ok(file),
        Err(refusal) => refusal,
    };
    let folder = std::env::var_os(VARIABLE).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let copy = folder.and_then(|folder| names(path).into_iter().find_map(|name| File::open(folder.join(name)).ok()));
    copy.ok_or(refusal)
}

/// What the copy of a file may be called, the most exact name first: `/etc/bulkhead/secrets/tls-terminator/www.key` is
/// `secrets_tls-terminator_www.key`, then `tls-terminator_www.key`, then `www.key`.
fn names(path: &Path) -> Vec<String> {
    let parts: Option<Vec<&str>> = path.iter().rev().take(DEEPEST).map(|part| part.to_str()).collect();
    let parts: Vec<&str> = parts.unwrap_or_default().into_iter().filter(|part| *part != "/").collect();
    let name = |count: usize| parts.iter().take(count).rev().copied().collect::<Vec<&str>>().join("_");
    (1..=parts.len()).rev().map(name).filter(|name| !name.contains("..")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn a_copy_is_called_as_systemd_calls_it() {
        let path = Path::new("/etc/bulkhead/secrets/tls-terminator/www.key");
        let expected = [
            "bulkhead_secrets_tls-terminator_www.key",
            "secrets_tls-terminator_www.key",
            "tls-terminator_www.key",
            "www.key",
        ];
        assert_eq!(names(path), expected);
        assert_eq!(names(Path::new("www.key")), ["www.key"]);
        assert_eq!(names(Path::new("/www.key")), ["www.key"]);
        assert!(names(Path::new("/etc/../..")).is_empty());
        assert!(names(Path::new("/")).is_empty());
    }

    #[test]
    fn a_file_that_is_there_is_opened_itself_and_the_refusal_is_that_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        assert_eq!(open(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(&path, "a").unwrap();
        assert!(open(&path).is_ok());
    }
}
