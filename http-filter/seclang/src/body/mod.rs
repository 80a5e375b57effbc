//! Body processors: a request body becomes arguments, files, XML texts and flags that rules ask for (`MULTIPART_STRICT_ERROR` ...), with
//! the same results as ModSecurity 3. Pure; bounded by [`BodyLimits`]; never panics, whatever the bytes.

mod json;
mod multipart;
mod part_header;
#[cfg(test)]
mod tests;
mod urlencoded;
mod xml;
mod xml_text;

/// How a body is taken apart; the names are those of `ctl:requestBodyProcessor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Processor {
    /// `application/x-www-form-urlencoded`; `URLENCODED`.
    UrlEncoded,
    /// `multipart/form-data`; `MULTIPART`.
    Multipart,
    /// `JSON`. Arguments are named as ModSecurity 3 names them (`json.a.b`).
    Json,
    /// `XML`.
    Xml,
}

/// What a body may hold at most. Reached limits end the parsing with [`Outcome::Limit`]; what was found before has been given to the sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Arguments of a query or a form (name and value pairs), files included. What JSON and XML hold counts as nodes: programs send hundreds of values
    /// that no form has.
    pub arguments: usize,
    /// Nesting of JSON and XML.
    pub depth: usize,
    /// JSON values and XML elements, attributes and texts together.
    pub nodes: usize,
    /// Bytes of a name.
    pub name_length: usize,
    /// Bytes of a value (a file's content does not count).
    pub value_length: usize,
    /// Parts of a multipart body.
    pub parts: usize,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { arguments: 256, depth: 32, nodes: 10_000, name_length: 1024, value_length: 1 << 20, parts: 256 }
    }
}

/// A file of a multipart body: a part with a file name.
#[derive(Clone, Copy, Debug)]
pub struct FilePart<'a> {
    /// The name of the form field.
    pub name: &'a [u8],
    /// The file's name as sent.
    pub filename: &'a [u8],
    /// Bytes of its content.
    pub size: usize,
}

/// Facts about a body that rules read as variables with the value 0 or 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the ModSecurity variable of the same name")]
pub enum Flag {
    MultipartStrictError,
    MultipartUnmatchedBoundary,
    MultipartBoundaryQuoted,
    MultipartBoundaryWhitespace,
    MultipartDataBefore,
    MultipartDataAfter,
    MultipartHeaderFolding,
    MultipartLfLine,
    MultipartCrlfLfLines,
    MultipartMissingSemicolon,
    MultipartInvalidQuoting,
    MultipartInvalidPart,
    MultipartInvalidHeaderFolding,
    MultipartFileLimitExceeded,
}

/// Receives what a body holds, in the order of the body.
pub trait Sink {
    /// An argument (`ARGS_POST`); both decoded.
    fn argument(&mut self, name: &[u8], value: &[u8]);
    /// A file (`FILES`, `FILES_NAMES`, `FILES_SIZES`, `FILES_COMBINED_SIZE`).
    fn file(&mut self, file: FilePart<'_>);
    /// One header line of a part, unchanged (`MULTIPART_PART_HEADERS:part`).
    fn part_header(&mut self, part: &[u8], line: &[u8]);
    /// The text content of the whole document (`XML:/*`), once.
    fn xml_text(&mut self, text: &[u8]);
    /// One attribute's value (`XML://@*`).
    fn xml_attribute(&mut self, value: &[u8]);
    /// A flag is raised (once or more often).
    fn flag(&mut self, flag: Flag);
}

/// Which limit ended the parsing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the field of BodyLimits of the same name")]
pub enum Limit {
    Arguments,
    Depth,
    Nodes,
    NameLength,
    ValueLength,
    Parts,
}

/// How the parsing ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The body was understood to its end.
    Complete,
    /// It is not what its type says (`REQBODY_ERROR` 1, `REQBODY_ERROR_MSG` = the text).
    Malformed(String),
    /// A limit was reached.
    Limit(Limit),
}

/// Takes `body` apart. `content_type` is the value of the header (a boundary is in there). Time and memory are linear in the body.
pub fn parse(kind: Processor, body: &[u8], content_type: &[u8], limits: &BodyLimits, sink: &mut dyn Sink) -> Outcome {
    let ended = match kind {
        Processor::UrlEncoded => urlencoded::parse(body, b'&', limits, &mut |name, value| sink.argument(name, value)),
        Processor::Multipart => multipart::parse(body, content_type, limits, sink),
        Processor::Json => json::parse(body, limits, sink),
        Processor::Xml => xml::parse(body, limits, sink),
    };
    match (ended, kind) {
        (Ok(()), _) => Outcome::Complete,
        // ModSecurity's words: people look for them in logs.
        (Err(Outcome::Malformed(reason)), Processor::Multipart) => {
            Outcome::Malformed(format!("Multipart parsing error: {reason}"))
        }
        (Err(Outcome::Malformed(reason)), Processor::Json) => {
            Outcome::Malformed(format!("JSON parsing error: {reason}"))
        }
        (Err(Outcome::Malformed(reason)), Processor::Xml) => Outcome::Malformed(format!("XML parsing error: {reason}")),
        (Err(outcome), _) => outcome,
    }
}

/// Splits a query string or an urlencoded body at `separator` (`&`) and decodes names and values (`+` and `%XX`), for `ARGS_GET` too.
pub fn parse_query(query: &[u8], separator: u8, limits: &BodyLimits, found: &mut dyn FnMut(&[u8], &[u8])) -> Outcome {
    urlencoded::parse(query, separator, limits, found).err().unwrap_or(Outcome::Complete)
}

/// What ends a parser early: never [`Outcome::Complete`].
type Parsed<T> = Result<T, Outcome>;

fn malformed<T>(message: &str) -> Parsed<T> {
    Err(Outcome::Malformed(message.to_owned()))
}

/// Counts one more and ends the parsing when there are more than `most`.
fn count(counter: &mut usize, most: usize, limit: Limit) -> Parsed<()> {
    *counter += 1;
    if *counter > most { Err(Outcome::Limit(limit)) } else { Ok(()) }
}

/// Ends the parsing when a name or a value is too long.
fn check_lengths(name: &[u8], value: &[u8], limits: &BodyLimits) -> Parsed<()> {
    match () {
        () if name.len() > limits.name_length => Err(Outcome::Limit(Limit::NameLength)),
        () if value.len() > limits.value_length => Err(Outcome::Limit(Limit::ValueLength)),
        () => Ok(()),
    }
}
