//! Reading unit files: sections, keys, values; as much as comparing them takes.

use std::fs;
use std::path::PathBuf;

use common::process::Process;
use harness::binaries;

/// One `Key=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `Unit`, `Service`, `Socket`, `Install`…
    pub section: String,
    /// Before the first `=`.
    pub key: String,
    /// Behind it.
    pub value: String,
}

/// A unit file.
#[derive(Debug, Clone)]
pub struct UnitFile {
    /// `bulkhead-sni-router@.service`
    pub name: String,
    /// In order.
    pub lines: Vec<Line>,
}

impl UnitFile {
    /// Reads text.
    pub fn parse(name: &str, text: &str) -> Self {
        let mut section = String::new();
        let mut lines = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
            if let Some(title) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                title.clone_into(&mut section);
                continue;
            }
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{name}: no key in {line:?}"));
            lines.push(Line { section: section.clone(), key: key.to_owned(), value: value.to_owned() });
        }
        Self { name: name.to_owned(), lines }
    }

    /// Every value of a key, in order.
    pub fn all(&self, key: &str) -> Vec<&str> {
        self.lines.iter().filter(|line| line.key == key).map(|line| line.value.as_str()).collect()
    }

    /// Every word of every value of a key.
    pub fn words(&self, key: &str) -> Vec<&str> {
        self.all(key).into_iter().flat_map(str::split_whitespace).collect()
    }

    /// The value of a key that is there once.
    pub fn one(&self, key: &str) -> &str {
        match self.all(key)[..] {
            [value] => value,
            ref values => panic!("{}: {key} is there {} times", self.name, values.len()),
        }
    }
}

/// `systemd/`
pub fn folder() -> PathBuf {
    binaries::workspace().join("systemd")
}

/// One of ours.
pub fn read(name: &str) -> UnitFile {
    let text = fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("systemd/{name}: {error}"));
    UnitFile::parse(name, &text)
}

/// The service of a process.
pub fn service(process: Process) -> UnitFile {
    read(&format!("bulkhead-{process}@.service"))
}

/// The names of all unit files, examples not among them.
pub fn names() -> Vec<String> {
    let kinds = [".service", ".socket", ".target", ".slice", ".path"];
    let entries = fs::read_dir(folder()).expect("systemd/ is there").flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| kinds.iter().any(|kind| name.ends_with(kind))).collect();
    names.sort();
    names
}
