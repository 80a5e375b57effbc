//! What a rule can ask, as data. Constructors refuse what could never match or would match something else than it says.

use http::{HeaderName, Method};

use super::{Facts, Networks};
use crate::host::{Authority, HostError};
use crate::normalise::{PathError, PathPolicy, normalise_path};

/// Why a pattern was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternError {
    /// The name (after `*.` or `.`) is no host name.
    Host(HostError),
    /// A port has no place in a name pattern.
    PortInName,
    /// The path has no single reading.
    Path(PathError),
}

impl std::fmt::Display for PatternError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PatternError::Host(error) => error.fmt(f),
            PatternError::PortInName => f.write_str("a name pattern has no port; use the port condition"),
            PatternError::Path(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PatternError {}

/// A host name or a family of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamePattern {
    /// Any name: `*`.
    Any,
    /// This name or address only.
    Exact(String),
    /// `*.example.org`: names below it at any depth, not itself. Kept with its leading dot.
    Below(String),
    /// `.example.org`: itself and all names below it. Kept with its leading dot.
    Suffix(String),
}

impl NamePattern {
    /// Reads `*`, `name`, `*.name`, `.name`, or an address.
    ///
    /// # Errors
    /// The name in it is no host name, or has a port.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        if text == "*" {
            return Ok(NamePattern::Any);
        }
        let (name, below, suffix) = match (text.strip_prefix("*."), text.strip_prefix('.')) {
            (Some(name), _) => (name, true, false),
            (_, Some(name)) => (name, false, true),
            _ => (text, false, false),
        };
        // A bare IPv6 address may stand without brackets: there is no port here to confuse it with.
        let bracketed =
            if name.matches(':').count() > 1 && !name.starts_with('[') { format!("[{name}]") } else { name.to_owned() };
        let authority = Authority::parse(bracketed.as_bytes()).map_err(PatternError::Host)?;
        if authority.port.is_some() {
            return Err(PatternError::PortInName);
        }
        if authority.address.is_some() && (below || suffix) {
            return Err(PatternError::Host(HostError::BadAddress));
        }
        let name = authority.host().into_owned();
        Ok(match (below, suffix) {
            (true, _) => NamePattern::Below(format!(".{name}")),
            (_, true) => NamePattern::Suffix(format!(".{name}")),
            _ => NamePattern::Exact(name),
        })
    }

    /// Whether `name`, in the form of [`Authority::host`], is meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self {
            NamePattern::Any => true,
            NamePattern::Exact(exact) => name == exact,
            NamePattern::Below(suffix) => name.len() > suffix.len() && name.ends_with(suffix.as_str()),
            NamePattern::Suffix(suffix) => name.ends_with(suffix.as_str()) || suffix.strip_prefix('.') == Some(name),
        }
    }
}

/// A path or a tree of paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathPattern {
    /// This path only.
    Exact(String),
    /// This path and everything below it, cut at slashes: `/admin` covers `/admin` and `/admin/x`, not `/administrator`. Kept without a final slash.
    Prefix(String),
    /// Every path that begins with these bytes, wherever they end: `/admin*` of the configuration. Kept as normalised.
    Begins(String),
}

impl PathPattern {
    /// A path as clients' paths are written (see [`crate::normalise`]).
    ///
    /// # Errors
    /// The path has no single reading.
    pub fn exact(path: &str) -> Result<Self, PatternError> {
        Ok(PathPattern::Exact(normal(path)?))
    }

    /// A tree of paths.
    ///
    /// # Errors
    /// As for [`PathPattern::exact`].
    pub fn prefix(path: &str) -> Result<Self, PatternError> {
        Ok(PathPattern::Prefix(normal(path)?.trim_end_matches('/').to_owned()))
    }

    /// Paths that begin so, not cut at slashes.
    ///
    /// # Errors
    /// As for [`PathPattern::exact`].
    pub fn begins(path: &str) -> Result<Self, PatternError> {
        Ok(PathPattern::Begins(normal(path)?))
    }

    /// Whether `path`, normalised, is meant.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        match self {
            PathPattern::Exact(exact) => path == exact,
            PathPattern::Begins(beginning) => path.starts_with(beginning.as_str()),
            PathPattern::Prefix(prefix) => {
                path.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        }
    }
}

fn normal(path: &str) -> Result<String, PatternError> {
    normalise_path(path, PathPolicy::Normalise).map(std::borrow::Cow::into_owned).map_err(PatternError::Path)
}

/// What is asked of a header's value. Any line of that name will do. Values compare byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderMatch {
    /// There is such a line.
    Present,
    /// There is none.
    Absent,
    /// The whole value.
    Exact(Vec<u8>),
    /// How it starts.
    Prefix(Vec<u8>),
    /// Anywhere in it.
    Contains(Vec<u8>),
}

/// A question about one header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderPattern {
    /// Its name.
    pub name: HeaderName,
    /// What is asked.
    pub value: HeaderMatch,
}

impl HeaderPattern {
    fn matches(&self, facts: &Facts<'_>) -> bool {
        let Some(headers) = facts.headers else { return false };
        let any = |test: &dyn Fn(&[u8]) -> bool| headers.get_all(&self.name).iter().any(|v| test(v.as_bytes()));
        match &self.value {
            HeaderMatch::Present => headers.contains_key(&self.name),
            HeaderMatch::Absent => !headers.contains_key(&self.name),
            HeaderMatch::Exact(wanted) => any(&|v| v == wanted),
            HeaderMatch::Prefix(wanted) => any(&|v| v.starts_with(wanted)),
            HeaderMatch::Contains(wanted) => {
                wanted.is_empty() || any(&|v| v.windows(wanted.len()).any(|w| w == wanted))
            }
        }
    }
}

/// Conditions of a rule. Each list that is not empty must hold; a list holds when one of its entries does, except `headers`, where all must.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    /// Client networks.
    pub clients: Networks,
    /// Authenticated users.
    pub users: Vec<String>,
    /// Methods.
    pub methods: Vec<Method>,
    /// Host, or destination in forward-proxy.
    pub hosts: Vec<NamePattern>,
    /// Destination ports, first to last.
    pub ports: Vec<(u16, u16)>,
    /// Paths.
    pub paths: Vec<PathPattern>,
    /// Headers.
    pub headers: Vec<HeaderPattern>,
    /// Server names.
    pub snis: Vec<NamePattern>,
}

impl Conditions {
    /// Whether all that is asked is so.
    #[must_use]
    pub fn hold(&self, facts: &Facts<'_>) -> bool {
        (self.clients.is_empty() || self.clients.contains(facts.client))
            && asks(&self.methods, |m| m == facts.method)
            && asks(&self.hosts, |h| h.matches(facts.host))
            && asks(&self.paths, |p| p.matches(facts.path))
            && asks(&self.ports, |(from, to)| facts.port.is_some_and(|port| (*from..=*to).contains(&port)))
            && asks(&self.users, |u| facts.user == Some(u.as_str()))
            && asks(&self.snis, |s| facts.sni.is_some_and(|sni| s.matches(sni)))
            && self.headers.iter().all(|h| h.matches(facts))
    }
}

fn asks<T>(list: &[T], holds: impl Fn(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(holds)
}
