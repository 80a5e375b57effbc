//! What is told about a request, taken apart into the variables that rules know. Nothing is normalised but what ModSecurity 3 normalises:
//! rules decide about the bytes that came.

use std::net::SocketAddr;

use super::values::{Pair, Values};
use super::{Interrupt, Partial, Transaction, Verdict};
use crate::body::{self, FilePart, Flag, Limit, Outcome, Processor, Sink};
use crate::load::directives::OverLimit;
use crate::rule::{Engine, Phase};
use crate::transaction::Action;
use crate::variable::{Variable, XML_ATTRIBUTES, XML_TEXT};

impl Transaction {
    /// The two ends of the connection.
    pub fn connection(&mut self, client: SocketAddr, server: SocketAddr) {
        let text = client.ip().to_string();
        self.values.set(Variable::RemoteAddr, text.as_bytes());
        self.values.set(Variable::RemoteHost, text.as_bytes());
        self.values.set_number(Variable::RemotePort, usize::from(client.port()));
        self.values.set(Variable::ServerAddr, server.ip().to_string().as_bytes());
        self.values.set_number(Variable::ServerPort, usize::from(server.port()));
    }

    /// The request line: `GET`, `/path?query` (or an absolute URI) as it came, `HTTP/1.1`.
    pub fn request_line(&mut self, method: &[u8], uri: &[u8], protocol: &[u8]) {
        let values = &mut self.values;
        values.set(Variable::RequestMethod, method);
        values.set(Variable::RequestProtocol, protocol);
        let line = values.push_all(&[method, b" ", uri, b" ", protocol]);
        values.set_span(Variable::RequestLine, line);
        values.set(Variable::RequestUriRaw, uri);
        let (path, query) = match memchr::memchr(b'?', uri) {
            Some(at) => (uri.get(..at).unwrap_or_default(), uri.get(at + 1..)),
            None => (uri, None),
        };
        values.set(Variable::RequestUri, behind_authority(&decode(uri)));
        self.request_path(path);
        let query = query.unwrap_or_default();
        self.values.set(Variable::QueryString, query);
        if !query.is_empty() {
            let separator = self.rules.values.separator;
            let limits = self.rules.limits.clone();
            let values = &mut self.values;
            let outcome = body::parse_query(query, separator, &limits, &mut |name, value| {
                let pair = values.pair(name, value);
                values.arguments_get.push(pair);
            });
            if matches!(outcome, Outcome::Malformed(_)) {
                self.values.set(Variable::UrlencodedError, b"1");
            }
            self.note_limit(&outcome);
            self.combine_sizes();
        }
    }

    /// The path that the application is asked for, where it is not the one of the request line: a proxy that resolves dot segments or makes
    /// one slash of several passes on another path than it was told, and a rule that closes a path must see that one. `REQUEST_FILENAME`,
    /// `REQUEST_BASENAME` and `PATH_INFO` are about it, once decoded; `REQUEST_URI` and its likes keep what the client wrote.
    pub fn request_path(&mut self, path: &[u8]) {
        let path = decode(path);
        self.values.set(Variable::RequestFilename, &path);
        self.values.set(Variable::PathInfo, &path);
        let name = path.iter().rposition(|byte| matches!(byte, b'/' | b'\\')).and_then(|at| path.get(at + 1..));
        match name.filter(|name| !name.is_empty()) {
            Some(name) => self.values.set(Variable::RequestBasename, name),
            None => self.values.unset(Variable::RequestBasename),
        }
    }

