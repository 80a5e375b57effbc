//! One log line, written field by field into a buffer that is used again: JSON (RFC 8259) or text. Allocates nothing.
//!
//! Bytes of strangers reach a line only as values, and whatever could end a line, a string or a terminal's colour is escaped
//! there: control characters, quotes, backslashes, and the characters that turn the direction of writing or separate lines
//! in Unicode. Nobody can forge a line or a field.

use std::fmt::{self, Write as _};

use super::stamp::Stamp;

/// Who writes, in which form: what all lines of a process have in common.
#[derive(Debug)]
pub struct Style {
    json: bool,
    process: Box<str>,
    instance: Option<u32>,
}

impl Style {
    /// From a tag such as `http-filter@1`, or `bulkhead`.
    #[must_use]
    pub fn new(tag: &str, json: bool) -> Self {
        let (process, instance) = match tag.split_once('@') {
            Some((process, number)) => (process, number.parse().ok()),
            None => (tag, None),
        };
        Self { json, process: process.into(), instance }
    }

    /// Begins a line; `level` in capitals, as `INFO`.
    pub fn begin<'a>(&self, out: &'a mut Vec<u8>, stamp: &mut Stamp, level: &str, message: &str) -> Line<'a> {
        if self.json {
            out.extend_from_slice(b"{\"time\":\"");
            stamp.now(out);
            out.extend_from_slice(b"\",\"level\":\"");
            out.extend_from_slice(level.as_bytes());
            out.extend_from_slice(b"\",\"process\":\"");
            out.extend_from_slice(self.process.as_bytes());
            out.push(b'"');
            let mut line = Line { out, json: true };
            if let Some(instance) = self.instance {
                line.number("instance", instance.into());
            }
            if !message.is_empty() {
                line.text("message", message);
            }
            return line;
        }
        stamp.now(out);
        out.extend_from_slice(b"      ".get(level.len()..).unwrap_or(b" "));
        out.extend_from_slice(level.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.process.as_bytes());
        if let Some(instance) = self.instance {
            out.push(b'@');
            decimal(out, instance.into());
        }
        out.extend_from_slice(b": ");
        escape(out, message, false);
        Line { out, json: false }
    }
}

/// A line that has begun; [`Line::end`] ends it.
#[derive(Debug)]
pub struct Line<'a> {
    out: &'a mut Vec<u8>,
    json: bool,
}

