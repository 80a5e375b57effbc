//! `multipart/form-data` (RFC 7578) with the flags that ModSecurity's rules ask for. Unlike ModSecurity we go on behind an error, so that
//! rules see what a lenient backend would; the error is reported all the same.

use memchr::memmem;

use super::part_header::{self, Disposition, Flags};
use super::{BodyLimits, FilePart, Flag, Limit, Outcome, Parsed, Sink, check_lengths, count, malformed};
use crate::transform::bytes::is_space;

/// The longest header line, folded lines together, and the most lines of one part.
const HEADER_LINE: usize = 4096;
const HEADER_LINES: usize = 32;

/// Where we are.
enum State {
    /// Before the first boundary.
    Before,
    /// In the headers of a part.
    Headers,
    /// In the content of a part, which begins at this place of the body.
    Content(usize),
}

struct Reader<'a> {
    body: &'a [u8],
    boundary: &'a [u8],
    quoted: bool,
    state: State,
    /// Header lines of the part, without line ends, unfolded.
    lines: Vec<Vec<u8>>,
    /// The part's names; nothing before its headers have ended, or if they are wrong.
    disposition: Option<Disposition>,
    boundaries: usize,
    /// A line looked like a boundary and was none, and no boundary has come since.
    unmatched: bool,
    /// Header lines and boundary lines end so.
    line_feed: bool,
    carriage_return: bool,
    parts: usize,
    arguments: usize,
    error: Option<&'static str>,
    limits: &'a BodyLimits,
    flags: Flags,
    sink: &'a mut dyn Sink,
}

/// Gives arguments, files, part headers and flags to the sink. An empty body is no error.
pub(super) fn parse(body: &[u8], content_type: &[u8], limits: &BodyLimits, sink: &mut dyn Sink) -> Parsed<()> {
    let mut flags = Flags::default();
    let boundary = part_header::boundary(content_type, &mut flags);
    let mut reader = Reader {
        body,
        boundary: boundary.unwrap_or_default(),
        quoted: flags.raised().contains(&Flag::MultipartBoundaryQuoted),
        state: State::Before,
        lines: Vec::new(),
        disposition: None,
        boundaries: 0,
        unmatched: false,
        line_feed: false,
        carriage_return: false,
        parts: 0,
        arguments: 0,
        error: boundary.err(),
        flags,
        limits,
        sink,
    };
    let ended = if body.is_empty() || reader.error.is_some() { Ok(()) } else { reader.read() };
    reader.give_flags(ended.is_err());
    ended?;
    reader.error.map_or(Ok(()), malformed)
}

/// What a line is.
enum Line {
    Boundary { last: bool },
    Other,
}

impl<'a> Reader<'a> {
    /// Line by line; lines of content are only looked at for boundaries.
    fn read(&mut self) -> Parsed<()> {
        let mut mark = b"--".to_vec();
        mark.extend_from_slice(self.boundary);
        let finder = memmem::Finder::new(&mark);
        let mut next_mark = finder.find(self.body);
        let mut begin = 0;
        while begin < self.body.len() {
            let rest = self.body.get(begin..).unwrap_or_default();
            let end = begin + memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let line = self.body.get(begin..end).unwrap_or_default();
            while next_mark.is_some_and(|at| at < begin) {
                next_mark = finder.find(rest).map(|at| at + begin);
            }
            let kind = self.classify(line, next_mark.is_some_and(|at| at < end));
            match self.without_line_end(kind, begin) {
                Line::Boundary { last } => {
                    self.note_line_end(begin);
                    self.end_part(begin)?;
                    if last {
                        if end < self.body.len() {
                            self.flags.raise(Flag::MultipartDataAfter);
                        }
                        return Ok(());
                    }
                    self.state = State::Headers;
                }
                Line::Other => match self.state {
                    State::Before => self.flags.raise(Flag::MultipartDataBefore),
                    State::Headers => self.header_line(line, end)?,
                    State::Content(_) => {}
                },
            }
            begin = end;
        }
        self.wrong(if self.boundaries > 0 {
            "Multipart: Final boundary missing."
        } else {
            "Multipart: No boundaries found in payload."
        });
        self.end_part(self.body.len())
    }

