//! Temporary folders that the processes of a world can reach, whoever they run as, with paths short enough for the address
//! of a Unix socket (107 bytes).

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

/// A new folder; removed when dropped. World-readable when we are root, because the processes drop their user.
pub fn temporary() -> TempDir {
    let folder = tempfile::Builder::new().prefix("bh-").tempdir_in("/tmp").expect("a folder in /tmp");
    if nix::unistd::geteuid().is_root() {
        open_to_all(folder.path());
    }
    folder
}

/// Mode 0755.
pub fn open_to_all(path: &Path) {
    std::fs::set_permissions(path, Permissions::from_mode(0o755)).expect("our own file");
}

/// Writes a file only its owner may read, as keys must be.
pub fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).expect("our own folder");
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).expect("our own file");
}

/// Gives everything in `folder` to a user.
pub fn give_to(folder: &Path, uid: u32) {
    std::os::unix::fs::chown(folder, Some(uid), Some(uid)).expect("root may give away");
    for entry in std::fs::read_dir(folder).expect("our own folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            give_to(&path, uid);
        } else {
            std::os::unix::fs::chown(&path, Some(uid), Some(uid)).expect("root may give away");
        }
    }
}
