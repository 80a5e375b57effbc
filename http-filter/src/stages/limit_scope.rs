//! Which requests a limit counts, and together with which others: conditions and key of `[[http-filter.rate-limit]]` and
//! `[[http-filter.concurrency-limit]]`, in the form in which they are asked for each request.

use std::cell::Cell;

use common::config::{KeyPart, LimitScope};
use common_access::{Answer, Environment, Known, Matcher, Place};
use common_http::limit::key::{Key, KeyBuilder, Keying};
use http::header::COOKIE;
use http::request::Parts;
use http::{HeaderMap, HeaderName};

use crate::connection::Connection;
use crate::normalise::Seen;

/// See the module's words.
#[derive(Debug)]
pub struct Scope {
    own: LimitScope,
    conditions: Matcher,
    /// Names of header fields, in the order of the key's parts.
    headers: Vec<HeaderName>,
    keying: Keying,
}

/// A request as limits see it.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The client's connection.
    pub connection: &'a Connection,
    /// Client, host and path in their one form.
    pub seen: &'a Seen<'a>,
    /// Method and header fields.
    pub parts: &'a Parts,
    /// The same and more, as conditions ask for it.
    pub known: &'a common_access::Facts<'a>,
    /// How many expressions failed.
    pub failures: &'a Cell<u32>,
}

impl Scope {
    /// `keying` is that of a limit whose counts it takes over.
    ///
    /// # Errors
    /// Each thing that is wrong with a condition or a name.
    pub fn new(own: &LimitScope, environment: &Environment, keying: Keying) -> Result<Self, Vec<String>> {
        let headers = own.key.iter().filter_map(|part| match part {
            KeyPart::Header(name) => Some(HeaderName::from_bytes(name.as_bytes()).map_err(|e| vec![e.to_string()])),
            _ => None,
        });
        Ok(Self {
            conditions: Matcher::compile(&own.conditions, Place::Http, environment)?,
            headers: headers.collect::<Result<_, _>>()?,
            keying,
            own: own.clone(),
        })
    }

    /// Under what requests count.
    pub fn keying(&self) -> Keying {
        self.keying.clone()
    }

    /// Only report.
    pub fn observes(&self) -> bool {
        self.own.observe
    }

    /// The key under which a request counts; `None` when it does not count here.
    pub fn key(&self, facts: &Facts<'_>) -> Option<Key> {
        self.holds(facts).then(|| self.key_of(facts))
    }

    /// Whether the conditions hold. An expression that fails holds: a failure may only refuse more.
    fn holds(&self, facts: &Facts<'_>) -> bool {
        self.conditions.is_empty()
            || match self.conditions.answer(facts.known, Known::ALL) {
                Answer::Yes => true,
                Answer::Failed(_) => {
                    facts.failures.set(facts.failures.get().saturating_add(1));
                    true
                }
                _ => false,
            }
    }

    fn key_of(&self, facts: &Facts<'_>) -> Key {
        let mut key = self.keying.begin();
        let mut headers = self.headers.iter();
        for part in &self.own.key {
            let header = matches!(part, KeyPart::Header(_)).then(|| headers.next()).flatten();
            if !add(part, header, facts, &mut key) {
                key.add(b"");
                key.add_network(facts.seen.client, self.own.v4_prefix, self.own.v6_prefix);
            }
        }
        key.finish()
    }
}

/// Adds one part; `false` when the request lacks it, or when it is the client: then the client's network is to stand for it.
fn add<H: std::hash::Hasher>(
    part: &KeyPart,
    header: Option<&HeaderName>,
    facts: &Facts<'_>,
    key: &mut KeyBuilder<H>,
) -> bool {
    let tls = facts.connection.client.tls.as_ref();
    let value: Option<&[u8]> = match part {
        KeyPart::Client => None,
        KeyPart::Host => Some(facts.seen.target.host.as_bytes()),
        KeyPart::Sni => facts.connection.client.server_name().map(str::as_bytes),
        KeyPart::Ja4 => tls.map(|tls| tls.ja4.as_bytes()),
        KeyPart::Method => Some(facts.parts.method.as_str().as_bytes()),
        KeyPart::Path(count) => Some(segments(&facts.seen.target.path, *count).as_bytes()),
        KeyPart::Header(_) => header.and_then(|name| facts.parts.headers.get(name)).map(|value| value.as_bytes()),
        KeyPart::Cookie(name) => cookie(&facts.parts.headers, name),
    };
    let Some(value) = value.filter(|value| !value.is_empty()) else { return false };
    key.add(value);
    true
}

/// The leading segments of a path, or all of it.
fn segments(path: &str, count: Option<u8>) -> &str {
    let Some(count) = count else { return path };
    let end = path.match_indices('/').nth(usize::from(count)).map(|(at, _)| at);
    end.and_then(|end| path.get(..end)).unwrap_or(path)
}

/// The first cookie of that name (RFC 6265 §5.4).
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn leading_segments() {
        for (path, count, expected) in [
            ("/api/v1/users", Some(1), "/api"),
            ("/api/v1/users", Some(2), "/api/v1"),
            ("/api/v1/users", Some(9), "/api/v1/users"),
            ("/api/", Some(1), "/api"),
            ("/", Some(1), "/"),
            ("*", Some(1), "*"),
            ("/a/b", None, "/a/b"),
        ] {
            assert_eq!(segments(path, count), expected, "{path} {count:?}");
        }
    }

    #[test]
    fn cookies_by_their_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "xsid=1; sid=2;sid=3".parse().unwrap());
        headers.append(COOKIE, "other=4; empty=".parse().unwrap());
        assert_eq!(cookie(&headers, "sid"), Some(b"2".as_slice()));
        assert_eq!(cookie(&headers, "other"), Some(b"4".as_slice()));
        assert_eq!(cookie(&headers, "empty"), Some(b"".as_slice()));
        assert_eq!((cookie(&headers, "si"), cookie(&headers, "oth")), (None, None));
    }
}
