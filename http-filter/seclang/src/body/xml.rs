//! XML 1.0, as much as rules need: the text of the document and the values of its attributes. No document type is read, no entity but the
//! five predefined ones is known, nothing is fetched: what a declaration could hide from us is an error. No recursion.

use std::borrow::Cow;
use std::collections::HashSet;

use super::xml_text::{self, Use};
use super::{BodyLimits, Limit, Outcome, Parsed, Sink, count, malformed};
use crate::transform::bytes::is_space;

struct Reader<'a> {
    rest: &'a [u8],
    /// Names of the elements that are open.
    open: Vec<&'a [u8]>,
    /// The document's text so far.
    text: Vec<u8>,
    seen_root: bool,
    nodes: usize,
    limits: &'a BodyLimits,
}

/// Gives the attributes to the sink and, at the end or at the first error, the text.
pub(super) fn parse(body: &[u8], limits: &BodyLimits, sink: &mut dyn Sink) -> Parsed<()> {
    let body = decode(body)?;
    let mut reader = Reader { rest: &body, open: Vec::new(), text: Vec::new(), seen_root: false, nodes: 0, limits };
    let ended = reader.document(sink);
    if !reader.text.is_empty() || reader.seen_root {
        sink.xml_text(&reader.text);
    }
    ended?;
    if std::str::from_utf8(&body).is_err() { malformed("XML: the document is not UTF-8") } else { Ok(()) }
}

/// The document as UTF-8. Other encodings than UTF-8, ASCII and Latin-1 are an error: a backend may read attacks in them that we cannot.
fn decode(body: &[u8]) -> Parsed<Cow<'_, [u8]>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if matches!(body, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, ..] | [_, 0, ..]) {
        return malformed("XML: UTF-16 and UTF-32 are not supported");
    }
    let Some(declaration) = body.strip_prefix(b"<?xml").filter(|rest| rest.first().is_some_and(|byte| is_space(*byte)))
    else {
        return Ok(Cow::Borrowed(body));
    };
    let declaration =
        declaration.get(..memchr::memmem::find(declaration, b"?>").unwrap_or_default()).unwrap_or_default();
    let Some(at) = memchr::memmem::find(declaration, b"encoding") else { return Ok(Cow::Borrowed(body)) };
    let value =
        declaration.get(at + 8..).unwrap_or_default().iter().skip_while(|byte| is_space(**byte) || **byte == b'=');
    let name: Vec<u8> =
        value.skip(1).take_while(|byte| !matches!(byte, b'"' | b'\'')).map(u8::to_ascii_lowercase).take(32).collect();
    match name.as_slice() {
        b"utf-8" | b"utf8" | b"us-ascii" | b"ascii" => Ok(Cow::Borrowed(body)),
        b"iso-8859-1" | b"latin1" | b"windows-1252" => {
            let mut text = String::with_capacity(body.len());
            text.extend(body.iter().copied().map(char::from));
            Ok(Cow::Owned(text.into_bytes()))
        }
        _ => malformed("XML: the encoding is not supported"),
    }
}

impl<'a> Reader<'a> {
    fn document(&mut self, sink: &mut dyn Sink) -> Parsed<()> {
        loop {
            let plain = memchr::memchr(b'<', self.rest).unwrap_or(self.rest.len());
            let (text, after) = self.rest.split_at_checked(plain).unwrap_or((self.rest, &[]));
            self.characters(text)?;
            self.rest = after;
            match after {
                [] if !self.seen_root => return malformed("XML: there is no element"),
                [] if self.open.is_empty() => return Ok(()),
                [] => return malformed("XML: the document ends before its elements"),
                [b'<', b'!', b'-', b'-', after @ ..] => self.skip(after, b"-->")?,
                [b'<', b'?', after @ ..] => self.skip(after, b"?>")?,
                [b'<', b'!', b'[', b'C', b'D', b'A', b'T', b'A', b'[', after @ ..] => self.cdata(after)?,
                [b'<', b'!', b'D', b'O', b'C', b'T', b'Y', b'P', b'E', after @ ..] => self.document_type(after)?,
                [b'<', b'/', after @ ..] => self.end_tag(after)?,
                [_, after @ ..] => self.start_tag(after, sink)?,
            }
        }
    }

    /// Text between marks; only white space outside of the root.
    fn characters(&mut self, text: &[u8]) -> Parsed<()> {
        if self.open.is_empty() {
            return if text.iter().all(|byte| is_space(*byte)) {
                Ok(())
            } else {
                malformed("XML: text outside of the root element")
            };
        }
        if memchr::memmem::find(text, b"]]>").is_some() {
            return malformed("XML: the end of CDATA without a beginning");
        }
        if !text.is_empty() {
            count(&mut self.nodes, self.limits.nodes, Limit::Nodes)?;
        }
        xml_text::decode(text, Use::Text, &mut self.text)?;
        self.check_text()
    }

    fn check_text(&self) -> Parsed<()> {
        if self.text.len() > self.limits.value_length { Err(Outcome::Limit(Limit::ValueLength)) } else { Ok(()) }
    }

