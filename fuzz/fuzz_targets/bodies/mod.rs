//! What every body processor promises: it ends, gives no more than there is, keeps its limits, and gives the same twice.

use seclang::body::{BodyLimits, FilePart, Flag, Outcome, Processor, Sink, parse};

#[derive(Default, PartialEq, Debug)]
struct Found {
    arguments: usize,
    attributes: usize,
    texts: usize,
    files: usize,
    values: usize,
    longest_name: usize,
    flags: Vec<Flag>,
}

impl Sink for Found {
    fn argument(&mut self, name: &[u8], value: &[u8]) {
        self.arguments += 1;
        self.values += value.len();
        self.longest_name = self.longest_name.max(name.len());
    }
    fn file(&mut self, file: FilePart<'_>) {
        self.files += 1;
        self.values += file.size;
    }
    fn part_header(&mut self, _part: &[u8], line: &[u8]) {
        self.values += line.len();
    }
    fn xml_text(&mut self, text: &[u8]) {
        self.texts += 1;
        self.values += text.len();
    }
    fn xml_attribute(&mut self, value: &[u8]) {
        self.attributes += 1;
        self.values += value.len();
    }
    fn flag(&mut self, flag: Flag) {
        assert!(!self.flags.contains(&flag), "{flag:?} twice");
        self.flags.push(flag);
    }
}

/// For multipart, the first line of the input is the content type.
pub fn check(kind: Processor, bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (content_type, body) = if kind == Processor::Multipart { bytes.split_at(end) } else { (&b""[..], bytes) };
    let body = if kind == Processor::Multipart { body.get(1..).unwrap_or_default() } else { body };
    let tight = BodyLimits { arguments: 8, depth: 4, nodes: 16, name_length: 12, value_length: 16, parts: 4 };
    for limits in [BodyLimits::default(), tight] {
        let (mut found, mut again) = (Found::default(), Found::default());
        let outcome = parse(kind, body, content_type, &limits, &mut found);
        assert_eq!(parse(kind, body, content_type, &limits, &mut again), outcome);
        assert_eq!(found, again);
        // Latin-1 in XML doubles, and every null or word of JSON is shorter than it was.
        assert!(found.values <= 2 * body.len() + 8, "{} of {}", found.values, body.len());
        assert!(found.arguments + found.files <= limits.arguments && found.attributes <= limits.arguments && found.texts <= 1);
        assert!(found.longest_name <= limits.name_length || kind == Processor::Multipart);
        if kind == Processor::UrlEncoded {
            assert!(!matches!(outcome, Outcome::Malformed(_)) || body.contains(&b'%'));
        }
    }
}
