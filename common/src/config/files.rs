//! The files that the configuration names: whether they are there (asked by `bulkhead check` and the launcher, who may
//! read all of them), and the contents of those that belong to one process, read before its sandbox closes.

use super::diagnostic::Diagnostic;
use super::ledger::{Ledger, NamedFile};
use super::rule_files::{self, OnDisk};
use crate::credentials;
use crate::process::Process;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest file that is read, in bytes.
pub const MAX_NAMED_FILE: u64 = 64 << 20;

/// A file that the configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReference {
    /// The key that names it: `site.certificate`.
    pub key: &'static str,
    /// Where it is; absolute, unless the configuration itself was named by a relative path.
    pub path: PathBuf,
    /// Whether others should not be able to read it.
    pub secret: bool,
}

impl FileReference {
    /// Whether a file that cannot be read is the trouble of one site only when files are renewed: tls-terminator knows what it had
    /// so far, and uses the last good one on.
    pub fn may_fail(&self) -> bool {
        may_fail(self.key)
    }

    /// Whether `process` is the one that works with it.
    pub fn is_for(&self, process: Process) -> bool {
        let section = self.key.split('.').next().unwrap_or_default();
        match section {
            "site" => process == Process::TlsTerminator,
            "pool" => process == Process::HttpFilter,
            own => own == process.name(),
        }
    }
}

impl From<&NamedFile> for FileReference {
    fn from(file: &NamedFile) -> Self {
        Self { key: file.key, path: file.path.clone(), secret: file.secret }
    }
}

fn may_fail(key: &str) -> bool {
    is_of_a_pair(key) || matches!(key, "site.client_ca" | "site.crl" | "tls-terminator.ticket_keys")
}

/// What of them a reload puts up with, too: tls-terminator keeps pairs, and says what it keeps.
fn is_of_a_pair(key: &str) -> bool {
    matches!(key, "site.certificate" | "site.key" | "site.ocsp")
}

/// Contents of the files of one process, or why there are none. A process whose sandbox is closed opens nothing; whatever it
/// needs is in here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    contents: BTreeMap<PathBuf, Result<Arc<[u8]>, Arc<str>>>,
    renewal: bool,
}

impl Files {
    /// Reads those of `process`; of patterns of rule files everything that they lead to ([`rule_files`]).
    ///
    /// # Errors
    /// One sentence for each that cannot be read; those that may fail ([`FileReference::may_fail`]) take it with them instead.
    pub fn read(references: &[FileReference], process: Process) -> Result<Files, Vec<String>> {
        let mut files = BTreeMap::new();
        let mut errors = Vec::new();
        let mut rules = OnDisk::new();
        for reference in references.iter().filter(|reference| reference.is_for(process)) {
            if rule_files::is_key(reference.key) {
                let faults = rules.add(&reference.path).into_iter();
                errors.extend(faults.map(|fault| format!("{}: {}", reference.key, fault.what)));
                continue;
            }
            match contents(&reference.path) {
                Ok(bytes) => {
                    files.insert(reference.path.clone(), Ok(bytes));
                }
                Err(why) if reference.may_fail() => {
                    files.insert(reference.path.clone(), Err(why.into()));
                }
                Err(why) => errors.push(format!("{}: {}: {why}", reference.key, reference.path.display())),
            }
        }
        files.extend(rules.found().into_iter().map(|(path, contents)| (path, Ok(contents))));
        if errors.is_empty() { Ok(Files { contents: files, renewal: false }) } else { Err(errors) }
    }

    /// These, with a sentence for each that could not be read.
    pub fn with_faults(files: impl IntoIterator<Item = (PathBuf, Result<Arc<[u8]>, Arc<str>>)>) -> Self {
        Self { contents: files.into_iter().collect(), renewal: false }
    }