impl Line<'_> {
    /// A text. `name` is ours: it is written as it is.
    pub fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.value(value);
    }

    /// A word of ours (letters, digits, `-`, `_`, `.`, `:`, `/`): written as it is, which is cheaper.
    pub fn word(&mut self, name: &str, value: &str) {
        debug_assert!(
            value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/[]".contains(&byte)),
            "{value:?}"
        );
        self.name(name);
        if self.json {
            self.out.push(b'"');
        }
        self.out.extend_from_slice(value.as_bytes());
        if self.json {
            self.out.push(b'"');
        }
    }

    /// A text that may be absent.
    pub fn maybe(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// A text of at most `most` bytes; what is longer ends in `…`.
    pub fn cut(&mut self, name: &str, value: &str, most: usize) {
        if value.len() <= most {
            return self.text(name, value);
        }
        self.name(name);
        self.out.push(b'"');
        escape(self.out, value.get(..value.floor_char_boundary(most)).unwrap_or_default(), true);
        self.out.extend_from_slice("…\"".as_bytes());
    }

    /// Bytes that should be text; what is not UTF-8 becomes U+FFFD.
    pub fn bytes(&mut self, name: &str, value: &[u8], most: usize) {
        let (kept, rest) = value.split_at_checked(most).unwrap_or((value, &[]));
        self.name(name);
        self.out.push(b'"');
        for chunk in kept.utf8_chunks() {
            escape(self.out, chunk.valid(), true);
            if !chunk.invalid().is_empty() {
                self.out.extend_from_slice("\u{fffd}".as_bytes());
            }
        }
        if !rest.is_empty() {
            self.out.extend_from_slice("…".as_bytes());
        }
        self.out.push(b'"');
    }

    /// A number.
    pub fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        decimal(self.out, value);
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &str, value: bool) {
        self.name(name);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// A text that is formatted as it is written.
    pub fn display(&mut self, name: &str, value: impl fmt::Display) {
        self.name(name);
        self.out.push(b'"');
        // Writing into memory cannot fail; what a `Display` of ours reports is not worth a line.
        let _ = write!(Escaped(self.out), "{value}");
        self.out.push(b'"');
    }

    /// Several texts.
    pub fn texts<'t>(&mut self, name: &str, values: impl IntoIterator<Item = &'t str>) {
        self.name(name);
        self.out.push(b'[');
        for (number, value) in values.into_iter().enumerate() {
            if number > 0 {
                self.out.push(b',');
            }
            self.out.push(b'"');
            escape(self.out, value, true);
            self.out.push(b'"');
        }
        self.out.push(b']');
    }

    /// Several groups of fields, each written by `write`.
    pub fn list<T>(&mut self, name: &str, items: &[T], write: impl Fn(&mut Line<'_>, &T)) {
        self.name(name);
        self.out.push(b'[');
        for (number, item) in items.iter().enumerate() {
            if number > 0 {
                self.out.push(b',');
            }
            self.out.push(b'{');
            let begin = self.out.len();
            write(&mut Line { out: &mut *self.out, json: self.json }, item);
            // The first field has none before it.
            if self.out.len() > begin {
                self.out.remove(begin);
            }
            self.out.push(b'}');
        }
        self.out.push(b']');
    }

    /// Ends the line.
    pub fn end(self) {
        self.out.extend_from_slice(if self.json { b"}\n" } else { b"\n" });
    }

    fn name(&mut self, name: &str) {
        if self.json {
            self.out.extend_from_slice(b",\"");
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"\":");
        } else {
            self.out.push(b' ');
            self.out.extend_from_slice(name.as_bytes());
            self.out.push(b'=');
        }
    }

    fn value(&mut self, value: &str) {
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\');
        if !self.json && !value.is_empty() && value.bytes().all(plain) {
            self.out.extend_from_slice(value.as_bytes());
            return;
        }
        self.out.push(b'"');
        escape(self.out, value, true);
        self.out.push(b'"');
    }
}

struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text, true);
        Ok(())
    }
}

/// Appends a decimal number.
pub fn decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut length = 0;
    for place in digits.iter_mut().rev() {
        *place = b'0' + u8::try_from(value % 10).unwrap_or_default();
        length += 1;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - length..).unwrap_or_default());
}

/// Appends `text` so that it can stand between quotes (`quoted`), or at least on one line.
fn escape(out: &mut Vec<u8>, text: &str, quoted: bool) {
    let bytes = text.as_bytes();
    let mut written = 0;
    let mut at = 0;
    loop {
        at += harmless_prefix(bytes.get(at..).unwrap_or_default());
        let Some(&byte) = bytes.get(at) else { break };
        if !quoted && matches!(byte, b'"' | b'\\') {
            at += 1;
            continue;
        }
        let Some(character) = text.get(at..).and_then(|rest| rest.chars().next()) else { break };
        let width = character.len_utf8();
        if character.is_ascii() || is_treacherous(character) {
            out.extend_from_slice(bytes.get(written..at).unwrap_or_default());
            escape_one(out, character);
            written = at + width;
        }
        at += width;
    }
    out.extend_from_slice(bytes.get(written..).unwrap_or_default());
}

