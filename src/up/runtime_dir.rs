//! The directory of the sockets: claimed for one launcher at a time, cleared of what a killed one left, removed at the end.
//!
//! Whoever can write into it can take the place of a process, so it must belong to us and to nobody else.

use std::fs;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use common::wiring::{CONTROL, EDGES};
use rustix::fs::FlockOperation;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::notes::{self, LOCK};

/// Another launcher may take its lock away while we wait for it; so often we look again.
const LOCK_ATTEMPTS: usize = 5;

/// Who is to own a file.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Owner {
    /// Hands a file or folder over.
    pub fn give(self, path: &Path) -> Result<(), String> {
        std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid))
            .map_err(|error| format!("error: cannot give {} to uid {}: {error}", path.display(), self.uid))
    }
}

/// The claimed directory. Dropping it removes what was made in it.
#[derive(Debug)]
pub struct RuntimeDir {
    path: PathBuf,
    created: bool,
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    _lock: fs::File,
}

impl RuntimeDir {
    /// Makes the directory if it is missing, and claims it.
    ///
    /// # Errors
    /// When it cannot be made, is not ours alone, or is in use.
    pub fn claim(path: &Path) -> Result<Self, String> {
        let created = make(path)?;
        let claimed = judge(path).and_then(|()| lock(path));
        let lock = match claimed {
            Ok(lock) => lock,
            Err(error) => {
                if created {
                    let _ = fs::remove_dir(path);
                }
                return Err(error);
            }
        };
        let files = [LOCK, notes::TROUBLES, notes::RELOADED].map(|name| path.join(name)).into();
        let home = Self { path: path.to_owned(), created, files, folders: Vec::new(), _lock: lock };
        clear(path)?;
        Ok(home)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a folder for us alone, to be removed at the end.
    pub fn make_folder(&mut self, path: &Path) -> Result<(), String> {
        fs::DirBuilder::new()
            .mode(0o700)
            .create(path)
            .map_err(|error| format!("error: cannot make {}: {error}", path.display()))?;
        self.folders.push(path.to_owned());
        Ok(())
    }

    /// A file to be removed at the end.
    pub fn remember_file(&mut self, path: &Path) {
        self.files.push(path.to_owned());
    }

    /// Removes such a file now.
    pub fn remove_file(&mut self, path: &Path) {
        self.files.retain(|file| file != path);
        if let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("cannot remove {}: {error}", path.display());
        }
    }
}

impl Drop for RuntimeDir {
    /// The lock goes last, so that nobody claims a half-cleared directory.
    fn drop(&mut self) {
        let lock = self.files.remove(0);
        let sockets = self.files.iter().map(|file| (file, fs::remove_file(file)));
        let folders = self.folders.iter().rev().map(|folder| (folder, fs::remove_dir(folder)));
        for (path, result) in sockets.chain(folders).chain([(&lock, fs::remove_file(&lock))]) {
            if let Err(error) = result
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!("cannot remove {}: {error}", path.display());
            }
        }
        if self.created {
            let _ = fs::remove_dir(&self.path); // stays when somebody has put something into it
        }
    }
}

/// Answers whether it was made by us.
fn make(path: &Path) -> Result<bool, String> {
    match fs::DirBuilder::new().mode(0o755).create(path) {
        Ok(()) => {
            let open = fs::Permissions::from_mode(0o755); // whatever the umask; what is inside is closed
            fs::set_permissions(path, open).map_err(|error| format!("error: {}: {error}", path.display()))?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(format!(
            "error: cannot make the runtime directory {}: {error}; {}",
            path.display(),
            match error.kind() {
                io::ErrorKind::NotFound => "make the folder it is to lie in",
                _ => "start as root, or set bulkhead.runtime_dir to a folder you may write to",
            }
        )),
    }
}

fn judge(path: &Path) -> Result<(), String> {
    let wrong = |what: String| Err(format!("error: bulkhead.runtime_dir = \"{}\": {what}", path.display()));
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) => return wrong(error.to_string()),
    };
    let own = nix::unistd::geteuid();
    if !found.is_dir() {
        return wrong("this is not a folder (a link to one is not accepted): remove it or choose another".to_owned());
    }
    if found.uid() != own.as_raw() {
        return wrong(format!("it belongs to uid {}, but we run as uid {own}: choose another folder", found.uid()));
    }
    if found.mode() & 0o022 != 0 {
        return wrong(format!(
            "others may write into it (mode {:o}) and could take the place of a process: `chmod go-w` it",
            found.mode() & 0o7777
        ));
    }
    if own.is_root() {
        for folder in path.ancestors() {
            let mode = fs::metadata(folder).map_or(0o755, |found| found.mode());
            if mode & 0o001 == 0 {
                return wrong(format!(
                    "the users of the processes cannot pass through {} (mode {:o}): `chmod o+x` it, or choose another folder",
                    folder.display(),
                    mode & 0o7777
                ));
            }
        }
    }
    Ok(())
}

