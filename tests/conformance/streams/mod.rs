//! HTTP/2 requests (RFC 9113 §8) on their way to an HTTP/1.1 backend: what frames can carry and lines cannot must not leave, and what
//! leaves is exactly what came. Raw frames with header blocks of our own making.

mod bodies;
mod fields;
mod hpack;
mod plain;
mod pseudo;
mod runner;

pub use runner::run;

use crate::case::{Sent, latin};

/// What must come of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Must {
    /// Reset, or answered with 4xx or 5xx; nothing of it leaves, and other streams of its connection are served on. Or the whole
    /// connection ends with an error, which RFC 9113 §5.4.2 leaves to the server (the h2 crate does so for bytes that no field may have).
    Refused,
    /// The same, but it may have begun to leave: nothing whole does.
    Broken,
    /// The connection ends (an error of the connection, RFC 9113 §5.4.1) and nothing leaves.
    Fatal,
    /// Leaves as this.
    Forwarded(Sent),
}

type Field = (Vec<u8>, Vec<u8>);

/// One stream.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it is about; the part before `:` is its group.
    pub name: String,
    /// Fields of its head, `§` for the mark.
    pub fields: Vec<Field>,
    /// Put in the place of the header block.
    pub block: Option<Vec<u8>>,
    /// DATA frames; none: the head ends the stream, unless there are trailers.
    pub data: Vec<Vec<u8>>,
    /// Fields of a second header block that ends the stream.
    pub trailers: Option<Vec<Field>>,
    /// What must come of it.
    pub must: Must,
    /// An ordinary request: refusing it would be a fault.
    pub plain: bool,
}

impl Case {
    fn new(name: impl Into<String>, fields: &[(&str, &str)], must: Must) -> Self {
        let fields = fields.iter().map(|(name, value)| (latin(name), latin(value))).collect();
        Self { name: name.into(), fields, block: None, data: Vec::new(), trailers: None, must, plain: false }
    }

    fn refused(name: impl Into<String>, fields: &[(&str, &str)]) -> Self {
        Self::new(name, fields, Must::Refused)
    }

    fn sent(name: impl Into<String>, fields: &[(&str, &str)], sent: Sent) -> Self {
        Self::new(name, fields, Must::Forwarded(sent))
    }

    fn data(mut self, data: &[&str]) -> Self {
        self.data = data.iter().map(|piece| latin(piece)).collect();
        self
    }

    fn trailers(mut self, fields: &[(&str, &str)]) -> Self {
        self.trailers = Some(fields.iter().map(|(name, value)| (latin(name), latin(value))).collect());
        self
    }

    fn plain(self) -> Self {
        Self { plain: true, ..self }
    }

    /// The group it is counted in, and the rest of its name.
    pub fn group(&self) -> (&str, &str) {
        self.name.split_once(": ").unwrap_or((&self.name, ""))
    }
}

/// Pseudo-header fields of `GET /§`.
const GET: [(&str, &str); 4] = [(":method", "GET"), (":scheme", "https"), (":authority", "www.test"), (":path", "/§")];
/// Of `POST /§`.
const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "https"), (":authority", "www.test"), (":path", "/§")];

/// These pseudo-header fields and others behind them.
fn with<'a>(pseudo: &[(&'a str, &'a str)], others: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [pseudo, others].concat()
}

/// `GET /§` with one pseudo-header field changed.
fn changed<'a>(name: &str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    GET.iter().map(|(own, old)| (*own, if *own == name { value } else { *old })).chain([("x", "§")]).collect()
}

/// All of them.
pub fn all() -> Vec<Case> {
    [plain::cases(), pseudo::cases(), fields::cases(), bodies::cases(), hpack::cases()].concat()
}
