//! JSON (RFC 8259), strictly. Every string, number and word becomes an argument whose name is the way to it: `{"a":[1,{"b":2}]}` is
//! `json.a.array_0` and `json.a.array_1.b`. No recursion: nesting costs a few bytes of heap and is limited.

use super::{BodyLimits, Limit, Outcome, Parsed, Sink, check_lengths, count, malformed};
use crate::transform::bytes::hex_quad;

/// An object or array that is not closed yet.
struct Container {
    /// The number of the next element; nothing in an object.
    element: Option<usize>,
    /// How much of [`Reader::path`] belongs to it.
    path: usize,
}

struct Reader<'a> {
    rest: &'a [u8],
    /// The name of the value that is read.
    path: Vec<u8>,
    open: Vec<Container>,
    /// The last string, decoded.
    text: Vec<u8>,
    nodes: usize,
    limits: &'a BodyLimits,
}

/// What may come next.
enum Expect {
    Value,
    /// A value or the end of the array that has just begun.
    FirstElement,
    /// A name or the end of the object that has just begun.
    FirstName,
    Name,
    /// A comma or the end of what is open; the end of the text if nothing is.
    Next,
}

/// Gives every value to the sink. An empty body holds none and is no error.
pub(super) fn parse(body: &[u8], limits: &BodyLimits, sink: &mut dyn Sink) -> Parsed<()> {
    if body.is_empty() {
        return Ok(());
    }
    let (path, text) = (b"json".to_vec(), Vec::new());
    let mut reader = Reader { rest: body, path, open: Vec::new(), text, nodes: 0, limits };
    let mut expect = Expect::Value;
    loop {
        reader.skip_space();
        let Some((byte, after)) = reader.rest.split_first() else {
            return if matches!(expect, Expect::Next) && reader.open.is_empty() {
                Ok(())
            } else {
                malformed("JSON: the text ends too early")
            };
        };
        expect = match (expect, byte) {
            (Expect::Value | Expect::FirstElement, b'{') => reader.begin(after, None)?,
            (Expect::Value | Expect::FirstElement, b'[') => reader.begin(after, Some(0))?,
            (Expect::FirstElement, b']') | (Expect::FirstName, b'}') => reader.end(after, *byte)?,
            (Expect::Value | Expect::FirstElement, _) => {
                reader.scalar(sink)?;
                Expect::Next
            }
            (Expect::FirstName | Expect::Name, b'"') => {
                reader.name(after)?;
                Expect::Value
            }
            (Expect::FirstName | Expect::Name, _) => {
                return malformed("JSON: a name or the end of the object is missing");
            }
            (Expect::Next, b',') => reader.comma(after)?,
            (Expect::Next, b'}' | b']') => reader.end(after, *byte)?,
            (Expect::Next, _) if reader.open.is_empty() => return malformed("JSON: something follows the value"),
            (Expect::Next, _) => return malformed("JSON: a comma or the end of the array or object is missing"),
        };
    }
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        let spaces = self.rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        self.rest = self.rest.get(spaces..).unwrap_or_default();
    }
}

impl<'a> Reader<'a> {
    /// `{` or `[` (with `element`).
    fn begin(&mut self, after: &'a [u8], element: Option<usize>) -> Parsed<Expect> {
        self.rest = after;
        count(&mut self.nodes, self.limits.nodes, Limit::Nodes)?;
        if self.open.len() >= self.limits.depth {
            return Err(Outcome::Limit(Limit::Depth));
        }
        self.open.push(Container { element, path: self.path.len() });
        if element.is_none() {
            return Ok(Expect::FirstName);
        }
        self.name_element()?;
        Ok(Expect::FirstElement)
    }

    /// `}` or `]`.
    fn end(&mut self, after: &'a [u8], mark: u8) -> Parsed<Expect> {
        self.rest = after;
        match self.open.pop() {
            Some(Container { element, path }) if element.is_some() == (mark == b']') => {
                self.path.truncate(path);
                Ok(Expect::Next)
            }
            _ => malformed("JSON: a bracket that closes nothing"),
        }
    }

    fn comma(&mut self, after: &'a [u8]) -> Parsed<Expect> {
        self.rest = after;
        match self.open.last_mut() {
            Some(Container { element: Some(element), .. }) => {
                *element += 1;
                self.name_element()?;
                Ok(Expect::Value)
            }
            Some(_) => Ok(Expect::Name),
            None => malformed("JSON: something follows the value"),
        }
    }

    /// Makes [`Self::path`] the name of the next element of the array.
    fn name_element(&mut self) -> Parsed<()> {
        if let Some(Container { element: Some(element), path }) = self.open.last() {
            self.path.truncate(*path);
            self.path.extend_from_slice(b".array_");
            self.path.extend_from_slice(element.to_string().as_bytes());
        }
        check_lengths(&self.path, &[], self.limits)
    }