    /// A comment or processing instruction.
    fn skip(&mut self, after: &'a [u8], end: &[u8]) -> Parsed<()> {
        count(&mut self.nodes, self.limits.nodes, Limit::Nodes)?;
        let Some(at) = memchr::memmem::find(after, end) else {
            return malformed("XML: a comment or instruction does not end");
        };
        self.rest = after.get(at + end.len()..).unwrap_or_default();
        Ok(())
    }

    fn cdata(&mut self, after: &'a [u8]) -> Parsed<()> {
        count(&mut self.nodes, self.limits.nodes, Limit::Nodes)?;
        let Some(at) = memchr::memmem::find(after, b"]]>").filter(|_| !self.open.is_empty()) else {
            return malformed("XML: CDATA does not end, or stands outside of the root element");
        };
        let (text, after) = after.split_at_checked(at).unwrap_or((after, &[]));
        xml_text::decode(text, Use::Cdata, &mut self.text)?;
        self.rest = after.get(3..).unwrap_or_default();
        self.check_text()
    }

    /// A document type with nothing declared in place is passed over; declarations are an error.
    fn document_type(&mut self, after: &'a [u8]) -> Parsed<()> {
        if self.seen_root {
            return malformed("XML: a document type behind the root element");
        }
        match after.iter().position(|byte| matches!(byte, b'>' | b'[')) {
            Some(at) if after.get(at) == Some(&b'>') => {
                self.rest = after.get(at + 1..).unwrap_or_default();
                Ok(())
            }
            _ => malformed("XML: declarations in a document type are not accepted"),
        }
    }

    fn end_tag(&mut self, after: &'a [u8]) -> Parsed<()> {
        let (name, after) = take_name(after)?;
        let after = skip_space(after);
        match (after.split_first(), self.open.pop()) {
            (Some((b'>', after)), Some(open)) if open == name => {
                self.rest = after;
                Ok(())
            }
            _ => malformed("XML: an end tag does not match"),
        }
    }

    fn start_tag(&mut self, after: &'a [u8], sink: &mut dyn Sink) -> Parsed<()> {
        count(&mut self.nodes, self.limits.nodes, Limit::Nodes)?;
        let (name, after) = take_name(after)?;
        if self.open.is_empty() && self.seen_root {
            return malformed("XML: a second root element");
        }
        if self.open.len() >= self.limits.depth {
            return Err(Outcome::Limit(Limit::Depth));
        }
        self.seen_root = true;
        let (mut rest, mut names) = (after, HashSet::new());
        loop {
            let after = skip_space(rest);
            match after {
                [b'>', after @ ..] => {
                    self.open.push(name);
                    self.rest = after;
                    return Ok(());
                }
                [b'/', b'>', after @ ..] => {
                    self.rest = after;
                    return Ok(());
                }
                _ if after.len() == rest.len() => return malformed("XML: a tag is malformed"),
                _ => {}
            }
            let (attribute, value, behind) = take_attribute(after)?;
            rest = behind;
            count(&mut self.nodes, self.limits.nodes, Limit::Nodes)?;
            if !names.insert(attribute) {
                return malformed("XML: an attribute is there twice");
            }
            self.attribute(attribute, value, sink)?;
        }
    }

    /// Declarations of namespaces are not attributes.
    fn attribute(&mut self, name: &[u8], value: &[u8], sink: &mut dyn Sink) -> Parsed<()> {
        let mut decoded = Vec::new();
        xml_text::decode(value, Use::Attribute, &mut decoded)?;
        if decoded.len() > self.limits.value_length {
            return Err(Outcome::Limit(Limit::ValueLength));
        }
        if name != b"xmlns" && !name.starts_with(b"xmlns:") {
            sink.xml_attribute(&decoded);
        }
        Ok(())
    }
}

fn skip_space(text: &[u8]) -> &[u8] {
    crate::transform::bytes::trim_start(text)
}

/// A name (XML §2.3; every byte from 0x80 on is taken for a name's) and what follows.
fn take_name(text: &[u8]) -> Parsed<(&[u8], &[u8])> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80 || b"_:-.".contains(byte);
    let length = text.iter().take_while(|byte| is_name(byte)).count();
    let bad_start = matches!(text.first(), None | Some(b'-' | b'.' | b'0'..=b'9'));
    match text.split_at_checked(length) {
        Some((name, after)) if !name.is_empty() && !bad_start => Ok((name, after)),
        _ => malformed("XML: a name is missing or malformed"),
    }
}

/// Name and raw value of an attribute, and what follows.
fn take_attribute(text: &[u8]) -> Parsed<(&[u8], &[u8], &[u8])> {
    let (name, after) = take_name(text)?;
    let value = skip_space(after).strip_prefix(b"=").map(skip_space);
    if let Some((quote @ (b'"' | b'\''), value)) = value.and_then(<[u8]>::split_first)
        && let Some(end) = memchr::memchr(*quote, value)
        && let Some((value, after)) = value.split_at_checked(end)
        && !value.contains(&b'<')
    {
        return Ok((name, value, after.get(1..).unwrap_or_default()));
    }
    malformed("XML: an attribute is malformed")
}