    /// The line end before a boundary belongs to it.
    fn note_line_end(&mut self, boundary: usize) {
        match self.body.get(..boundary) {
            Some([.., b'\r', b'\n']) => self.carriage_return = true,
            Some([.., b'\n']) => self.line_feed = true,
            _ => {}
        }
    }

    /// Notes the first error.
    fn wrong(&mut self, error: &'static str) {
        self.error.get_or_insert(error);
    }

    /// A boundary, or something that resembles one. `mark`: the boundary with its dashes begins somewhere in the line.
    fn classify(&mut self, line: &[u8], mark: bool) -> Line {
        let Some(after) = line.strip_prefix(b"--").filter(|_| line.len() > 3) else {
            self.unmatched |= mark;
            return Line::Other;
        };
        if let Some(end) = after.strip_prefix(self.boundary) {
            let (last, end) = end.strip_prefix(b"--").map_or((false, end), |end| (true, end));
            match end {
                b"\r\n" => self.carriage_return = true,
                b"\n" => self.line_feed = true,
                b"" if last => {}
                b"" => return Line::Other, // cut off behind it
                _ => {
                    self.wrong("Multipart: Invalid boundary.");
                    return Line::Other;
                }
            }
            self.unmatched = false;
            self.boundaries += 1;
            return Line::Boundary { last };
        }
        let spaces = after.iter().take_while(|byte| is_space(**byte)).count();
        if self.quoted && after.strip_prefix(b"\"").is_some_and(|after| after.starts_with(self.boundary)) {
            self.wrong("Multipart: Invalid boundary (quotes).");
        } else if spaces > 0 && after.get(spaces..).is_some_and(|after| after.starts_with(self.boundary)) {
            self.wrong("Multipart: Invalid boundary (whitespace).");
        }
        self.unmatched = true;
        Line::Other
    }

    /// A boundary right behind the empty line of the headers has no line end that belongs to it (RFC 2046 section 5.1.1). Some backends take it
    /// for content all the same, others for a boundary: as content all that follows is looked at.
    fn without_line_end(&mut self, kind: Line, begin: usize) -> Line {
        match (kind, &self.state) {
            (Line::Boundary { .. }, State::Content(at)) if *at == begin => {
                self.wrong("Multipart: Invalid boundary (no line end before it).");
                self.unmatched = true;
                Line::Other
            }
            (kind, _) => kind,
        }
    }

    /// A line of a part's headers, which ends at `end`; an empty one ends them.
    fn header_line(&mut self, line: &[u8], end: usize) -> Parsed<()> {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        match text.strip_suffix(b"\r") {
            Some(_) => self.carriage_return = true,
            None => self.line_feed = true,
        }
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.contains(&0) {
            self.wrong("Multipart: Nul byte in part headers.");
        }
        match text.first() {
            None => {
                self.state = State::Content(end);
                self.end_headers();
            }
            Some(first) if is_space(*first) => self.folded(text),
            Some(_) => {
                let name = text.split(|byte| *byte == b':').next().unwrap_or_default();
                if name.len() == text.len() {
                    self.wrong("Multipart: Invalid part header (colon missing).");
                } else if name.is_empty() {
                    self.wrong("Multipart: Invalid part header (header name missing).");
                } else if !name.iter().all(u8::is_ascii_graphic) {
                    self.wrong("Multipart: Invalid part header (contains invalid character).");
                } else if self.lines.iter().any(|line| header_value(line, name).is_some()) {
                    self.wrong("Multipart: Duplicate part header.");
                }
                self.lines.push(text.get(..text.len().min(HEADER_LINE)).unwrap_or_default().to_vec());
            }
        }
        if text.len() > HEADER_LINE || self.lines.last().is_some_and(|line| line.len() > HEADER_LINE) {
            self.wrong("Multipart: Part header too long.");
            return Err(Outcome::Limit(Limit::ValueLength));
        }
        if self.lines.len() > HEADER_LINES {
            self.wrong("Multipart: Too many part headers.");
            return Err(Outcome::Limit(Limit::Parts));
        }
        Ok(())
    }

