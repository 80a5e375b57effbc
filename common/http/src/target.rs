//! What a request is about: host, port, path and query in their one form ([`crate::host`], [`crate::normalise`]), from wherever the request carries
//! them (origin-form and Host, absolute-form, HTTP/2 `:authority`); and the rewriting into what an HTTP/1.1 backend is sent.
//!
//! [`Target`] is what every decision looks at; [`send_on`] makes the request say exactly that. Use both, in this order, for every request.

use std::borrow::Cow;
use std::net::IpAddr;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Uri, Version};

use crate::host::{Authority, HostError};
use crate::normalise::{PathError, PathPolicy, normalise_path};

/// One reading of a request's target. Borrowed from the request where nothing had to be rewritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target<'a> {
    /// In the form of [`Authority::host`]; empty only for HTTP/1.0 requests without Host.
    pub host: Cow<'a, str>,
    /// Set when the host is an address.
    pub address: Option<IpAddr>,
    /// As the client wrote it.
    pub port: Option<u16>,
    /// Normalised; empty for CONNECT.
    pub path: Cow<'a, str>,
    /// As the client wrote it, without the question mark.
    pub query: Option<&'a str>,
}

/// Why a target has no single reading. Answer 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetError {
    /// The host.
    Host(HostError),
    /// The path.
    Path(PathError),
}

impl std::fmt::Display for TargetError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TargetError::Host(error) => error.fmt(f),
            TargetError::Path(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TargetError {}

impl<'a> Target<'a> {
    /// Reads the target of a request that the framing (or [`crate::h2_gate`]) has let through.
    ///
    /// # Errors
    /// The path is ambiguous under `policy`, or the host is none.
    pub fn read(parts: &'a Parts, policy: PathPolicy) -> Result<Self, TargetError> {
        let written = match (parts.uri.authority(), parts.headers.get(header::HOST)) {
            (Some(authority), _) => authority.as_str().as_bytes(),
            (None, Some(host)) => host.as_bytes(),
            (None, None) => b"",
        };
        let (host, address, port) = if written.is_empty() {
            (Cow::Borrowed(""), None, None)
        } else {
            let authority = Authority::parse(written).map_err(TargetError::Host)?;
            (authority.host(), authority.address, authority.port)
        };
        let path = match parts.uri.path_and_query() {
            Some(target) => normalise_path(target.path(), policy).map_err(TargetError::Path)?,
            None => Cow::Borrowed(""),
        };
        Ok(Target { host, address, port, path, query: parts.uri.query() })
    }

    /// The path and query for [`send_on`], if they have to be changed.
    ///
    /// # Errors
    /// Never for a target made by [`Target::read`]; a path changed by others may not be a valid one.
    pub fn rewritten(&self) -> Result<Option<PathAndQuery>, http::uri::InvalidUri> {
        let Cow::Owned(path) = &self.path else { return Ok(None) };
        let text = match self.query {
            Some(query) => format!("{path}?{query}"),
            None => path.clone(),
        };
        PathAndQuery::try_from(text).map(Some)
    }
}

/// Makes the request what an HTTP/1.1 backend is sent: origin-form with the path that was decided on, Host from the authority,
/// version 1.1, one Cookie line. Costs nothing for an ordinary HTTP/1.1 request.
pub fn send_on(parts: &mut Parts, rewritten: Option<PathAndQuery>) {
    let was_h2 = parts.version == Version::HTTP_2;
    parts.version = Version::HTTP_11;
    if was_h2 {
        join_cookies(&mut parts.headers);
    }
    let Some(authority) = parts.uri.authority() else {
        if let Some(path) = rewritten {
            parts.uri = Uri::from(path);
        }
        return;
    };
    // Both places name the same host: it was checked. The authority is the one that counts (RFC 9112 §3.2.2).
    if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
        parts.headers.insert(header::HOST, host);
    }
    // The URI type can hold an empty path (`:path #x` over HTTP/2, the fragment being cut off), which must not be written as one.
    let path = rewritten.or_else(|| parts.uri.path_and_query().cloned()).filter(|path| path.as_str() != "/");
    parts.uri = path.map_or_else(|| Uri::from_static("/"), Uri::from);
}

/// HTTP/2 clients may cut the Cookie field into crumbs; HTTP/1 backends read one line (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(header::COOKIE).iter();
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else { return };
    let mut joined = first.as_bytes().to_vec();
    for crumb in std::iter::once(second).chain(crumbs) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(crumb.as_bytes());
    }
    if let Ok(joined) = HeaderValue::from_maybe_shared(bytes::Bytes::from(joined)) {
        headers.insert(header::COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;
    use http::Request;

    fn parts(uri: &str, host: Option<&str>, version: Version) -> Parts {
        let mut request = Request::builder().uri(uri).version(version);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn sent(mut parts: Parts) -> (String, String, Version) {
        let rewritten = Target::read(&parts, PathPolicy::Normalise).unwrap().rewritten().unwrap();
        send_on(&mut parts, rewritten);
        (parts.uri.to_string(), parts.headers["host"].to_str().unwrap().to_owned(), parts.version)
    }

    #[test]
    fn every_form_becomes_one() {
        let http_11 = Version::HTTP_11;
        for (uri, host, version, uri_sent, host_sent) in [
            ("/a?b=%2e", Some("A.example:80"), http_11, "/a?b=%2e", "A.example:80"),
            ("/x/../%61/?q", Some("a"), Version::HTTP_10, "/a/?q", "a"),
            ("http://b.example:81", Some("b.example:81"), http_11, "/", "b.example:81"),
            ("http://b.example/./c?d", Some("B.example"), http_11, "/c?d", "b.example"),
            ("https://c.example/x", None, Version::HTTP_2, "/x", "c.example"),
            ("*", Some("a"), http_11, "*", "a"),
        ] {
            assert_eq!(sent(parts(uri, host, version)), (uri_sent.to_owned(), host_sent.to_owned(), http_11), "{uri}");
        }
    }

    #[test]
    fn decisions_see_the_normal_form() {
        let p = parts("http://[2001:DB8:0::1]:8080/%7Eu//x?y", None, Version::HTTP_11);
        let target = Target::read(&p, PathPolicy::Normalise).unwrap();
        assert_eq!(
            (&*target.host, target.port, &*target.path, target.query),
            ("2001:db8::1", Some(8080), "/~u/x", Some("y"))
        );
        assert!(target.address.is_some());
        assert_eq!(Target::read(&p, PathPolicy::RejectAmbiguous), Err(TargetError::Path(PathError::EmptySegment)));
        let p = parts("/", Some("127.1"), Version::HTTP_11);
        assert_eq!(Target::read(&p, PathPolicy::Normalise), Err(TargetError::Host(HostError::BadAddress)));
        let p = parts("/", None, Version::HTTP_10);
        assert_eq!(Target::read(&p, PathPolicy::Normalise).unwrap().host, "");
    }

    #[test]
    fn cookie_crumbs_become_one_line() {
        let mut p = parts("https://a/", None, Version::HTTP_2);
        for crumb in ["a=1", "b=2", "c=3; d=4"] {
            p.headers.append("cookie", HeaderValue::from_static(crumb));
        }
        send_on(&mut p, None);
        assert_eq!(p.headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2; c=3; d=4"]);
    }
}