    /// One header line, as it came, in order; a name may come again.
    pub fn request_header(&mut self, name: &[u8], value: &[u8]) {
        let pair = self.values.pair(name, value);
        self.values.headers.push(pair);
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                let host = value.rsplit(|byte| *byte == b':').next_back().unwrap_or(value);
                let host = if value.contains(&b':') { host } else { value };
                self.values.set(Variable::ServerName, host);
            }
            6 if name.eq_ignore_ascii_case(b"cookie") => self.cookies(value),
            12 if name.eq_ignore_ascii_case(b"content-type") => {
                if starts_with_caseless(value, b"multipart/form-data") {
                    self.set_processor(Processor::Multipart);
                } else if starts_with_caseless(value, b"application/x-www-form-urlencoded") {
                    self.set_processor(Processor::UrlEncoded);
                } else if self.rules.settings.json_and_xml
                    && let Some(processor) = json_or_xml(value)
                {
                    self.set_processor(processor);
                }
            }
            13 if name.eq_ignore_ascii_case(b"authorization") => {
                let kind = value.split(|byte| *byte == b' ').next().unwrap_or_default();
                self.values.set(Variable::AuthType, kind);
            }
            _ => {}
        }
    }

    fn cookies(&mut self, header: &[u8]) {
        for cookie in header.trim_ascii_end().split(|byte| *byte == b';') {
            let (name, value) = match memchr::memchr(b'=', cookie) {
                Some(at) => (cookie.get(..at).unwrap_or_default(), cookie.get(at + 1..).unwrap_or_default()),
                None => (cookie, &b""[..]),
            };
            let name = name.trim_ascii_start();
            if name.is_empty() {
                continue;
            }
            if self.values.cookies.len() >= self.rules.limits.arguments {
                self.note_partial(Partial::Limit(Limit::Arguments));
                return;
            }
            let pair = self.values.pair(name, value);
            self.values.cookies.push(pair);
        }
    }

    pub(super) fn set_processor(&mut self, processor: Processor) {
        self.processor = Some(processor);
        self.keep = true;
        let name: &[u8] = match processor {
            Processor::UrlEncoded => b"URLENCODED",
            Processor::Multipart => b"MULTIPART",
            Processor::Json => b"JSON",
            Processor::Xml => b"XML",
        };
        self.values.set(Variable::ReqbodyProcessor, name);
    }

    /// All headers have been told: phase 1.
    pub fn request_headers(&mut self) -> Verdict {
        self.run(Phase::RequestHeaders)
    }

    /// The whole request body, empty if there is none: it is taken apart, then phase 2.
    pub fn request_body(&mut self, body: &[u8]) -> Verdict {
        let (limit, over) = (self.rules.values.request_body_limit, self.rules.values.request_over_limit);
        let mut body = body;
        if self.engine != Engine::Off && self.body_access.0 {
            self.values.set(Variable::InboundDataError, if body.len() > limit { b"1" } else { b"0" });
            if body.len() > limit {
                if over == OverLimit::Reject && self.engine == Engine::On && self.interrupt.is_none() {
                    self.interrupt = Some(Interrupt { status: 413, action: Action::Deny, rule: 0 });
                    return self.run(Phase::RequestBody);
                }
                body = body.get(..limit).unwrap_or(body);
                self.note_partial(Partial::Body);
            }
            self.take_apart(body);
        }
        self.run(Phase::RequestBody)
    }

    fn take_apart(&mut self, body: &[u8]) {
        let span = self.values.push(body);
        self.values.set_number(Variable::RequestBodyLength, body.len());
        let raw = match self.processor {
            Some(Processor::UrlEncoded) => true,
            Some(_) => false,
            None => self.force_body,
        };
        if raw && !body.is_empty() {
            self.values.set_span(Variable::RequestBody, span);
        }
        let Some(processor) = self.processor else {
            return self.set_errors(None);
        };
        let content_type =
            self.values.headers.iter().find(|pair| self.values.get(pair.name).eq_ignore_ascii_case(b"content-type"));
        let content_type = content_type.map(|pair| self.values.get(pair.value).to_vec()).unwrap_or_default();
        let mut limits = self.rules.limits.clone();
        limits.arguments = limits.arguments.saturating_sub(self.values.arguments_get.len());
        if processor == Processor::Multipart {
            MULTIPART.iter().for_each(|variable| self.values.set(*variable, b"0"));
        }
        let outcome = if processor == Processor::UrlEncoded {
            let values = &mut self.values;
            body::parse_query(body, self.rules.values.separator, &limits, &mut |name, value| {
                let pair = values.pair(name, value);
                values.arguments_post.push(pair);
            })
        } else {
            let mut collector = Collector { values: &mut self.values, file_bytes: 0 };
            let outcome = body::parse(processor, body, &content_type, &limits, &mut collector);
            let file_bytes = collector.file_bytes;
            self.values.set_number(Variable::FilesCombinedSize, file_bytes);
            outcome
        };
        let empty_json = processor == Processor::Json && body.is_empty();
        match &outcome {
            // A form with `%` and no digits behind it is a form all the same; a variable of its own tells.
            Outcome::Malformed(_) if processor == Processor::UrlEncoded => {
                self.values.set(Variable::UrlencodedError, b"1");
                self.set_errors(None);
            }
            Outcome::Malformed(reason) if !empty_json => {
                // What we could not take apart a lenient backend may: rules on the whole body see it.
                self.values.set_span(Variable::RequestBody, span);
                self.set_errors(Some(reason));
            }
            _ => self.set_errors(None),
        }
        self.note_limit(&outcome);
        self.combine_sizes();
        self.spend(body.len());
    }

    fn set_errors(&mut self, reason: Option<&String>) {
        let flag: &[u8] = if reason.is_some() { b"1" } else { b"0" };
        self.values.set(Variable::ReqbodyError, flag);
        self.values.set(Variable::ReqbodyProcessorError, flag);
        if let Some(reason) = reason {
            self.values.set(Variable::ReqbodyErrorMsg, reason.as_bytes());
            self.values.set(Variable::ReqbodyProcessorErrorMsg, reason.as_bytes());
        }
    }

    fn note_limit(&mut self, outcome: &Outcome) {
        if let Outcome::Limit(limit) = outcome {
            self.note_partial(Partial::Limit(*limit));
        }
    }

    fn combine_sizes(&mut self) {
        let length = |pair: &Pair| self.values.get(pair.name).len() + self.values.get(pair.value).len();
        let sum = self.values.arguments_get.iter().chain(&self.values.arguments_post).map(length).sum();
        self.values.set_number(Variable::ArgsCombinedSize, sum);
    }
}