/// Takes the lock file and writes our pid into it.
fn lock(path: &Path) -> Result<fs::File, String> {
    let lock = path.join(LOCK);
    let failed = |error: io::Error| format!("error: cannot lock {}: {error}", lock.display());
    for _ in 0..LOCK_ATTEMPTS {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        options.custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits());
        let mut file = options.open(&lock).map_err(failed)?;
        if rustix::fs::flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut owner = String::new();
            let _ = file.take(32).read_to_string(&mut owner);
            return Err(format!(
                "error: {} is in use by another `bulkhead up` (pid {}): stop it, or choose another bulkhead.runtime_dir",
                path.display(),
                owner.trim()
            ));
        }
        // The one who held it may have removed the file between our open and our lock: then we hold a lock on nothing.
        let same = |left: fs::Metadata, right: fs::Metadata| (left.dev(), left.ino()) == (right.dev(), right.ino());
        if let (Ok(ours), Ok(theirs)) = (file.metadata(), fs::symlink_metadata(&lock))
            && same(ours, theirs)
        {
            file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
            writeln!(file, "{}", std::process::id()).map_err(failed)?;
            return Ok(file);
        }
    }
    Err(failed(io::ErrorKind::WouldBlock.into()))
}

/// Removes the sockets of a launcher that was killed. Sockets with somebody behind them are not ours to remove.
fn clear(path: &Path) -> Result<(), String> {
    for note in [notes::TROUBLES, notes::RELOADED] {
        let _ = fs::remove_file(path.join(note)); // of another life
    }
    let folders = EDGES.iter().map(|edge| edge.directory(path)).chain([path.join(CONTROL)]);
    for folder in folders {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(format!("error: {}: {error}", folder.display())),
        };
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_socket())) {
            let socket = entry.path();
            if somebody_listens(&socket) {
                return Err(format!(
                    "error: somebody listens on {}: is bulkhead running as systemd units? Stop it (`systemctl stop \
                     bulkhead.target`), or choose another bulkhead.runtime_dir",
                    socket.display()
                ));
            }
            fs::remove_file(&socket).map_err(|error| format!("error: {}: {error}", socket.display()))?;
        }
        fs::remove_dir(&folder).map_err(|error| {
            format!("error: cannot clear {}, which a killed launcher left: {error}", folder.display())
        })?;
    }
    Ok(())
}

fn somebody_listens(path: &Path) -> bool {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let connect = || {
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)
    };
    // A full queue is somebody, too.
    !matches!(connect(), Err(rustix::io::Errno::CONNREFUSED | rustix::io::Errno::PROTOTYPE))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    /// A folder that the users of the processes can pass through.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        folder
    }

    #[test]
    fn one_launcher_at_a_time_and_nothing_left() {
        let folder = folder();
        let path = folder.path().join("run");
        let mut first = RuntimeDir::claim(&path).unwrap();
        let second = RuntimeDir::claim(&path).unwrap_err();
        assert!(second.contains(&format!("pid {}", std::process::id())), "{second}");
        first.make_folder(&path.join(CONTROL)).unwrap();
        drop(first);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_killed_launcher_left_is_cleared_and_what_lives_is_not() {
        let folder = folder();
        let path = folder.path().join("run");
        let stale = EDGES[0].socket(&path, 1);
        fs::create_dir_all(stale.parent().unwrap()).unwrap();
        let listener = std::os::unix::net::UnixListener::bind(&stale).unwrap();
        drop(listener);
        let control = path.join(CONTROL);
        fs::create_dir(&control).unwrap();
        drop(RuntimeDir::claim(&path).unwrap());
        assert!(path.exists() && !stale.exists() && !control.exists());

        fs::create_dir(stale.parent().unwrap()).unwrap();
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        rustix::net::bind(&socket, &SocketAddrUnix::new(&stale).unwrap()).unwrap();
        rustix::net::listen(&socket, 1).unwrap();
        let error = RuntimeDir::claim(&path).unwrap_err();
        assert!(error.contains("somebody listens") && stale.exists(), "{error}");
    }

    #[test]
    fn a_folder_that_others_can_change_is_refused() {
        let folder = folder();
        let path = folder.path().join("run");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let error = RuntimeDir::claim(&path).unwrap_err();
        assert!(error.contains("chmod go-w"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let error = RuntimeDir::claim(&link).unwrap_err();
        assert!(error.contains("not a folder"), "{error}");
        let error = RuntimeDir::claim(&folder.path().join("no/where")).unwrap_err();
        assert!(error.contains("make the folder it is to lie in"), "{error}");
        if nix::unistd::geteuid().is_root() {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
            let error = RuntimeDir::claim(&path).unwrap_err();
            assert!(error.contains("cannot pass through"), "{error}");
        }
    }
}
