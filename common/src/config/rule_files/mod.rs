//! The rule files of `[http-filter.web-attacks]`: what a pattern names, what these files include, and the data files that their
//! rules read. A process whose sandbox is closed opens nothing, so all of them are found beforehand, by whoever may read them; the
//! same search over what was found ([`RuleFiles`]) tells the process which of its files belong to which set of rules.
//!
//! Nothing here knows what a rule means: lines, quotes and four words are looked at (`scan`). Every search is bounded, also where files
//! include one another.

mod glob;
mod scan;

use scan::{Kind, Mention};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Files;
use crate::credentials;

/// How deep files may include one another.
pub const MAX_DEPTH: usize = 8;
/// Most files of all patterns of one process.
pub const MAX_FILES: usize = 2_000;
/// Most bytes of them, together.
pub const MAX_BYTES: usize = 64 << 20;
/// Most names that are looked at in folders for one pattern.
const MAX_NAMES: usize = 65_536;

/// Whether a key names rule files.
pub(super) fn is_key(key: &str) -> bool {
    matches!(key, "http-filter.web-attacks.rules" | "http-filter.web-attacks.shadow")
}

/// The files of one set of rules, by the paths at which its patterns and includes name them. Equal ones make the same rules; they can go
/// to another thread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RuleFiles(BTreeMap<PathBuf, Arc<[u8]>>);

impl RuleFiles {
    /// Those of these patterns, of the files that were read for a process.
    ///
    /// # Errors
    /// One sentence for each that is missing.
    pub fn of(patterns: &[PathBuf], files: &Files) -> Result<Self, Vec<String>> {
        let mut search = Search::new(files);
        patterns.iter().for_each(|pattern| search.pattern(pattern));
        if search.faults.is_empty() {
            Ok(Self(search.found))
        } else {
            Err(search.faults.into_iter().map(|f| f.what).collect())
        }
    }

    /// The contents of one.
    #[must_use]
    pub fn get(&self, path: &Path) -> Option<&Arc<[u8]>> {
        self.0.get(path)
    }

    /// The paths that a pattern names, in the order of their names; a path without `*` and `?` names itself, whether it is here or not.
    #[must_use]
    pub fn find(&self, pattern: &Path) -> Vec<PathBuf> {
        if glob::is_pattern(pattern) { named(self.0.keys(), pattern) } else { vec![pattern.to_owned()] }
    }

    /// All of them, in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, &Arc<[u8]>)> {
        self.0.iter().map(|(path, contents)| (path.as_path(), contents))
    }
}

/// What is wrong with a pattern, or with a file that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The sentence, with the path in question.
    pub what: String,
    /// What to do.
    pub help: Option<&'static str>,
}

/// Finds the files of several patterns on the disk, each once.
pub(super) struct OnDisk(Search<Disk>);

impl OnDisk {
    pub(super) fn new() -> Self {
        Self(Search::new(Disk))
    }

    /// Looks for those of one more pattern, and tells what is wrong with it.
    pub(super) fn add(&mut self, pattern: &Path) -> Vec<Fault> {
        self.0.pattern(pattern);
        std::mem::take(&mut self.0.faults)
    }

    /// Everything that was found.
    pub(super) fn found(self) -> BTreeMap<PathBuf, Arc<[u8]>> {
        self.0.found
    }
}

/// Where files come from.
trait Library {
    fn read(&self, path: &Path, most: usize) -> io::Result<Arc<[u8]>>;
    fn find(&self, pattern: &Path) -> io::Result<Vec<PathBuf>>;
}

/// A search for everything that patterns lead to. Each file is read and looked through once.
struct Search<L> {
    library: L,
    found: BTreeMap<PathBuf, Arc<[u8]>>,
    bytes: usize,
    /// Those that were looked through; the others have data.
    looked_through: BTreeSet<PathBuf>,
    /// The files whose includes are being followed.
    open: Vec<PathBuf>,
    faults: Vec<Fault>,
}

impl<L: Library> Search<L> {
    fn new(library: L) -> Self {
        Self {
            library,
            found: BTreeMap::new(),
            bytes: 0,
            looked_through: BTreeSet::new(),
            open: Vec::new(),
            faults: Vec::new(),
        }
    }

    fn pattern(&mut self, pattern: &Path) {
        self.follow(pattern, "", false);
    }

    /// Takes the rule files of a pattern, which stands at `place` (a file and line; empty: in the configuration).
    fn follow(&mut self, pattern: &Path, place: &str, optional: bool) {
        let paths = match self.library.find(pattern) {
            Ok(paths) => paths,
            Err(error) if optional && error.kind() == ErrorKind::NotFound => return,
            Err(error) => return self.fault(place, pattern, say(&error), reason(&error)),
        };
        if paths.is_empty() && !optional {
            let help = "a pattern must name at least one file; in a rule file `IncludeOptional` need not";
            return self.fault(place, pattern, "the pattern names no file".to_owned(), Some(help));
        }
        for path in paths {
            if self.open.contains(&path) {
                self.fault(place, &path, "the file includes itself, by way of others or at once".to_owned(), None);
            } else if let Some(contents) = self.take(&path, place, optional) {
                self.look_through(&path, &contents);
            }
        }
    }

