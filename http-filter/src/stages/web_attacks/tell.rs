//! A request as a [`Transaction`] is told it: the bytes that the client wrote, not what we made of them. Rules look for tricks in the spelling,
//! and a spelling that we had tidied up would hide them.
//!
//! hyper has lower-cased the names of header fields and taken the framing away; nothing else is changed. What HTTP/2 says in pseudo header fields,
//! and HTTP/1 in an absolute form, is told as HTTP/1 usually says it: rules know no other. One thing is told as the backend will be told it, the
//! path that it is asked for ([`Transaction::request_path`]).

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use common_http::framing::is_forbidden_trailer;
use http::header::HOST;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Version};
use seclang::Transaction;

use crate::connection::Connection;

/// Tells it everything up to the end of the headers.
#[allow(clippy::ptr_arg, reason = "whether the path was rewritten matters")]
pub fn request(
    transaction: &mut Transaction,
    connection: &Connection,
    client: IpAddr,
    parts: &Parts,
    path: &Cow<'_, str>,
) {
    let ends = &connection.client.ends;
    let ends = (SocketAddr::new(client, ends.client.port()), ends.local);
    head(transaction, ends, parts, path, connection.h2);
}

/// The same of a connection that need not be there: `ends` are the client's and ours.
#[allow(clippy::ptr_arg, reason = "whether the path was rewritten matters")]
pub fn head(
    transaction: &mut Transaction,
    ends: (SocketAddr, SocketAddr),
    parts: &Parts,
    path: &Cow<'_, str>,
    h2: bool,
) {
    transaction.connection(ends.0, ends.1);
    transaction.request_line(parts.method.as_str().as_bytes(), target(parts).as_bytes(), protocol(parts.version));
    // The backend is asked for the path in its one form, and so must a rule be that closes a path.
    if matches!(path, Cow::Owned(_)) {
        transaction.request_path(asked(path, target(parts)).as_bytes());
    }
    if h2
        && !parts.headers.contains_key(HOST)
        && let Some(authority) = parts.uri.authority()
    {
        transaction.request_header(b"Host", authority.as_str().as_bytes());
    }
    for (name, value) in &parts.headers {
        transaction.request_header(name.as_str().as_bytes(), value.as_bytes());
    }
}

/// Tells it the trailers of a body that was read, as far as they go on: backends take them for header fields.
pub fn trailers(transaction: &mut Transaction, trailers: &HeaderMap) {
    let go_on = trailers.iter().filter(|(name, _)| !is_forbidden_trailer(name.as_str().as_bytes()));
    for (name, value) in go_on {
        transaction.request_header(name.as_str().as_bytes(), value.as_bytes());
    }
}

/// Tells it the header of an answer.
pub fn answer(transaction: &mut Transaction, headers: &HeaderMap) {
    for (name, value) in headers {
        transaction.response_header(name.as_str().as_bytes(), value.as_bytes());
    }
}

/// Path and query as they stood in the request line. Scheme and authority of an absolute form (RFC 9112 §3.2.2), which say nothing that Host does
/// not, are left out as they are on the way to the backend: rules about paths would never match.
fn target(parts: &Parts) -> &str {
    parts.uri.path_and_query().map_or("/", PathAndQuery::as_str)
}

/// The path in its one form, but for the two slashes of an address in it: rules look for `://`, and some applications put the second slash back.
fn asked<'a>(path: &'a str, written: &str) -> Cow<'a, str> {
    let read = written.to_ascii_lowercase().replace("%3a", ":").replace("%2f", "/");
    if !read.contains("://") {
        return Cow::Borrowed(path);
    }
    Cow::Owned(path.replace(":/", "://").replace("%3A/", "%3A//").replace("%3a/", "%3a//"))
}

/// As it stands in a request line.
fn protocol(version: Version) -> &'static [u8] {
    match version {
        Version::HTTP_09 => b"HTTP/0.9",
        Version::HTTP_10 => b"HTTP/1.0",
        Version::HTTP_2 => b"HTTP/2.0",
        Version::HTTP_3 => b"HTTP/3.0",
        _ => b"HTTP/1.1",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::Request;

    #[test]
    fn targets_are_as_the_client_wrote_them() {
        for (uri, expected) in [
            ("/a/../b?c=%27d", "/a/../b?c=%27d"),
            ("http://www.test/a/.?b", "/a/.?b"),
            ("http://www.test", "/"),
            ("https://www.test/a%2f?b", "/a%2f?b"),
            ("*", "*"),
        ] {
            let (parts, ()) = Request::builder().uri(uri).body(()).unwrap().into_parts();
            assert_eq!(target(&parts), expected, "{uri}");
        }
    }

    #[test]
    fn the_path_of_the_backend_keeps_the_slashes_of_an_address() {
        assert_eq!(asked("/forbidden", "/x/..//forbidden"), "/forbidden");
        assert_eq!(asked("/http:/evil.test/a", "/http://evil.test//a?b"), "/http://evil.test/a");
        assert_eq!(asked("/forbidden", "/x://../forbidden"), "/forbidden");
        assert_eq!(asked("/http:/evil.test/a", "/http%3A/%2Fevil.test/a"), "/http://evil.test/a");
        assert_eq!(asked("/http%3A/evil.test/a", "/http%3A//evil.test/a"), "/http%3A//evil.test/a");
    }
}
