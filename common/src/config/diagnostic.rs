//! What is wrong with a file, and how it is drawn under the source line.
//!
//! A diagnostic knows its file, so it can be printed long after the text was judged. Rendering never fails: a place that
//! lies outside the text (it cannot, but a renderer must not end a process) is moved inside.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Byte range in the text of the file.
pub(super) type Span = Range<usize>;

/// More errors than this are counted, not drawn: the first ones explain the rest.
const MAX_DRAWN: usize = 50;

/// The file as it was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// Name as the user gave it.
    pub name: String,
    /// Whole text.
    pub text: String,
}

/// Error or warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file is not used.
    Error,
    /// The file is used; this part of it is probably not what was meant.
    Warning,
}

/// One thing that is wrong, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    severity: Severity,
    key: String,
    what: String,
    place: Option<(Span, String)>,
    also: Vec<(Span, String)>,
    notes: Vec<String>,
    help: Option<String>,
    source: Arc<Source>,
}

/// A diagnostic that does not stop the file from being used.
pub type Warning = Diagnostic;

impl Diagnostic {
    pub(super) fn new(severity: Severity, source: &Arc<Source>, key: &str, what: String) -> Diagnostic {
        Diagnostic {
            severity,
            key: key.to_owned(),
            what,
            place: None,
            also: Vec::new(),
            notes: Vec::new(),
            help: None,
            source: Arc::clone(source),
        }
    }

    /// The place at fault, and what stands beside the underline.
    pub(super) fn at(mut self, span: &Span, label: impl Into<String>) -> Diagnostic {
        self.place = Some((first_line(&self.source.text, span), label.into()));
        self
    }

    /// A second place that belongs to the story.
    pub(super) fn and(mut self, span: &Span, label: impl Into<String>) -> Diagnostic {
        self.also.push((first_line(&self.source.text, span), label.into()));
        self
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Diagnostic {
        self.notes.push(note.into());
        self
    }

    /// What to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// Error or warning.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Path of the key, `sni-router.listen.address`; empty when no key is at fault.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is wrong, in one line.
    pub fn message(&self) -> String {
        if self.key.is_empty() { self.what.clone() } else { format!("`{}`: {}", self.key, self.what) }
    }

    /// 1-based line and column (in characters); 1:1 when the whole file is at fault.
    pub fn position(&self) -> (usize, usize) {
        let start = self.place.as_ref().map_or(0, |(span, _)| span.start);
        let before = self.source.text.get(..start).unwrap_or("");
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (line, column)
    }

    /// The message with the source lines it speaks of, without a newline at the end.
    pub fn render(&self, colour: bool) -> String {
        let title = self.message();
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group: Group<'_> = match &self.place {
            Some((span, label)) => {
                let mut snippet = Snippet::source(self.source.text.as_str())
                    .path(self.source.name.as_str())
                    .annotation(AnnotationKind::Primary.span(span.clone()).label(label.as_str()));
                for (span, label) in &self.also {
                    snippet = snippet.annotation(AnnotationKind::Context.span(span.clone()).label(label.as_str()));
                }
                level.primary_title(title.as_str()).element(snippet)
            }
            None => level
                .primary_title(title.as_str())
                .element(Origin::path(self.source.name.as_str()).line(1).char_column(1)),
        };
        for note in &self.notes {
            group = group.element(Level::NOTE.message(note.as_str()));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }

    fn start(&self) -> usize {
        self.place.as_ref().map_or(0, |(span, _)| span.start)
    }
}

impl fmt::Display for Diagnostic {
    /// The plain rendering.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// Why a file cannot be used: at least one error, and the warnings that were found beside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    name: String,
}

impl ConfigErrors {
    pub(super) fn new(name: &str, mut errors: Vec<Diagnostic>, mut warnings: Vec<Diagnostic>) -> ConfigErrors {
        errors.sort_by_key(Diagnostic::start);
        warnings.sort_by_key(Diagnostic::start);
        ConfigErrors { errors, warnings, name: name.to_owned() }
    }

    /// The errors in the order of the file; never empty.
    pub fn errors(&self) -> &[Diagnostic] {
        &self.errors
    }

    /// What was found beside the errors.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// Everything drawn, the count of errors as the last line.
    pub fn render(&self, colour: bool) -> String {
        let mut out = String::new();
        for diagnostic in self.errors.iter().chain(&self.warnings).take(MAX_DRAWN) {
            out.push_str(&diagnostic.render(colour));
            out.push_str("\n\n");
        }
        let drawn = self.warnings.len() + self.errors.len();
        if drawn > MAX_DRAWN {
            out.push_str(&format!("… and {} more\n\n", drawn - MAX_DRAWN));
        }
        let count = self.errors.len();
        out.push_str(&format!("{}: {count} error{}", self.name, if count == 1 { "" } else { "s" }));
        out
    }
}

impl fmt::Display for ConfigErrors {
    /// The plain rendering.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for ConfigErrors {}

/// The part of the span on its first line, inside the text and on character boundaries.
fn first_line(text: &str, span: &Span) -> Span {
    let inside = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = inside(span.start);
    let end = inside(span.end).max(start);
    let length = text.get(start..end).and_then(|part| part.find(['\n', '\r'])).unwrap_or(end - start);
    start..start + length
}
