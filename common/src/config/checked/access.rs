//! Access rules and the conditions that rules and routes share: what the file says, judged word by word, in one vocabulary for
//! every process. What they come to for one connection or request is decided in the crate `common-access`.

use super::{Action, TlsVersion};
use crate::config::located::Located;
use crate::config::pattern::{HeaderPattern, NamePattern, NetworkSet, PathPattern, PortSet};
use crate::config::text_pattern::TextPattern;
use ipnet::IpNet;
use std::sync::Arc;

/// A rule of `[[sni-router.access]]`, `[[http-filter.access]]` or `[[forward-proxy.access]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    /// Unique among the rules of its list; appears in log, counter, refusal and `explain`.
    pub name: Arc<str>,
    /// What a match decides.
    pub action: Action,
    /// Only log what would have happened and go on.
    pub observe: bool,
    /// 1-based line of the file in which the rule begins.
    pub line: usize,
    /// When it matches.
    pub conditions: Conditions,
}

/// Every condition that is given must hold; within a list any entry may, except `headers`, `cookies` and `parameters`, of
/// which all must. A condition of which the table has no key is never given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Client networks; `None`: any client.
    pub clients: Option<NetworkSet>,
    /// Countries of clients, by `access.country_file`; empty: any.
    pub countries: Vec<Country>,
    /// Listeners by name; empty: any.
    pub listen: Vec<Arc<str>>,
    /// Times of day, UTC; empty: any.
    pub hours: Vec<Hours>,
    /// Days of the week, UTC; empty: any.
    pub days: Days,
    /// Names of the ClientHello; empty: any.
    pub server_names: Vec<NamePattern>,
    /// TLS versions; empty: any, and plain text.
    pub tls_versions: Vec<TlsVersion>,
    /// JA4 fingerprints; empty: any.
    pub ja4: Vec<TextPattern>,
    /// Attributes of the subject of a verified client certificate (`CN=ada`); empty: any, and none.
    pub certificate_subjects: Vec<TextPattern>,
    /// Alternative names of a verified client certificate, by their kind (`DNS`, `email`, `URI`, `IP`); empty: any, and none.
    pub certificate_names: Vec<HeaderPattern>,
    /// Attributes of the issuer of a verified client certificate; empty: any, and none.
    pub certificate_issuers: Vec<TextPattern>,
    /// Methods; empty: any.
    pub methods: Vec<Arc<str>>,
    /// Names in the authority; empty: any.
    pub hosts: Vec<NamePattern>,
    /// Normalised paths; empty: any (together with `path_regex`: one of both lists must match).
    pub paths: Vec<PathPattern>,
    /// Regular expressions over the normalised path.
    pub path_regex: Vec<Located>,
    /// Parameters of the query; all must match.
    pub parameters: Vec<HeaderPattern>,
    /// Header fields; all must match.
    pub headers: Vec<HeaderPattern>,
    /// Cookies; all must match.
    pub cookies: Vec<HeaderPattern>,
    /// Media types of the request's body, in lower case and without parameters; empty: any, and none.
    pub content_types: Vec<TextPattern>,
    /// The declared body is larger than so many bytes.
    pub body_larger_than: Option<u64>,
    /// Users; empty: anybody, also without credentials.
    pub users: Vec<UserPattern>,
    /// Destinations as the client wrote them; empty: any.
    pub destinations: Vec<Destination>,
    /// Destination ports; `None`: any port.
    pub ports: Option<PortSet>,
    /// A CEL expression.
    pub when: Option<Located>,
}

impl Conditions {
    /// Whether countries of clients have to be known. Of expressions only the words are looked at, so the answer may be yes
    /// where it could be no.
    pub fn ask_countries(&self) -> bool {
        !self.countries.is_empty() || self.when.as_ref().is_some_and(|when| when.as_str().contains("country"))
    }
}

/// `[access]`: what all access rules share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Lines `network,country`.
    pub country_file: Option<std::path::PathBuf>,
}

/// A country by its ISO 3166-1 alpha-2 code, two capitals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country(pub [u8; 2]);

impl Country {
    /// Reads two letters.
    ///
    /// # Errors
    /// What is wrong with the text, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Country, String> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok(Country([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => Err(format!("`{text}` is not a country; write the two letters of ISO 3166, `DE`")),
        }
    }

    /// The two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// A part of a day, in minutes since midnight: from the first up to, and without, the second. A first that is not before the
/// second runs over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours(pub u16, pub u16);

impl Hours {
    /// Whether the minute of the day (0..1440) lies in it.
    pub fn contain(self, minute: u16) -> bool {
        let Hours(from, to) = self;
        if from < to { (from..to).contains(&minute) } else { minute >= from || minute < to }
    }
}

/// Days of the week as bits, Monday first. None at all stands for any day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Days(pub u8);

impl Days {
    /// Whether no day is named.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the day (0: Monday … 6: Sunday) is among them.
    pub fn contain(self, day: u8) -> bool {
        self.0 & (1 << day.min(6)) != 0
    }
}

/// An entry of `users`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserPattern {
    /// `*`: whoever proved to be somebody.
    Anybody,
    /// This user.
    Named(Arc<str>),
}

/// An entry of `destinations`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Matches when the client wrote a name.
    Name(NamePattern),
    /// Matches when the client wrote an address (the relay judges resolved addresses).
    Network(IpNet),
}
