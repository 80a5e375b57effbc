//! About 600 answers of a hostile backend. Whatever it says, the client gets a 502, a clean cut, or exactly one answer; and the next
//! requests, on the same client connection and on whatever backend connection is used then, get answers of their own.

mod bodies;
mod framing;
mod heads;
mod hostile;
mod interim;
mod over_h2;

pub use hostile::{Client, Stage, backend, run};

use crate::case::latin;

/// What must come of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Must {
    /// A 502 of our own.
    BadGateway,
    /// A 502, or an answer that is visibly cut off: never a whole one.
    Stopped,
    /// Exactly this.
    Passed(Came),
    /// Exactly this, a 502 or a cut: where the specification leaves it open.
    PassedOrStopped(Came),
}

/// An answer as it reaches the client, framing, `Date` and `Connection` left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Came {
    /// Status.
    pub status: u16,
    /// Fields, names in lower case.
    pub fields: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// What the backend does after its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// Ends the connection.
    Close,
    /// Serves on.
    Open,
    /// Says something more when the connection has been idle for a moment, then serves on.
    Late(Vec<u8>),
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it is about; the part before `:` is its group.
    pub name: String,
    /// Head lines of the request behind Host, if they matter.
    pub asks: &'static str,
    /// Method of the request.
    pub method: &'static str,
    /// The backend's bytes.
    pub bytes: Vec<u8>,
    /// What it does then.
    pub then: Then,
    /// What must come of it.
    pub must: Must,
}

impl Case {
    fn new(name: impl Into<String>, text: &str, must: Must) -> Self {
        let (asks, method, then) = ("", "GET", Then::Open);
        Self { name: name.into(), asks, method, bytes: latin(text), then, must }
    }

    fn bad(name: impl Into<String>, text: &str) -> Self {
        Self::new(name, text, Must::BadGateway)
    }

    fn stopped(name: impl Into<String>, text: &str) -> Self {
        Self::new(name, text, Must::Stopped)
    }

    fn passed(name: impl Into<String>, text: &str, came: Came) -> Self {
        Self::new(name, text, Must::Passed(came))
    }

    fn closing(self) -> Self {
        Self { then: Then::Close, ..self }
    }

    fn method(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    /// The group it is counted in, and the rest of its name.
    pub fn group(&self) -> (&str, &str) {
        self.name.split_once(": ").unwrap_or((&self.name, ""))
    }
}

impl Came {
    fn new(status: u16, body: &str) -> Self {
        Self { status, fields: Vec::new(), body: latin(body) }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }
}

/// All of them.
pub fn all() -> Vec<Case> {
    [heads::cases(), framing::cases(), bodies::cases(), interim::cases()].concat()
}
