//! Where rule files come from: the disk, or a table in memory for a process that cannot open files any more.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Bytes that one file may have.
pub(crate) const FILE: u64 = 16 << 20;
/// Files that one pattern may name.
const NAMED: usize = 4096;

/// The only way in which this crate reads anything.
pub trait Files {
    /// The contents of a file.
    ///
    /// # Errors
    /// What the system says, or that the file is too large (16 MiB).
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The files that a pattern names, in the order of their names; `*` and `?` stand for anything but a slash. A path without either names
    /// itself, whether it exists or not.
    ///
    /// # Errors
    /// What the system says about a folder.
    fn find(&self, pattern: &Path) -> io::Result<Vec<PathBuf>>;
}

/// Reads from the disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if std::fs::metadata(path)?.len() > FILE {
            return Err(io::Error::other("the file is larger than 16 MiB"));
        }
        std::fs::read(path)
    }

    fn find(&self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        let mut found = vec![PathBuf::new()];
        for component in pattern.components() {
            let name = component.as_os_str().to_string_lossy();
            if !matches!(component, Component::Normal(_)) || !is_pattern(&name) {
                found.iter_mut().for_each(|path| path.push(component));
                continue;
            }
            let mut next = Vec::new();
            for folder in &found {
                let mut names = Vec::new();
                let folder_name = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
                for entry in std::fs::read_dir(folder_name)? {
                    let own = entry?.file_name();
                    if glob(name.as_bytes(), own.to_string_lossy().as_bytes()) {
                        names.push(own);
                    }
                }
                names.sort();
                next.extend(names.into_iter().map(|name| folder.join(name)));
                if next.len() > NAMED {
                    return Err(io::Error::other("the pattern names more than 4096 files"));
                }
            }
            found = next;
        }
        Ok(found)
    }
}

/// Reads from a table of paths and contents.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Contents by path.
    pub files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Files for Memory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.get(path).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn find(&self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        let text = pattern.to_string_lossy();
        if !is_pattern(&text) {
            return Ok(vec![pattern.to_owned()]);
        }
        let names = self.files.keys().filter(|path| glob(text.as_bytes(), path.to_string_lossy().as_bytes()));
        Ok(names.take(NAMED).cloned().collect())
    }
}

/// True if the text holds `*` or `?`.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Matches with one step back per star: linear in practice, quadratic at worst, on names that an administrator wrote.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(seen) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(wanted) if (*wanted == b'?' && *byte != b'/') || wanted == byte => {
                at += 1;
                seen += 1;
            }
            _ => match star {
                Some((from, eaten)) if name.get(eaten) != Some(&b'/') => {
                    star = Some((from, eaten + 1));
                    at = from + 1;
                    seen = eaten + 1;
                }
                _ => return false,
            },
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn patterns_stop_at_slashes() {
        assert!(
            glob(b"/a/*.conf", b"/a/x.conf") && !glob(b"/a/*.conf", b"/a/b/x.conf") && !glob(b"*.conf", b"x.config")
        );
        assert!(glob(b"RE*-9??-*.conf", b"REQUEST-901-INIT.conf") && glob(b"*", b"") && !glob(b"a", b""));
    }

    #[test]
    fn the_disk_is_read_in_the_order_of_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.conf", "a.conf", "c.data"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let found = Disk.find(&folder.path().join("*.conf")).unwrap();
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["a.conf", "b.conf"]);
        assert_eq!(Disk.read(found.first().unwrap()).unwrap(), b"a.conf");
        assert!(Disk.find(&folder.path().join("none.conf")).unwrap().len() == 1, "a plain name is not looked for");
    }
}
