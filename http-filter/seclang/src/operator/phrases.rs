//! `@pm`: any of many phrases, letters in either case.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::error::Mistake;

/// A list of phrases, ready to be looked for.
#[derive(Debug)]
pub(crate) struct Phrases {
    /// As written.
    pub(crate) list: Vec<Box<[u8]>>,
    automaton: AhoCorasick,
}

impl Phrases {
    /// The phrases of `@pm`: between white space; `|41 42|` is bytes in hexadecimal.
    pub(crate) fn inline(text: &str) -> Result<Self, Mistake> {
        let list = text.split_ascii_whitespace().map(|phrase| phrase.as_bytes().into()).collect();
        if !text.contains('|') {
            return Self::new(list, text);
        }
        let bytes = unhex(text)?;
        Self::new(
            bytes.split(u8::is_ascii_whitespace).filter(|phrase| !phrase.is_empty()).map(Into::into).collect(),
            text,
        )
    }

    /// The phrases of a file: one a line; empty lines and those that begin with `#` are left out.
    pub(crate) fn from_file(bytes: &[u8], name: &str) -> Result<Self, Mistake> {
        let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let list = lines
            .filter(|line| !line.is_empty() && !line.trim_ascii_start().starts_with(b"#"))
            .map(Into::into)
            .collect();
        Self::new(list, name)
    }

    fn new(list: Vec<Box<[u8]>>, text: &str) -> Result<Self, Mistake> {
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&list)
            .map_err(|error| Mistake::new(text, format!("too many phrases: {error}")))?;
        Ok(Self { list, automaton })
    }

    /// The phrase found first, if any.
    pub(crate) fn find(&self, value: &[u8]) -> Option<&[u8]> {
        let found = self.automaton.find(value)?;
        self.list.get(found.pattern().as_usize()).map(AsRef::as_ref)
    }
}

fn unhex(text: &str) -> Result<Vec<u8>, Mistake> {
    let mut bytes = Vec::new();
    for (index, piece) in text.split('|').enumerate() {
        if index % 2 == 0 {
            bytes.extend_from_slice(piece.as_bytes());
            continue;
        }
        for digits in piece.split_ascii_whitespace() {
            let byte = u8::from_str_radix(digits, 16);
            bytes.push(byte.map_err(|_| Mistake::new(piece, "between bars, bytes in hexadecimal are expected"))?);
        }
    }
    Ok(bytes)
}
