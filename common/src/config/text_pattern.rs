//! Patterns for values that are plain text: the whole of it, or its beginning, end or middle. Pure; bytes compare as bytes.

use std::sync::Arc;

/// `abc`, `abc*`, `*abc` or `*abc*`, kept without the stars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextPattern {
    /// Byte for byte this text.
    Exact(Arc<str>),
    /// A text that starts so.
    Prefix(Arc<str>),
    /// A text that ends so.
    Suffix(Arc<str>),
    /// A text that has it somewhere.
    Contains(Arc<str>),
}

impl TextPattern {
    /// Reads a text with a star at its start, its end, both, or none.
    ///
    /// # Errors
    /// What is wrong with the text, as the end of a sentence.
    pub fn parse(text: &str) -> Result<TextPattern, String> {
        let (body, before) = text.strip_prefix('*').map_or((text, false), |body| (body, true));
        let (body, behind) = body.strip_suffix('*').map_or((body, false), |body| (body, true));
        if body.contains('*') {
            return Err("`*` may only stand at the end or at the start".to_owned());
        }
        if body.chars().any(|c| c.is_control() && c != '\t') {
            return Err("there are no control characters in such a value".to_owned());
        }
        if body.is_empty() && before {
            return Err("`*` alone stands for everything; leave it out".to_owned());
        }
        let body = Arc::from(body);
        Ok(match (before, behind) {
            (false, false) => TextPattern::Exact(body),
            (false, true) => TextPattern::Prefix(body),
            (true, false) => TextPattern::Suffix(body),
            (true, true) => TextPattern::Contains(body),
        })
    }

    /// Whether the value is meant.
    #[must_use]
    pub fn matches(&self, value: &[u8]) -> bool {
        match self {
            TextPattern::Exact(own) => own.as_bytes() == value,
            TextPattern::Prefix(own) => value.starts_with(own.as_bytes()),
            TextPattern::Suffix(own) => value.ends_with(own.as_bytes()),
            TextPattern::Contains(own) => {
                own.is_empty() || value.windows(own.len()).any(|window| window == own.as_bytes())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn stars_stand_at_the_ends() {
        for (pattern, hit, miss) in [
            ("abc", "abc", "abcd"),
            ("abc*", "abcd", "xabc"),
            ("*abc", "xabc", "abcd"),
            ("*abc*", "xabcd", "ab"),
            ("*", "", ""),
            ("", "", "a"),
        ] {
            match TextPattern::parse(pattern) {
                Ok(read) => {
                    assert!(read.matches(hit.as_bytes()), "{pattern}");
                    assert!(!read.matches(miss.as_bytes()), "{pattern}");
                }
                Err(why) => assert!(pattern == "*" && why.contains("leave it out"), "{pattern}: {why}"),
            }
        }
        assert!(TextPattern::parse("a*b").is_err() && TextPattern::parse("a\nb").is_err());
    }
}
