//! What can be wrong with a rule file, said so that its author can mend it: where, what, and what would be allowed.

use std::fmt;
use std::path::{Path, PathBuf};

/// Bytes of the offending text that an error shows.
const SHOWN: usize = 80;

/// One mistake in a rule file. Loading goes on after a mistake, so that all are reported at once; a rule set with mistakes is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// The file, as it was named or found by an `Include`; empty if the text is from no file ([`crate::Adjustments`]).
    pub file: PathBuf,
    /// The line (from 1) on which the directive begins; 0 if the file as a whole is meant.
    pub line: usize,
    /// The piece of text that is wrong, shortened to 80 bytes.
    pub text: String,
    /// What is wrong with it.
    pub problem: String,
    /// What would be right; empty if there is nothing to add.
    pub allowed: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.as_os_str().is_empty() {
            write!(out, "{}:{}: ", self.file.display(), self.line)?;
        }
        out.write_str(&self.problem)?;
        if !self.text.is_empty() {
            write!(out, ": `{}`", self.text)?;
        }
        if !self.allowed.is_empty() {
            write!(out, " ({})", self.allowed)?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadError {}

/// A mistake whose place is not known yet: what the parsers of single words return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    text: String,
    problem: String,
    allowed: String,
    /// True if nothing is wrong with the text; the engine is not able to do what it says.
    beyond: bool,
}

impl Mistake {
    /// `text` is what is wrong, `problem` why.
    pub(crate) fn new(text: &str, problem: impl Into<String>) -> Self {
        Self { text: shorten(text), problem: problem.into(), allowed: String::new(), beyond: false }
    }

    /// Adds what would be right.
    pub(crate) fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = allowed.into();
        self
    }

    /// Marks it as something that the engine cannot do, rather than a mistake of the author.
    pub(crate) fn beyond(mut self) -> Self {
        self.beyond = true;
        self
    }

    pub(crate) fn is_beyond(&self) -> bool {
        self.beyond
    }

    /// Says what follows from it.
    pub(crate) fn but(mut self, consequence: &str) -> Self {
        self.problem = format!("{}; {consequence}", self.problem);
        self
    }

    /// Gives it its place.
    pub(crate) fn at(self, file: &Path, line: usize) -> LoadError {
        LoadError { file: file.to_owned(), line, text: self.text, problem: self.problem, allowed: self.allowed }
    }
}

fn shorten(text: &str) -> String {
    let mut end = text.len().min(SHOWN);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    match text.get(..end) {
        Some(head) if end < text.len() => format!("{head}..."),
        _ => text.to_owned(),
    }
}
