//! `bulkhead ticket-keys rotate FILE`: makes the file of session ticket keys, or rotates it. A timer calls it, then `bulkhead reload`.
//!
//! The file is replaced in one step, so whoever reads it finds the old one or the new one; it keeps its owner and mode. What was wrong
//! with it is said and never repaired by throwing keys away. Keys are never printed.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use common::ticket_keys::{MAX_FILE, MIN_KEY, encode, parse, rotated};

use crate::say::say;

/// Mode of a new file: its owner alone.
const PRIVATE: u32 = 0o600;

/// Rotates, or makes the first keys.
///
/// # Errors
/// Why it was not done; the file is as it was then.
pub fn rotate(file: &Path, keep: usize) -> Result<(), String> {
    let fail = |what: &str, error: &dyn std::fmt::Display| format!("error: {}: {what}: {error}", file.display());
    // Who names a link means the file behind it.
    let place = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let old = match File::open(&place) {
        Ok(open) => Some(read(&open).map_err(|error| fail("cannot read it", &error))?),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(fail("cannot open it", &error)),
    };
    if let Some((text, _)) = &old {
        parse(text).map_err(|error| fail("this is no file of ticket keys, and was left as it is", &error))?;
    }
    let (first, fresh) = (random()?, random()?);
    let text = rotated(old.as_ref().map(|(text, _)| &**text), [&first, &fresh], keep);
    let keys = parse(&text).map_err(|error| fail("cannot be rotated", &error))?.len();
    replace(&place, &text, old.map(|(_, metadata)| metadata)).map_err(|error| fail("cannot write it", &error))?;
    say(&format!("{}: {keys} keys; `bulkhead reload` puts them to work", file.display()));
    Ok(())
}

fn read(file: &File) -> std::io::Result<(String, fs::Metadata)> {
    let mut text = String::new();
    file.take(u64::try_from(MAX_FILE).unwrap_or(u64::MAX) + 1).read_to_string(&mut text)?;
    Ok((text, file.metadata()?))
}

fn random() -> Result<String, String> {
    let mut bytes = [0; MIN_KEY];
    getrandom::fill(&mut bytes).map_err(|error| format!("error: the system gives no random numbers: {error}"))?;
    Ok(encode(&bytes))
}

/// Writes beside the file, makes it last, and puts it in its place. Owner and mode are set before a byte of a key is in it.
fn replace(place: &Path, text: &str, old: Option<fs::Metadata>) -> std::io::Result<()> {
    let beside = beside(place);
    let written = (|| {
        let mut new = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(&beside)?;
        if let Some(old) = old {
            let own = new.metadata()?;
            if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
                std::os::unix::fs::fchown(&new, Some(old.uid()), Some(old.gid()))?;
            }
            // Whatever the mode was, a key is not for everybody.
            new.set_permissions(Permissions::from_mode(old.mode() & 0o770))?;
        }
        new.write_all(text.as_bytes())?;
        new.sync_all()?;
        fs::rename(&beside, place)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&beside);
        return written;
    }
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn beside(place: &Path) -> PathBuf {
    let mut name = place.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    place.with_file_name(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn it_makes_rotates_and_never_spoils() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        let keys = || parse(&fs::read_to_string(&file).unwrap()).unwrap();
        rotate(&file, 4).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let first = keys();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        for _ in 0..5 {
            rotate(&file, 4).unwrap();
        }
        assert_eq!(keys().len(), 4);
        assert!(!keys().contains(&first[0]));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        // Through a link, which stays one.
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let next = keys()[1].clone();
        rotate(&link, 2).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!((keys().len(), &keys()[0]), (2, &next));
        fs::write(&file, "rubbish!").unwrap();
        assert!(rotate(&file, 4).unwrap_err().contains("left as it is"));
        assert_eq!(fs::read_to_string(&file).unwrap(), "rubbish!");
        assert!(rotate(&folder.path().join("no/such/folder"), 4).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside it");
    }
}