    /// A member's name and the colon; `after` is behind its quotation mark.
    fn name(&mut self, after: &'a [u8]) -> Parsed<()> {
        self.rest = after;
        self.string(self.limits.name_length, Limit::NameLength)?;
        if let Some(Container { path, .. }) = self.open.last() {
            self.path.truncate(*path);
        }
        self.path.push(b'.');
        // ModSecurity's word for a member without a name.
        self.path.extend_from_slice(if self.text.is_empty() { b"empty-key" } else { &self.text });
        check_lengths(&self.path, &[], self.limits)?;
        self.skip_space();
        match self.rest.split_first() {
            Some((b':', after)) => {
                self.rest = after;
                Ok(())
            }
            _ => malformed("JSON: a colon is missing"),
        }
    }

    /// A string, number or word, which becomes an argument.
    fn scalar(&mut self, sink: &mut dyn Sink) -> Parsed<()> {
        count(&mut self.nodes, self.limits.nodes, Limit::Nodes)?;
        self.text.clear();
        match self.rest {
            [b'"', after @ ..] => {
                self.rest = after;
                self.string(self.limits.value_length, Limit::ValueLength)?;
            }
            [b't', b'r', b'u', b'e', after @ ..] => {
                self.text.extend_from_slice(b"true");
                self.rest = after;
            }
            [b'f', b'a', b'l', b's', b'e', after @ ..] => {
                self.text.extend_from_slice(b"false");
                self.rest = after;
            }
            [b'n', b'u', b'l', b'l', after @ ..] => self.rest = after,
            _ => self.number()?,
        }
        check_lengths(&[], &self.text, self.limits)?;
        sink.argument(&self.path, &self.text);
        Ok(())
    }

    /// A number, as it is written.
    fn number(&mut self) -> Parsed<()> {
        let length = number_length(self.rest);
        let (number, after) = self.rest.split_at_checked(length.unwrap_or_default()).unwrap_or_default();
        if number.is_empty() {
            return malformed("JSON: a value is missing or malformed");
        }
        self.text.extend_from_slice(number);
        self.rest = after;
        Ok(())
    }

    /// Decodes a string of at most `most` bytes into [`Self::text`]; its first quotation mark is behind us.
    fn string(&mut self, most: usize, limit: Limit) -> Parsed<()> {
        self.text.clear();
        loop {
            let plain = self.rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)).count();
            let (text, after) = self.rest.split_at_checked(plain).unwrap_or((self.rest, &[]));
            if std::str::from_utf8(text).is_err() {
                return malformed("JSON: a string is not UTF-8");
            }
            self.text.extend_from_slice(text);
            if self.text.len() > most {
                return Err(Outcome::Limit(limit));
            }
            self.rest = match after {
                [b'"', after @ ..] => {
                    self.rest = after;
                    return Ok(());
                }
                [b'\\', b'u', after @ ..] => unicode(after, &mut self.text)?,
                [b'\\', escaped, after @ ..] => {
                    self.text.push(match escaped {
                        b'"' | b'\\' | b'/' => *escaped,
                        b'b' => 0x08,
                        b'f' => 0x0c,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        _ => return malformed("JSON: an unknown escape in a string"),
                    });
                    after
                }
                [0..=0x1f, ..] => return malformed("JSON: a control character in a string"),
                _ => return malformed("JSON: a string does not end"),
            };
        }
    }
}

/// The length of a number at the beginning of `text`; nothing if there is none.
fn number_length(text: &[u8]) -> Option<usize> {
    let digits =
        |from: usize| text.get(from..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    at += match text.get(at)? {
        b'0' => 1,
        b'1'..=b'9' => digits(at),
        _ => return None,
    };
    if text.get(at) == Some(&b'.') {
        at += 1 + Some(digits(at + 1)).filter(|length| *length > 0)?;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        at += Some(digits(at)).filter(|length| *length > 0)?;
    }
    Some(at)
}

/// The character of `\uXXXX` (of two if it takes a pair); half a pair becomes a question mark. Returns what follows.
fn unicode<'a>(digits: &'a [u8], out: &mut Vec<u8>) -> Parsed<&'a [u8]> {
    let (Some(first), Some(after)) = (hex_quad(digits), digits.get(4..)) else {
        return malformed("JSON: \\u without four hexadecimal digits");
    };
    let pair = after.strip_prefix(b"\\u").and_then(|digits| Some((hex_quad(digits)?, digits.get(4..)?)));
    let (character, after) = match (first, pair) {
        (0xd800..=0xdbff, Some((second, behind))) if (0xdc00..=0xdfff).contains(&second) => {
            (char::decode_utf16([first, second]).next().and_then(Result::ok), behind)
        }
        _ => (char::from_u32(u32::from(first)), after),
    };
    out.extend_from_slice(character.unwrap_or('?').encode_utf8(&mut [0; 4]).as_bytes());
    Ok(after)
}