    /// The continuation of a header line.
    fn folded(&mut self, text: &[u8]) {
        self.flags.raise(Flag::MultipartHeaderFolding);
        let spaces = text.iter().take_while(|byte| is_space(**byte)).count();
        let (blanks, value) = text.split_at_checked(spaces).unwrap_or_default();
        if !blanks.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
            self.flags.raise(Flag::MultipartInvalidHeaderFolding);
        }
        match self.lines.last_mut() {
            Some(line) => {
                line.push(b' ');
                line.extend_from_slice(value.get(..value.len().min(HEADER_LINE)).unwrap_or_default());
            }
            None => self.wrong("Multipart: Invalid part header (folding error)."),
        }
    }

    /// The empty line behind the headers.
    fn end_headers(&mut self) {
        let Some(value) = self.lines.iter().find_map(|line| header_value(line, b"content-disposition")) else {
            return self.wrong("Multipart: Part missing Content-Disposition header.");
        };
        match part_header::disposition(value, &mut self.flags) {
            Ok(disposition) => self.disposition = Some(disposition),
            Err(error) => self.wrong(error),
        }
    }

    /// The part that ends before the boundary at `end`, if one has begun, becomes an argument or a file. One whose names are wrong becomes
    /// an argument without a name.
    fn end_part(&mut self, end: usize) -> Parsed<()> {
        let (begin, in_headers) = match self.state {
            State::Before => return Ok(()),
            State::Headers => (end, true),
            State::Content(begin) => (begin, false),
        };
        if in_headers && self.boundaries > 0 && end == self.body.len() && self.lines.is_empty() {
            return Ok(()); // cut off behind a boundary
        }
        let disposition = self.disposition.take();
        if disposition.is_none() {
            self.flags.raise(Flag::MultipartInvalidPart);
        }
        if in_headers {
            self.wrong("Multipart: A part ends in its headers.");
        }
        let Disposition { name, filename } = disposition.unwrap_or_default();
        let content = self.body.get(begin..end).unwrap_or_default();
        let content =
            content.strip_suffix(b"\n").map_or(content, |content| content.strip_suffix(b"\r").unwrap_or(content));
        if count(&mut self.parts, self.limits.parts, Limit::Parts).is_err() {
            self.flags.raise(Flag::MultipartFileLimitExceeded);
            return Err(Outcome::Limit(Limit::Parts));
        }
        count(&mut self.arguments, self.limits.arguments, Limit::Arguments)?;
        check_lengths(&name, &filename, self.limits)?;
        for line in self.lines.drain(..) {
            self.sink.part_header(&name, &line);
        }
        if filename.is_empty() {
            check_lengths(&name, content, self.limits)?;
            self.sink.argument(&name, content);
        } else {
            self.sink.file(FilePart { name: &name, filename: &filename, size: content.len() });
        }
        Ok(())
    }

    /// All flags, those that are known at the end only too.
    fn give_flags(&mut self, ended_early: bool) {
        let strict = !self.flags.raised().is_empty() || self.line_feed || self.error.is_some() || ended_early;
        for (raised, flag) in [
            (strict, Flag::MultipartStrictError),
            (self.unmatched, Flag::MultipartUnmatchedBoundary),
            (self.line_feed, Flag::MultipartLfLine),
            (self.line_feed && self.carriage_return, Flag::MultipartCrlfLfLines),
        ] {
            if raised {
                self.flags.raise(flag);
            }
        }
        for flag in self.flags.raised() {
            self.sink.flag(*flag);
        }
    }
}

/// The value of a header line with this name (letter case does not matter).
fn header_value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
    let value = value.get(1..)?;
    let blanks = value.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    if found.eq_ignore_ascii_case(name) { value.get(blanks..) } else { None }
}