/// The variables that are 0 for every multipart body unless the parser finds fault.
const MULTIPART: [Variable; 14] = [
    Variable::MultipartStrictError,
    Variable::MultipartUnmatchedBoundary,
    Variable::MultipartBoundaryQuoted,
    Variable::MultipartBoundaryWhitespace,
    Variable::MultipartDataBefore,
    Variable::MultipartDataAfter,
    Variable::MultipartHeaderFolding,
    Variable::MultipartLfLine,
    Variable::MultipartCrlfLfLines,
    Variable::MultipartMissingSemicolon,
    Variable::MultipartInvalidQuoting,
    Variable::MultipartInvalidPart,
    Variable::MultipartInvalidHeaderFolding,
    Variable::MultipartFileLimitExceeded,
];

/// Puts what a body processor finds into the transaction's values.
struct Collector<'a> {
    values: &'a mut Values,
    file_bytes: usize,
}

impl Sink for Collector<'_> {
    fn argument(&mut self, name: &[u8], value: &[u8]) {
        let pair = self.values.pair(name, value);
        self.values.arguments_post.push(pair);
    }

    fn file(&mut self, file: FilePart<'_>) {
        let pair = self.values.pair(file.name, file.filename);
        self.values.files.push(pair);
        let mut digits = [0; 20];
        let size = self.values.push(super::values::decimal(file.size, &mut digits));
        self.values.file_sizes.push(Pair { name: pair.name, value: size });
        self.file_bytes = self.file_bytes.saturating_add(file.size);
    }

    fn part_header(&mut self, part: &[u8], line: &[u8]) {
        let pair = self.values.pair(part, line);
        self.values.part_headers.push(pair);
    }

    fn xml_text(&mut self, text: &[u8]) {
        let pair = self.values.pair(XML_TEXT, text);
        self.values.xml.push(pair);
    }

    fn xml_attribute(&mut self, value: &[u8]) {
        let pair = self.values.pair(XML_ATTRIBUTES, value);
        self.values.xml.push(pair);
    }

    fn flag(&mut self, flag: Flag) {
        self.values.set(
            match flag {
                Flag::MultipartStrictError => Variable::MultipartStrictError,
                Flag::MultipartUnmatchedBoundary => Variable::MultipartUnmatchedBoundary,
                Flag::MultipartBoundaryQuoted => Variable::MultipartBoundaryQuoted,
                Flag::MultipartBoundaryWhitespace => Variable::MultipartBoundaryWhitespace,
                Flag::MultipartDataBefore => Variable::MultipartDataBefore,
                Flag::MultipartDataAfter => Variable::MultipartDataAfter,
                Flag::MultipartHeaderFolding => Variable::MultipartHeaderFolding,
                Flag::MultipartLfLine => Variable::MultipartLfLine,
                Flag::MultipartCrlfLfLines => Variable::MultipartCrlfLfLines,
                Flag::MultipartMissingSemicolon => Variable::MultipartMissingSemicolon,
                Flag::MultipartInvalidQuoting => Variable::MultipartInvalidQuoting,
                Flag::MultipartInvalidPart => Variable::MultipartInvalidPart,
                Flag::MultipartInvalidHeaderFolding => Variable::MultipartInvalidHeaderFolding,
                Flag::MultipartFileLimitExceeded => Variable::MultipartFileLimitExceeded,
            },
            b"1",
        );
    }
}

