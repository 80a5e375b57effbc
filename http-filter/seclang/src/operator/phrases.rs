//! `@pm`: any of many phrases, letters in either case.

use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::error::Mistake;

/// Bytes of all phrases of a list. CRS's longest has some 20 KiB.
const LENGTH: usize = 16 << 20;

/// A list of phrases. What finds them is made when it is first needed: the plan looks for most lists on its own.
#[derive(Debug)]
pub(crate) struct Phrases {
    /// All, as written, one behind the other, and where each ends.
    bytes: Box<[u8]>,
    ends: Box<[u32]>,
    automaton: OnceLock<Option<AhoCorasick>>,
}

/// Two lists are the same if their phrases are.
impl PartialEq for Phrases {
    fn eq(&self, other: &Self) -> bool {
        self.ends == other.ends && self.bytes == other.bytes
    }
}

impl Phrases {
    /// The phrases of `@pm`: between white space; `|41 42|` is bytes in hexadecimal.
    pub(crate) fn inline(text: &str) -> Result<Self, Mistake> {
        if !text.contains('|') {
            return Self::new(text.split_ascii_whitespace().map(str::as_bytes), text);
        }
        let bytes = unhex(text)?;
        Self::new(bytes.split(u8::is_ascii_whitespace).filter(|phrase| !phrase.is_empty()), text)
    }

    /// The phrases of a file: one a line; empty lines and those that begin with `#` are left out.
    pub(crate) fn from_file(bytes: &[u8], name: &str) -> Result<Self, Mistake> {
        let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        Self::new(lines.filter(|line| !line.is_empty() && !line.trim_ascii_start().starts_with(b"#")), name)
    }

    fn new<'a>(list: impl Iterator<Item = &'a [u8]>, text: &str) -> Result<Self, Mistake> {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for phrase in list {
            bytes.extend_from_slice(phrase);
            ends.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        }
        if bytes.len() > LENGTH {
            return Err(Mistake::new(text, "too many phrases").allowed("16 MiB of them"));
        }
        Ok(Self { bytes: bytes.into(), ends: ends.into(), automaton: OnceLock::new() })
    }

    /// All phrases, as written.
    pub(crate) fn list(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).filter_map(|number| self.phrase(number))
    }

    fn phrase(&self, number: usize) -> Option<&[u8]> {
        let start = number.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.bytes.get(start as usize..*self.ends.get(number)? as usize)
    }

    /// The phrase found first, if any.
    pub(crate) fn find(&self, value: &[u8]) -> Option<&[u8]> {
        let automaton = self.automaton.get_or_init(|| {
            AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .match_kind(MatchKind::Standard)
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(self.list())
                .ok()
        });
        self.phrase(automaton.as_ref()?.find(value)?.pattern().as_usize())
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
