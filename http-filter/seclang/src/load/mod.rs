//! From rule files to a [`RuleSet`]: files are read in order, directives are obeyed, every mistake is collected.

mod build;
mod control;
pub(crate) mod directives;
pub(crate) mod files;
mod finish;
mod operators;
mod shared;
mod update;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::files::Files;
use crate::error::{LoadError, Mistake};
use crate::parse::{lines, words};
use crate::rule::{Disruptive, Phase, Rule};
use crate::ruleset::{RuleSet, Settings};
use crate::transform::Transform;

/// How deep files may include one another.
const DEPTH: usize = 16;
/// Errors after which loading stops: the file is not what it was taken for.
const ERRORS: usize = 100;

/// Where rules come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file, or the files of a pattern (`rules/*.conf`) in the order of their names.
    Path(PathBuf),
    /// Rules given as text, for instance exclusions that a program writes; `name` stands for the file in errors.
    Text {
        /// Shown as the file.
        name: String,
        /// The rules.
        text: String,
    },
}

/// What `SecDefaultAction` sets for one phase.
#[derive(Clone, Debug)]
struct Defaults {
    disruptive: Disruptive,
    log: bool,
    transforms: Vec<Transform>,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { disruptive: Disruptive::Pass, log: true, transforms: Vec::new() }
    }
}

/// What was written, in order.
enum Item {
    Rule(Box<Rule>),
    Marker(Arc<str>),
}

/// The state of loading.
pub(crate) struct Loader<'a> {
    files: &'a dyn Files,
    settings: Settings,
    items: Vec<Item>,
    /// The rules whose last link said `chain`: the next rule belongs to them.
    open_chain: bool,
    ids: HashMap<u64, usize>,
    defaults: [Defaults; Phase::COUNT],
    updates: Vec<update::Update>,
    directives: directives::Values,
    shared: shared::Shared,
    errors: Vec<LoadError>,
    notes: Vec<LoadError>,
    file: Arc<PathBuf>,
    line: usize,
}

/// Loads `sources` one after the other. See [`RuleSet::load`].
pub(crate) fn load(files: &dyn Files, sources: &[Source], settings: Settings) -> Result<RuleSet, Vec<LoadError>> {
    let mut loader = Loader {
        files,
        settings,
        items: Vec::new(),
        open_chain: false,
        ids: HashMap::new(),
        defaults: Default::default(),
        updates: Vec::new(),
        directives: directives::Values::default(),
        shared: shared::Shared::default(),
        errors: Vec::new(),
        notes: Vec::new(),
        file: Arc::new(PathBuf::new()),
        line: 0,
    };
    for source in sources {
        match source {
            Source::Path(path) => loader.include(path, 0, false),
            Source::Text { name, text } => loader.text(Path::new(name), text, 0),
        }
    }
    loader.finish()
}

impl Loader<'_> {
    /// Notes a mistake at the line that is being read.
    fn wrong(&mut self, mistake: Mistake) {
        let error = mistake.at(&self.file, self.line);
        self.errors.push(error);
    }

    /// Notes something that works otherwise than its author may think.
    fn note(&mut self, mistake: Mistake) {
        let note = mistake.at(&self.file, self.line);
        self.notes.push(note);
    }

    /// Reads the files of a pattern. `optional`: it need not name any.
    fn include(&mut self, pattern: &Path, depth: usize, optional: bool) {
        let shown = pattern.to_string_lossy().into_owned();
        if depth > DEPTH {
            return self.wrong(Mistake::new(&shown, "files include one another more than 16 deep"));
        }
        let paths = match self.files.find(pattern) {
            Ok(paths) => paths,
            Err(_) if optional => return,
            Err(error) => return self.wrong(Mistake::new(&shown, format!("the folder cannot be read: {error}"))),
        };
        if paths.is_empty() && !optional {
            return self
                .wrong(Mistake::new(&shown, "the pattern names no file").allowed("IncludeOptional accepts that"));
        }
        for path in paths {
            match self.files.read(&path) {
                Ok(bytes) => match String::from_utf8(bytes) {
                    Ok(text) => self.text(&path, &text, depth),
                    Err(error) => {
                        let line = error
                            .as_bytes()
                            .get(..error.utf8_error().valid_up_to())
                            .map_or(0, |good| memchr::memchr_iter(b'\n', good).count() + 1);
                        self.errors.push(
                            Mistake::new("", "the file is not UTF-8")
                                .allowed("write other bytes as \\xNN")
                                .at(&path, line),
                        );
                    }
                },
                Err(error) if optional && error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    self.wrong(Mistake::new(&path.to_string_lossy(), format!("the file cannot be read: {error}")))
                }
            }
        }
    }

    /// Obeys the directives of one file.
    fn text(&mut self, path: &Path, text: &str, depth: usize) {
        let outer = (Arc::clone(&self.file), self.line);
        self.file = Arc::new(path.to_owned());
        for line in lines::logical(text) {
            if self.errors.len() >= ERRORS {
                break;
            }
            self.line = line.number;
            if let Err(mistake) = words::split(&line.text).and_then(|words| self.directive(&words, depth)) {
                self.wrong(mistake);
            }
        }
        (self.file, self.line) = outer;
    }

    /// A path in a rule file: relative to the file's folder.
    fn beside(&self, path: &str) -> PathBuf {
        self.file.parent().map_or_else(|| PathBuf::from(path), |folder| folder.join(path))
    }
}