/// What a media type says by its subtype: `json`, `x-json`, `vnd.api+json`; likewise for XML. Of several in one field (there may be one only) any.
fn json_or_xml(content_type: &[u8]) -> Option<Processor> {
    content_type.split(|byte| *byte == b',').find_map(|kind| {
        let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let subtype = kind.split(|byte| *byte == b'/').nth(1)?;
        let form = subtype.rsplit(|byte| *byte == b'+').next().unwrap_or_default();
        let own = form.get(..2).filter(|start| start.eq_ignore_ascii_case(b"x-")).and_then(|_| form.get(2..));
        match own.unwrap_or(form) {
            form if form.eq_ignore_ascii_case(b"json") => Some(Processor::Json),
            form if form.eq_ignore_ascii_case(b"xml") => Some(Processor::Xml),
            _ => None,
        }
    })
}

fn starts_with_caseless(value: &[u8], start: &[u8]) -> bool {
    value.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

/// `%XX` decoded where two hexadecimal digits follow; everything else as it is.
fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == b'%'
            && let [high, low, after @ ..] = tail
            && let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16))
        {
            out.push(u8::try_from(high * 16 + low).unwrap_or(0));
            rest = after;
        } else {
            out.push(*first);
        }
    }
    out
}

/// An absolute URI without scheme and authority; anything else as it is.
fn behind_authority(uri: &[u8]) -> &[u8] {
    if uri.first().is_none_or(|byte| *byte == b'/') {
        return uri;
    }
    let Some(colon) = memchr::memchr(b':', uri) else { return uri };
    let Some(rest) = uri.get(colon + 1..).and_then(|rest| rest.strip_prefix(b"//")) else { return uri };
    memchr::memchr(b'/', rest).and_then(|at| rest.get(at..)).unwrap_or(uri)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_path_may_be_another_than_the_one_written() {
        let rules = "SecRuleEngine On\nSecRule REQUEST_FILENAME \"@streq /a b/c\" \"id:1,phase:1,deny,chain\"\n\
                     SecRule REQUEST_BASENAME \"@streq c\" \"chain\"\nSecRule REQUEST_URI \"@contains ..\" \"t:none\"";
        let rules = crate::RuleSet::load_text(rules, crate::Settings::default()).unwrap();
        let mut transaction = Transaction::new(std::sync::Arc::new(rules), None);
        transaction.request_line(b"GET", b"/x/../a%20b/c?d", b"HTTP/1.1");
        assert_eq!(transaction.request_headers(), Verdict::Pass);
        transaction.begin(0, b"");
        transaction.request_line(b"GET", b"/x/../a%20b/c?d", b"HTTP/1.1");
        transaction.request_path(b"/a%20b/c");
        assert_ne!(transaction.request_headers(), Verdict::Pass);
        transaction.request_path(b"/a%20b/");
        assert_eq!(transaction.values.single(Variable::RequestBasename), None);
    }

    #[test]
    fn types_of_json_and_xml() {
        for (kind, processor) in [
            ("application/json", Some(Processor::Json)),
            ("Application/Vnd.Api+JSON ; charset=utf-8", Some(Processor::Json)),
            ("text/x-json", Some(Processor::Json)),
            ("application/json, text/plain", Some(Processor::Json)),
            ("application/octet-stream, application/json", Some(Processor::Json)),
            ("text/xml", Some(Processor::Xml)),
            ("image/svg+xml", Some(Processor::Xml)),
            ("application/x-ndjson", None),
            ("application/json-seq", None),
            ("json", None),
            ("", None),
        ] {
            assert_eq!(json_or_xml(kind.as_bytes()), processor, "{kind}");
        }
    }

    #[test]
    fn uris() {
        assert_eq!(decode(b"/%41%2fb%zz%4"), b"/A/b%zz%4");
        assert_eq!(behind_authority(b"http://a:80/b?c"), b"/b?c");
        assert_eq!(behind_authority(b"/a://b/c"), b"/a://b/c");
        assert_eq!(behind_authority(b"*"), b"*");
    }
}
