//! What is done to answers: header rules, security headers, error pages, compression.

use crate::config::pattern::NamePattern;
use crate::config::template::Template;
use std::path::PathBuf;
use std::sync::Arc;

/// Changes to a header in their order.
pub type HeaderRules = Vec<HeaderRule>;

/// One change to a header. Names are in lower case and are never those of framing or of the hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderRule {
    /// Whatever was there is replaced. An empty value takes the field off.
    Set(Arc<str>, Template),
    /// A further line, if the value is not empty.
    Add(Arc<str>, Template),
    /// Every line of that name is taken off.
    Remove(Arc<str>),
}

/// `security_headers`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityHeaders {
    /// None.
    Off,
    /// What breaks no ordinary site.
    Basic,
    /// What a new site should want.
    Strict,
}

/// `[[http-filter.error-page]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPage {
    /// First and last status of ranges, 400..=599.
    pub statuses: Vec<(u16, u16)>,
    /// Hosts; empty: any.
    pub hosts: Vec<NamePattern>,
    /// The page.
    pub file: PathBuf,
    /// Its media type.
    pub content_type: Arc<str>,
    /// Also in the place of what a backend says.
    pub intercept: bool,
}

/// `[http-filter.compression]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compression {
    /// What is offered, the best first; empty: nothing is compressed.
    pub algorithms: Vec<Algorithm>,
    /// Media types in lower case: `text/html`, or `text/*`.
    pub types: Vec<Arc<str>>,
    /// Answers known to be shorter, in bytes, stay as they are.
    pub min_size: u64,
    /// How much work is put into it.
    pub level: CompressionLevel,
    /// Bytes of the answer that the compressor looks back at, and so holds for each answer.
    pub max_window: u64,
    /// Answers that are compressed at once; further ones stay as they are.
    pub max_answers: usize,
}

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RFC 8878
    Zstd,
    /// RFC 7932
    Brotli,
    /// RFC 1952
    Gzip,
}

/// `level`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionLevel {
    /// Least work.
    Fast,
    /// What others choose too.
    Balanced,
    /// Small answers.
    Small,
}
