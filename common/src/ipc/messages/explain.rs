//! `bulkhead explain URL`: what would happen to a request. The front door asks one process after the other, as the request would
//! meet them; each answers from the configuration that it works with now, by the code that decides, and changes nothing.

use std::net::IpAddr;

use super::terminator_to_filter::ClientIdentity;

/// Bytes of a body that can be asked about: it has to fit into one message with everything else.
pub const MAX_BODY: usize = 24 * 1024;

/// A request that nobody sends.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Explain {
    /// Whose it would be.
    pub client: IpAddr,
    /// The listener, if it is named; otherwise the first one of the port.
    pub listener: Option<Box<str>>,
    /// The port that the client connects to.
    pub port: u16,
    /// It speaks TLS.
    pub secure: bool,
    /// Name in the ClientHello, lower case.
    pub server_name: Option<Box<str>>,
    /// Protocols in the ClientHello.
    pub alpn: Vec<Box<str>>,
    /// What ALPN came to, as far as that is known.
    pub protocol: Option<Box<str>>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub tls_version: Box<str>,
    /// JA4 fingerprint; may be empty.
    pub ja4: Box<str>,
    /// The certificate that the client shows, and what follows it, in PEM; for tls-terminator to read.
    pub certificate: Option<Box<str>>,
    /// What tls-terminator read in it.
    pub identity: Option<Box<ClientIdentity>>,
    /// Method.
    pub method: Box<str>,
    /// `Host`, or where a client of forward-proxy wants to go.
    pub authority: Box<str>,
    /// Path and query.
    pub target: Box<str>,
    /// Header fields beside `Host`.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// The body, of at most [`MAX_BODY`] bytes; for http-filter's rules to read.
    pub body: Option<Box<[u8]>>,
    /// Who would have proved to be who, at forward-proxy.
    pub user: Option<Box<str>>,
    /// What passthrough-relay is asked for.
    pub reach: Option<Reach>,
}

/// What passthrough-relay would be asked for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Reach {
    /// A pool, for a connection that passes through.
    Pool(Box<str>),
    /// One of these servers of http-filter's pools, as the configuration writes them.
    Servers(Vec<Box<str>>),
    /// A destination that a client chose.
    Outward(Box<str>, u16),
}

/// Where it would go next.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Then {
    /// Nowhere: it ends here.
    Ends,
    /// To tls-terminator.
    Terminator,
    /// To http-filter, with what ALPN came to.
    Filter(Option<Box<str>>),
    /// To passthrough-relay.
    Relay(Reach),
}

/// One decision on the way.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Step {
    /// Which stage, in a word.
    pub stage: Box<str>,
    /// What it says, in a sentence.
    pub decision: Box<str>,
    /// The rule, route, limit or site that decided.
    pub rule: Option<Box<str>>,
    /// Its 1-based line in the file.
    pub line: Option<usize>,
    /// It ends here.
    pub refused: bool,
    /// What else there is to know.
    pub facts: Vec<(Box<str>, Box<str>)>,
}

/// All decisions of one process.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Explained {
    /// In the order in which they are made.
    pub steps: Vec<Step>,
    /// What follows.
    pub then: Then,
    /// Who the client is by its certificate.
    pub identity: Option<Box<ClientIdentity>>,
}

impl Step {
    /// A decision that lets it go on.
    #[must_use]
    pub fn new(stage: &str, decision: impl Into<String>) -> Self {
        let decision = decision.into().into_boxed_str();
        Self { stage: stage.into(), decision, rule: None, line: None, refused: false, facts: Vec::new() }
    }

    /// By whom it was made.
    #[must_use]
    pub fn by(mut self, rule: &str, line: Option<usize>) -> Self {
        self.rule = Some(rule.into());
        self.line = line.filter(|line| *line > 0);
        self
    }

    /// It ends here.
    #[must_use]
    pub fn refuses(mut self, refused: bool) -> Self {
        self.refused = refused;
        self
    }

    /// Something else to know.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<String>) -> Self {
        self.facts.push((name.into(), value.into().into_boxed_str()));
        self
    }
}

impl Explained {
    /// It ends with the last of these.
    #[must_use]
    pub fn ends(steps: Vec<Step>) -> Self {
        Self { steps, then: Then::Ends, identity: None }
    }

    /// It goes on.
    #[must_use]
    pub fn goes_on(steps: Vec<Step>, then: Then) -> Self {
        Self { steps, then, identity: None }
    }
}