    /// All of them, by path; a sentence stands for one that could not be read.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, Result<&Arc<[u8]>, &Arc<str>>)> {
        self.contents.iter().map(|(path, contents)| (path.as_path(), contents.as_ref()))
    }

    /// The same, for a configuration that is at work already: nobody waits for the answer, so what cannot be used stays as it was.
    #[must_use]
    pub fn of_a_renewal(self) -> Self {
        Self { renewal: true, ..self }
    }

    /// Whether they are.
    #[must_use]
    pub fn is_renewal(&self) -> bool {
        self.renewal
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.contents.len()
    }

    /// None at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.contents.is_empty()
    }

    /// The contents of one.
    ///
    /// # Errors
    /// It could not be read; or it was not among the files read, which is a mistake of the caller.
    pub fn get(&self, path: &Path) -> Result<&Arc<[u8]>, String> {
        let found = self
            .contents
            .get(path)
            .ok_or_else(|| format!("{} was not read when the process started", path.display()))?;
        found.as_ref().map_err(|why| format!("{}: {why}", path.display()))
    }
}

impl FromIterator<(PathBuf, Arc<[u8]>)> for Files {
    fn from_iter<I: IntoIterator<Item = (PathBuf, Arc<[u8]>)>>(files: I) -> Self {
        Self::with_faults(files.into_iter().map(|(path, contents)| (path, Ok(contents))))
    }
}

fn contents(path: &Path) -> Result<Arc<[u8]>, String> {
    let file = credentials::open(path).map_err(|error| say(&error))?;
    let mut bytes = Vec::new();
    file.take(MAX_NAMED_FILE + 1).read_to_end(&mut bytes).map_err(|error| say(&error))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_NAMED_FILE {
        return Err(format!("the file is larger than {MAX_NAMED_FILE} bytes"));
    }
    Ok(bytes.into())
}

/// Reports every named file that cannot be read, and warns of secrets that everybody can read. Where `lenient`, those that may
/// fail are warned about; one with an OCSP response always is.
pub(super) fn check(ledger: &Ledger, lenient: bool) {
    let mut rules = OnDisk::new();
    for file in ledger.files.borrow().iter() {
        if rule_files::is_key(file.key) {
            rules.add(&file.path).into_iter().for_each(|fault| ledger.report(of_rules(ledger, file, fault)));
            continue;
        }
        let shown = file.path.display();
        let problem = match credentials::open(&file.path) {
            Err(error) => Some((format!("the file cannot be opened: {}", say(&error)), reason(&error))),
            Ok(mut open) => match open.metadata() {
                Ok(metadata) if metadata.is_dir() => Some(("this is a directory".to_owned(), None)),
                Ok(metadata) if !metadata.is_file() => Some(("this is not a regular file".to_owned(), None)),
                Ok(metadata) => {
                    if file.secret && metadata.permissions().mode() & 0o007 != 0 {
                        let warning = ledger
                            .warning(file.key, "everybody on this machine can read this secret")
                            .at(&file.span, format!("mode {:04o}", metadata.permissions().mode() & 0o7777))
                            .help(format!("chmod o-rwx {shown}"));
                        ledger.report(warning);
                    }
                    let mut byte = [0_u8];
                    match open.read(&mut byte) {
                        Ok(0) => Some(("the file is empty".to_owned(), None)),
                        Ok(_) => None,
                        Err(error) => Some((format!("the file cannot be read: {}", say(&error)), reason(&error))),
                    }
                }
                Err(error) => Some((format!("the file cannot be read: {}", say(&error)), None)),
            },
        };
        if let Some((what, help)) = problem {
            let tolerated = file.key == "site.ocsp" || (lenient && is_of_a_pair(file.key));
            let error = if tolerated { ledger.warning(file.key, what) } else { ledger.error(file.key, what) };
            let mut error = error.at(&file.span, format!("{shown}"));
            if let Some(help) = help {
                error = error.help(help);
            }
            ledger.report(error);
        }
    }
}

fn of_rules(ledger: &Ledger, file: &NamedFile, fault: rule_files::Fault) -> Diagnostic {
    let error = ledger.error(file.key, fault.what).at(&file.span, "named here");
    match fault.help {
        Some(help) => error.help(help),
        None => error,
    }
}

fn say(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "it does not exist".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

fn reason(error: &std::io::Error) -> Option<String> {
    match error.kind() {
        ErrorKind::NotFound => Some("a relative path is taken from the directory of the configuration file".to_owned()),
        ErrorKind::PermissionDenied => Some("run the check as the user that starts Bulkhead".to_owned()),
        _ => None,
    }
}