/// How many bytes at the beginning are printable ASCII other than `"` and `\`; eight are looked at together.
fn harmless_prefix(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // The classic test: some byte of `word` is 0. It may name one too many above it, never one too few.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut at = 0;
    for chunk in bytes.chunks_exact(8) {
        let Ok(eight) = <[u8; 8]>::try_from(chunk) else { break };
        let word = u64::from_ne_bytes(eight);
        let below = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let hits = below
            | zero(word ^ (ONES * 0x22))
            | zero(word ^ (ONES * 0x5c))
            | zero(word ^ (ONES * 0x7f))
            | (word & HIGH);
        if hits != 0 {
            break;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default().iter();
    at + rest.take_while(|byte| matches!(**byte, 0x20..0x7f) && !matches!(**byte, b'"' | b'\\')).count()
}

/// Beyond ASCII: C1 controls (a terminal may obey them), line and paragraph separators, marks that turn the writing around.
fn is_treacherous(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn escape_one(out: &mut Vec<u8>, character: char) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        other => {
            // All of them lie in the basic plane, so four digits are enough.
            out.extend_from_slice(b"\\u");
            let code = u32::from(other);
            for shift in [12, 8, 4, 0] {
                let digit = char::from_digit((code >> shift) & 0xf, 16).unwrap_or('0');
                out.extend_from_slice(digit.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    fn written(json: bool, fields: impl FnOnce(&mut Line<'_>)) -> String {
        let mut out = Vec::new();
        let style = Style::new("http-filter@2", json);
        let mut line = style.begin(&mut out, &mut Stamp::default(), "INFO", "request");
        fields(&mut line);
        line.end();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_json_line_is_read_back_as_it_was_meant() {
        let text = written(true, |line| {
            line.text("path", "/a\"b\n\u{1b}[31m\u{202e}é");
            line.number("bytes", u64::MAX);
            line.number("zero", 0);
            line.flag("slow", true);
            line.maybe("rule", None);
            line.cut("long", "ééé", 3);
            line.bytes("agent", b"x\xff\"\x00y\xc3\xa9z", 8);
            line.display("client", format_args!("{}\n{}", 1, 2));
        });
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["process"], &value["instance"]), (&"http-filter".into(), &2.into()));
        assert_eq!((&value["level"], &value["message"]), (&"INFO".into(), &"request".into()));
        assert_eq!(value["path"], "/a\"b\n\u{1b}[31m\u{202e}é");
        assert_eq!((&value["bytes"], &value["zero"]), (&u64::MAX.into(), &0.into()));
        assert_eq!((&value["slow"], value.get("rule")), (&true.into(), None));
        assert_eq!(value["long"], "é…");
        assert_eq!(value["agent"], "x\u{fffd}\"\u{0}yéz");
        assert_eq!(value["client"], "1\n2");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
    }

    #[test]
    fn a_text_line_stays_one_line_and_a_value_one_value() {
        let text = written(false, |line| {
            line.text("path", "/a\nWARN forged");
            line.text("name", "plain");
            line.text("empty", "");
            line.text("equals", "a=b");
        });
        assert!(text.ends_with(
            "  INFO http-filter@2: request path=\"/a\\nWARN forged\" name=plain empty=\"\" equals=\"a=b\"\n"
        ));
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn eight_bytes_at_a_time_see_what_one_at_a_time_sees() {
        let one_by_one = |bytes: &[u8]| {
            let harmless = |byte: &&u8| matches!(**byte, 0x20..0x7f) && !matches!(**byte, b'"' | b'\\');
            bytes.iter().take_while(harmless).count()
        };
        for byte in 0..=u8::MAX {
            for at in 0..20 {
                let mut bytes = *b"abcdefghijklmnopqrst";
                bytes[at] = byte;
                assert_eq!(harmless_prefix(&bytes), one_by_one(&bytes), "{byte:#x} at {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_strangers_send(text in any::<String>(), bytes in proptest::collection::vec(any::<u8>(), 0..200), most in 0..64_usize) {
            let json = written(true, |line| { line.text("a", &text); line.cut("b", &text, most); line.bytes("c", &bytes, most); });
            let value: serde_json::Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(value["a"].as_str().unwrap(), &text);
            let plain = written(false, |line| { line.text("a", &text); line.cut("b", &text, most); line.bytes("c", &bytes, most); });
            for line in [json, plain] {
                prop_assert!(line.trim_end_matches('\n').chars().all(|c| !c.is_control() && !is_treacherous(c)), "{line:?}");
            }
        }

        #[test]
        fn numbers_are_numbers(value in any::<u64>()) {
            let mut out = Vec::new();
            decimal(&mut out, value);
            prop_assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }
}
