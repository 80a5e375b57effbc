//! Texts with placeholders (`https://${host}${target}`), read once when the file is judged, so that an unknown name is an error under
//! its source line and never an empty string at run time.
//!
//! `${name}` stands for a fact of the request, `${1}` or `${word}` for a capture of the regex beside it, `$$` for a dollar sign.
//! Pure. What the values are, and that the outcome is a valid target or header, is the business of who fills it in.

use std::fmt;
use std::sync::Arc;

use super::nearest::nearest;

/// Longest template, in bytes.
pub const MAX_TEMPLATE: usize = 4096;

/// A fact of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// Address of the client, behind trusted proxies.
    Client,
    /// Host without port, in lower case.
    Host,
    /// Normalised path.
    Path,
    /// Query without the question mark; may be empty.
    Query,
    /// Path and query as one, with the question mark if there is a query.
    Target,
    /// Method.
    Method,
    /// `https` or `http`, as the client speaks.
    Scheme,
    /// Identity of the request in our log.
    RequestId,
    /// Server name of the TLS connection; may be empty.
    Sni,
    /// JA4 fingerprint of the TLS connection; may be empty.
    Ja4,
    /// Name of the route.
    Route,
}

/// Names as they are written.
const NAMES: [(&str, Placeholder); 11] = [
    ("client", Placeholder::Client),
    ("host", Placeholder::Host),
    ("path", Placeholder::Path),
    ("query", Placeholder::Query),
    ("target", Placeholder::Target),
    ("method", Placeholder::Method),
    ("scheme", Placeholder::Scheme),
    ("request_id", Placeholder::RequestId),
    ("sni", Placeholder::Sni),
    ("ja4", Placeholder::Ja4),
    ("route", Placeholder::Route),
];

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As it is.
    Text(Arc<str>),
    /// A fact.
    Fact(Placeholder),
    /// A capture of a regex, by number or name.
    Capture(Arc<str>),
}

/// A text with placeholders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(Vec<Part>);

impl Template {
    /// Reads a template. With `captures`, names that are no fact (and numbers) are captures.
    ///
    /// # Errors
    /// What is wrong with the text, as the end of a sentence.
    pub fn parse(text: &str, captures: bool) -> Result<Template, String> {
        if text.len() > MAX_TEMPLATE {
            return Err(format!("it is longer than {MAX_TEMPLATE} bytes"));
        }
        if let Some(bad) = text.chars().find(|c| c.is_control()) {
            return Err(format!("{bad:?} may not stand here"));
        }
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, after) = rest.split_at(at);
            plain.push_str(before);
            if let Some(after) = after.strip_prefix("$$") {
                plain.push('$');
                rest = after;
                continue;
            }
            let Some((name, after)) = after.strip_prefix("${").and_then(|after| after.split_once('}')) else {
                return Err("`$` begins a placeholder, `${host}`; write `$$` for a dollar sign".to_owned());
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain).into()));
            }
            parts.push(part(name, captures)?);
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        Ok(Template(parts))
    }

    /// The pieces in order.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The text, when nothing has to be filled in.
    pub fn literal(&self) -> Option<&str> {
        match &*self.0 {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Names and numbers of the captures that it asks for.
    pub fn captures(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Capture(name) => Some(&**name),
            _ => None,
        })
    }
}

impl fmt::Display for Template {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(&text.replace('$', "$$")),
            Part::Fact(fact) => {
                let name = NAMES.iter().find(|(_, own)| own == fact).map_or("", |(name, _)| name);
                write!(f, "${{{name}}}")
            }
            Part::Capture(name) => write!(f, "${{{name}}}"),
        })
    }
}

fn part(name: &str, captures: bool) -> Result<Part, String> {
    if let Some((_, fact)) = NAMES.iter().find(|(own, _)| *own == name) {
        return Ok(Part::Fact(*fact));
    }
    let number = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    let word = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if captures && (number || word) {
        return Ok(Part::Capture(name.into()));
    }
    let known = NAMES.map(|(own, _)| format!("`${{{own}}}`")).join(", ");
    let near = nearest(name, NAMES.iter().map(|(own, _)| *own));
    let near = near.map(|near| format!(", did you mean `${{{near}}}`?")).unwrap_or_default();
    let why = if number { " (a capture needs a regex beside it)" } else { "" };
    Err(format!("there is no placeholder `${{{name}}}`{why}{near}; known: {known}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pieces_in_order() {
        let template = Template::parse("https://${host}/a$$b/${1}/${word}", true).unwrap();
        let text = |text: &str| Part::Text(text.into());
        assert_eq!(
            template.parts(),
            [
                text("https://"),
                Part::Fact(Placeholder::Host),
                text("/a$b/"),
                Part::Capture("1".into()),
                text("/"),
                Part::Capture("word".into())
            ]
        );
        assert_eq!(template.captures().collect::<Vec<_>>(), ["1", "word"]);
        assert_eq!(template.to_string(), "https://${host}/a$$b/${1}/${word}");
        assert_eq!(template.literal(), None);
        assert_eq!(Template::parse("a$$", false).unwrap().literal(), Some("a$"));
        assert_eq!(Template::parse("", false).unwrap().literal(), Some(""));
    }

    #[test]
    fn what_is_unknown_is_an_error() {
        assert!(Template::parse("${hots}", false).unwrap_err().contains("did you mean `${host}`?"));
        assert!(Template::parse("${1}", false).unwrap_err().contains("regex"));
        for bad in ["$", "a$b", "${", "${}", "${a b}", "${-}", "x\ny", "\0"] {
            assert!(Template::parse(bad, true).is_err(), "{bad:?}");
        }
        assert!(Template::parse(&"x".repeat(MAX_TEMPLATE + 1), false).is_err());
    }
}
