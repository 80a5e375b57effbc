//! The one folder everything the demo writes is in.
//!
//! As root the folder is 0755, because the processes drop their user id and must still reach their sockets; as an ordinary
//! user it is 0700. Private files (keys, users) are 0600 from their first byte. The folder goes when [`Folder`] is dropped,
//! unless it is to be kept. Nothing outside it is ever written.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{Error, ErrorKind, Result, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Longest path the folder may have, in bytes: an address of an AF_UNIX socket holds 107, and the longest name inside
/// (`/run/forward-proxy-to-passthrough-relay/100.sock`) takes 49.
pub const MAX_PATH: usize = 52;

/// Where temporary folders go when `TMPDIR` does not serve.
const FALLBACK: &str = "/tmp";

/// A folder that removes itself.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    keep: bool,
    /// False when the user's own empty folder was used: then only what is in it goes.
    ours: bool,
}

impl Folder {
    /// A new folder, or `dir` when given.
    ///
    /// # Errors
    /// When it cannot be made, is not empty, or has a path longer than [`MAX_PATH`].
    pub fn create(dir: Option<&Path>, keep: bool) -> Result<Self> {
        let folder = match dir {
            Some(dir) => Self::at(dir, keep)?,
            None => Self { path: nix::unistd::mkdtemp(&base().join("bulkhead-demo-XXXXXX"))?, keep, ours: true },
        };
        let mode = if nix::unistd::geteuid().is_root() { 0o755 } else { 0o700 };
        fs::set_permissions(&folder.path, Permissions::from_mode(mode))?;
        Ok(folder)
    }

    fn at(dir: &Path, keep: bool) -> Result<Self> {
        let path = std::path::absolute(dir)?;
        if path.as_os_str().len() > MAX_PATH {
            let long = format!("{} is longer than {MAX_PATH} bytes, too long for sockets below it", path.display());
            return Err(Error::new(ErrorKind::InvalidInput, long));
        }
        if path.to_str().is_none() {
            return Err(Error::new(ErrorKind::InvalidInput, "the folder's name must be UTF-8"));
        }
        let ours = match fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error),
        };
        if !ours && fs::read_dir(&path)?.next().is_some() {
            let full = format!("{} is not empty; give a folder that is empty or does not exist", path.display());
            return Err(Error::new(ErrorKind::DirectoryNotEmpty, full));
        }
        Ok(Self { path, keep, ours })
    }

    /// The folder's absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// True if the folder stays when the demo ends.
    #[must_use]
    pub fn stays(&self) -> bool {
        self.keep
    }

    /// Makes a folder inside.
    ///
    /// # Errors
    /// What the system says.
    pub fn make_dir(&self, name: &str) -> Result<()> {
        fs::create_dir(self.join(name))
    }

    /// Writes a file anybody may read.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        self.write_with(name, text, 0o644)
    }

    /// Writes a file only the owner may read: keys, password hashes.
    ///
    /// # Errors
    /// What the system says.
    pub fn write_private(&self, name: &str, text: &str) -> Result<()> {
        self.write_with(name, text, 0o600)
    }

    fn write_with(&self, name: &str, text: &str, mode: u32) -> Result<()> {
        let path = self.join(name);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&path)?;
        // The umask may have taken bits away that a process with another user id needs.
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(text.as_bytes())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // Nothing better can be done about an error here than to leave what is left.
        if self.ours {
            let _ = fs::remove_dir_all(&self.path);
        } else if let Ok(entries) = fs::read_dir(&self.path) {
            for entry in entries.flatten() {
                let path = entry.path();
                let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            }
        }
    }
}

/// `TMPDIR`, unless it is too long for sockets or, for root, closed to the users the processes become.
fn base() -> PathBuf {
    let wanted = std::env::temp_dir();
    let short = wanted.as_os_str().len() + "/bulkhead-demo-XXXXXX".len() <= MAX_PATH;
    let reachable = !nix::unistd::geteuid().is_root() || open_to_all(&wanted);
    let usable = wanted.is_absolute() && wanted.to_str().is_some() && short && reachable;
    if usable { wanted } else { FALLBACK.into() }
}

/// True if every user may pass through the folder and all above it.
fn open_to_all(path: &Path) -> bool {
    path.ancestors().all(|part| fs::metadata(part).is_ok_and(|meta| meta.mode() & 0o001 != 0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn goes_away_unless_kept() {
        let path = Folder::create(None, false).unwrap().path().to_owned();
        assert!(!path.exists());
        let path = Folder::create(None, true).unwrap().path().to_owned();
        assert!(path.exists());
        fs::remove_dir(path).unwrap();
    }

    #[test]
    fn private_files_are_private() {
        let folder = Folder::create(None, false).unwrap();
        folder.write_private("key", "secret").unwrap();
        folder.write("ca.pem", "public").unwrap();
        assert_eq!(fs::metadata(folder.join("key")).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(folder.join("ca.pem")).unwrap().mode() & 0o777, 0o644);
    }

    #[test]
    fn a_users_own_folder_stays_but_is_emptied_and_must_be_empty() {
        let outer = Folder::create(None, false).unwrap();
        let mine = outer.join("m");
        fs::create_dir(&mine).unwrap();
        {
            let folder = Folder::create(Some(&mine), false).unwrap();
            folder.write("a", "").unwrap();
            folder.make_dir("b").unwrap();
            assert!(Folder::create(Some(&mine), false).is_err());
        }
        assert_eq!(fs::read_dir(&mine).unwrap().count(), 0);
    }

    #[test]
    fn a_path_too_long_for_sockets_is_refused_before_anything_is_made() {
        let long = PathBuf::from(format!("/tmp/{}", "x".repeat(MAX_PATH)));
        assert_eq!(Folder::create(Some(&long), false).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(!long.exists());
    }
}