    /// Follows what a rule file names.
    fn look_through(&mut self, path: &Path, contents: &[u8]) {
        if !self.looked_through.insert(path.to_owned()) {
            return;
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        self.open.push(path.to_owned());
        for Mention { line, kind, name } in scan::mentions(contents) {
            let place = format!("{}:{line}", path.display());
            let named = folder.join(&name);
            match kind {
                Kind::Data => drop(self.take(&named, &place, false)),
                Kind::Include | Kind::IncludeOptional if self.open.len() >= MAX_DEPTH => {
                    self.fault(&place, &named, format!("files include one another more than {MAX_DEPTH} deep"), None);
                }
                Kind::Include => self.follow(&named, &place, false),
                Kind::IncludeOptional => self.follow(&named, &place, true),
            }
            if self.faults.len() >= MAX_FAULTS {
                break;
            }
        }
        self.open.pop();
    }

    /// The contents of a file, read once. `None`: it cannot be (noted).
    fn take(&mut self, path: &Path, place: &str, optional: bool) -> Option<Arc<[u8]>> {
        if let Some(known) = self.found.get(path) {
            return Some(Arc::clone(known));
        }
        let room = MAX_BYTES.saturating_sub(self.bytes);
        match self.library.read(path, room) {
            Ok(contents) if contents.len() > room => {
                self.fault(
                    place,
                    path,
                    format!("with it, the rule files are larger than {} MiB", MAX_BYTES >> 20),
                    None,
                );
            }
            Ok(_) if self.found.len() >= MAX_FILES => {
                self.fault(place, path, format!("there are more than {MAX_FILES} rule files"), None);
            }
            Ok(contents) => {
                self.bytes += contents.len();
                self.found.insert(path.to_owned(), Arc::clone(&contents));
                return Some(contents);
            }
            Err(error) if optional && error.kind() == ErrorKind::NotFound => {}
            Err(error) => self.fault(place, path, say(&error), reason(&error)),
        }
        None
    }

    fn fault(&mut self, place: &str, path: &Path, what: String, help: Option<&'static str>) {
        let shown = path.display();
        let what = if place.is_empty() { format!("{shown}: {what}") } else { format!("{place} names {shown}: {what}") };
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(Fault { what, help });
        }
    }
}

/// More are not told of one pattern.
const MAX_FAULTS: usize = 20;

fn say(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "it does not exist".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::IsADirectory => "this is a directory".to_owned(),
        _ => error.to_string(),
    }
}

fn reason(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::NotFound => Some(
            "a relative path is taken from the directory of the configuration file, inside a rule file from that of the rule file",
        ),
        ErrorKind::PermissionDenied => {
            Some("rules are no secret: let http-filter's user read the file and enter its folders")
        }
        ErrorKind::IsADirectory => Some("name its files: `/*.conf` behind it"),
        _ => None,
    }
}

struct Disk;

impl Library for Disk {
    /// At most one byte more than `most`.
    fn read(&self, path: &Path, most: usize) -> io::Result<Arc<[u8]>> {
        // Asked before it is opened, because opening a pipe waits.
        match std::fs::metadata(path) {
            Ok(it) if it.is_dir() => return Err(ErrorKind::IsADirectory.into()),
            Ok(it) if !it.is_file() => return Err(io::Error::other("this is not a regular file")),
            _ => {}
        }
        let mut bytes = Vec::new();
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        credentials::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(bytes.into())
    }

    fn find(&self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        let mut found = vec![PathBuf::new()];
        let (mut looked_at, mut wild) = (0, false);
        for component in pattern.components() {
            let Some(wanted) = glob::wildcard(component) else {
                found.iter_mut().for_each(|path| path.push(component));
                continue;
            };
            let mut next = Vec::new();
            for folder in found {
                let shown = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
                let mut names = match names_in(shown) {
                    // What an earlier wildcard found need not be a folder, nor have one of that name.
                    Err(error) if wild && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                        continue;
                    }
                    names => names?,
                };
                looked_at += names.len();
                if looked_at > MAX_NAMES {
                    return Err(io::Error::other(format!(
                        "more than {MAX_NAMES} names lie in the folders of this pattern"
                    )));
                }
                names.retain(|name| glob::matches(wanted, name));
                next.extend(names.into_iter().map(|name| folder.join(name)));
            }
            (found, wild) = (next, true);
        }
        if glob::is_pattern(pattern) {
            found.retain(|path| std::fs::metadata(path).is_ok_and(|it| it.is_file()));
        }
        found.sort();
        Ok(found)
    }
}

fn names_in(folder: &Path) -> io::Result<Vec<OsString>> {
    std::fs::read_dir(folder)?.take(MAX_NAMES + 1).map(|entry| entry.map(|entry| entry.file_name())).collect()
}

impl Library for &Files {
    fn read(&self, path: &Path, _most: usize) -> io::Result<Arc<[u8]>> {
        self.get(path).cloned().map_err(|_| ErrorKind::NotFound.into())
    }

    fn find(&self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        if !glob::is_pattern(pattern) {
            return Ok(vec![pattern.to_owned()]);
        }
        Ok(named(self.iter().map(|(path, _)| path), pattern))
    }
}

/// Those of sorted paths that a pattern names.
fn named<P: AsRef<Path>>(paths: impl Iterator<Item = P>, pattern: &Path) -> Vec<PathBuf> {
    paths.filter(|path| glob::names(pattern, path.as_ref())).map(|path| path.as_ref().to_owned()).collect()
}
