//! A text of the file with a grammar of its own, which another crate understands (an expression, a regular expression): kept with
//! its place, so that what is wrong inside it can be drawn under the source line at the right column. Pure.

use super::diagnostic::{Diagnostic, Severity, Source, Span};
use std::ops::Range;
use std::sync::Arc;

/// A text and where it stands. Two are equal when their texts are.
#[derive(Clone)]
pub struct Located {
    text: Arc<str>,
    key: &'static str,
    /// Of the value, with its quotes.
    span: Span,
    /// Whether it stands there as a TOML string.
    quoted: bool,
    source: Arc<Source>,
}

impl Located {
    pub(super) fn new(text: &str, key: &'static str, span: Span, source: &Arc<Source>) -> Located {
        Located { text: text.into(), key, span, quoted: true, source: Arc::clone(source) }
    }

    /// A text that stands in no file: for tests and tools.
    #[must_use]
    pub fn alone(text: &str) -> Located {
        let source = Source { name: "expression".to_owned(), text: text.to_owned() };
        Located { text: text.into(), key: "", span: 0..text.len(), quoted: false, source: Arc::new(source) }
    }

    /// The text, without quotes and with escapes resolved.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What is wrong with the bytes `at` of the text. `label` stands beside the underline.
    #[must_use]
    pub fn fault(&self, at: Range<usize>, what: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        let (from, to) = (self.place(at.start), self.place(at.end.max(at.start)));
        Diagnostic::new(Severity::Error, &self.source, self.key, what.into()).at(&(from..to.max(from)), label)
    }

    /// Where the byte `at` of the text stands in the file: TOML strings (TOML 1.0, "String") have quotes and escapes.
    fn place(&self, at: usize) -> usize {
        if !self.quoted {
            return self.span.start + at.min(self.span.len());
        }
        let raw = self.source.text.get(self.span.clone()).unwrap_or_default();
        let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| raw.starts_with(quote)).unwrap_or_default();
        let mut place = quote.len();
        if quote.len() == 3 {
            // A line break right after the opening quotes is no part of the text.
            let rest = raw.get(place..).unwrap_or_default();
            place += if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with('\n')) };
        }
        let escapes = quote.starts_with('"');
        let mut seen = 0;
        while seen < at {
            let rest = raw.get(place..).unwrap_or_default();
            let Some(first) = rest.chars().next() else { break };
            let (taken, stands_for) =
                if escapes && first == '\\' { escape(rest) } else { (first.len_utf8(), first.len_utf8()) };
            place += taken;
            seen += stands_for;
        }
        self.span.start + place.min(raw.len())
    }
}

/// Bytes that an escape takes in the file, and in the text.
fn escape(raw: &str) -> (usize, usize) {
    let digits = match raw.as_bytes().get(1) {
        Some(b'x') => 2,
        Some(b'u') => 4,
        Some(b'U') => 8,
        // A line that ends in a backslash goes on at the next character that is not white space.
        Some(next) if next.is_ascii_whitespace() => {
            let rest = raw.get(1..).unwrap_or_default();
            return (raw.len() - rest.trim_start().len(), 0);
        }
        _ => return (raw.len().min(2), 1),
    };
    let code = raw.get(2..2 + digits).and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
    (2 + digits, code.map_or(1, char::len_utf8))
}

impl PartialEq for Located {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Located {}

impl std::fmt::Debug for Located {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn column(value: &str, text: &str, mark: &str) -> usize {
        let source = Arc::new(Source { name: "b.toml".to_owned(), text: format!("when = {value}\n") });
        let located = Located::new(text, "http-filter.access.when", 7..7 + value.len(), &source);
        let at = text.find(mark).unwrap();
        let place = located.place(at);
        assert!(source.text[place..].starts_with(&mark[..1]), "{value}: {place}");
        located.fault(at..at + mark.len(), "x", "y").position().1
    }

    #[test]
    fn the_place_inside_a_text_is_found_behind_quotes_and_escapes() {
        assert_eq!(column("'a == b'", "a == b", "b"), 14);
        assert_eq!(column("\"a == b\"", "a == b", "b"), 14);
        assert_eq!(column(r#""\"ä\" == b""#, "\"ä\" == b", "b"), 18);
        assert_eq!(column(r#""\u00e4 == b""#, "ä == b", "b"), 19);
        assert_eq!(column("'''a == b'''", "a == b", "b"), 16);
        assert_eq!(column("'''\na == b'''", "a == b", "b"), 6);
        assert_eq!(column("\"\"\"a \\\n   == b\"\"\"", "a == b", "b"), 7);
    }

    #[test]
    fn a_place_outside_is_moved_inside() {
        let source = Arc::new(Source { name: "b.toml".to_owned(), text: "when = 'ab'".to_owned() });
        let located = Located::new("ab", "k", 7..11, &source);
        drop(located.fault(0..900, "x", "y").render(false));
        drop(Located::new("ab", "k", 70..110, &source).fault(90..95, "x", "y").render(false));
    }
}
