//! What a case is: bytes, and what must come of them. Cases are made by tables and generators; `§` in their text stands for a mark of
//! the case's own, by which its requests are found again in what backends recorded.

/// The byte that stands for the mark: `§` in ISO 8859-1, so that text can be written as text.
const MARK: u8 = 0xa7;

/// What must come of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Must {
    /// Answered with one of these statuses, then the connection ends. No backend sees anything of it, nor of what follows it.
    Refused(&'static [u16]),
    /// Wrong behind its head: no backend sees a whole request, the client is told so (4xx), nothing behind it is served.
    Broken,
    /// Not complete, so nothing may come of it; what follows is part of it.
    Waits,
    /// Leaves as exactly this.
    Forwarded(Sent),
}

/// A request as it leaves, without the fields that tell the backend about the client and without its framing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Method.
    pub method: String,
    /// Target.
    pub target: String,
    /// Host.
    pub host: String,
    /// All other fields, names in lower case.
    pub fields: Vec<(String, String)>,
    /// Body without framing.
    pub body: Vec<u8>,
    /// The connection ends after the answer.
    pub last: bool,
}

/// A request and what must come of it.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it is about; the part before `:` is its group.
    pub name: String,
    /// As sent, `§` for the mark.
    pub bytes: Vec<u8>,
    /// What must come of it.
    pub must: Must,
    /// An ordinary request as clients send it: refusing it would be a fault.
    pub plain: bool,
}

/// What is refused with 400.
pub const BAD: &[u16] = &[400];

impl Case {
    /// A case from text in which every character below 256 is a byte.
    pub fn new(name: impl Into<String>, text: &str, must: Must) -> Self {
        Self { name: name.into(), bytes: latin(text), must, plain: false }
    }

    /// Refused with 400.
    pub fn refused(name: impl Into<String>, text: &str) -> Self {
        Self::new(name, text, Must::Refused(BAD))
    }

    /// Leaves as this.
    pub fn sent(name: impl Into<String>, text: &str, sent: Sent) -> Self {
        Self::new(name, text, Must::Forwarded(sent))
    }

    /// An ordinary request.
    pub fn plain(name: impl Into<String>, text: &str, sent: Sent) -> Self {
        Self { plain: true, ..Self::sent(name, text, sent) }
    }

    /// The group it is counted in.
    pub fn group(&self) -> &str {
        self.name.split(':').next().unwrap_or_default()
    }

    /// The bytes with the mark in place.
    pub fn bytes(&self, mark: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes.len() + mark.len());
        for byte in &self.bytes {
            match *byte {
                MARK => bytes.extend_from_slice(mark.as_bytes()),
                byte => bytes.push(byte),
            }
        }
        bytes
    }
}

impl Sent {
    /// `GET /§` for `www.test`.
    pub fn get() -> Self {
        Self {
            method: "GET".into(),
            target: "/§".into(),
            host: "www.test".into(),
            fields: Vec::new(),
            body: Vec::new(),
            last: false,
        }
    }

    /// The same with POST and a body.
    pub fn post(body: &str) -> Self {
        Self { method: "POST".into(), body: latin(body), ..Self::get() }
    }

    /// With this method.
    pub fn method(self, method: &str) -> Self {
        Self { method: method.into(), ..self }
    }

    /// To this target.
    pub fn to(self, target: &str) -> Self {
        Self { target: target.into(), ..self }
    }

    /// For this host.
    pub fn host(self, host: &str) -> Self {
        Self { host: host.into(), ..self }
    }

    /// With a further field.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// The connection ends after it.
    pub fn last(self) -> Self {
        Self { last: true, ..self }
    }
}

/// Each character below 256 as the byte of its number.
pub fn latin(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).expect("a character below 256")).collect()
}

/// Text for a name: what cannot be seen is escaped.
pub fn shown(text: &str) -> String {
    latin(text).escape_ascii().to_string()
}

/// `GET /§` with these header lines behind Host, each ended by CR LF.
pub fn get(lines: &str) -> String {
    format!("GET /§ HTTP/1.1\r\nHost: www.test\r\n{lines}\r\n")
}

/// `POST /§` with these header lines behind Host, and what follows the head.
pub fn post(lines: &str, body: &str) -> String {
    format!("POST /§ HTTP/1.1\r\nHost: www.test\r\n{lines}\r\n{body}")
}
