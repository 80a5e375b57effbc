//! A request as a [`Transaction`] is told it: the bytes that the client wrote, not what we made of them. Rules look for tricks in the spelling,
//! and a spelling that we had tidied up would hide them.
//!
//! hyper has lower-cased the names of header fields and taken the framing away; nothing else is changed. What HTTP/2 says in pseudo header fields
//! is told as HTTP/1 says it: rules know no other.

use std::net::{IpAddr, SocketAddr};

use http::Version;
use http::header::HOST;
use http::request::Parts;
use seclang::Transaction;

use crate::connection::Connection;

/// Tells it everything up to the end of the headers.
pub fn request(transaction: &mut Transaction, connection: &Connection, client: IpAddr, parts: &Parts) {
    let ends = &connection.client.ends;
    transaction.connection(SocketAddr::new(client, ends.client.port()), ends.local);
    let method = parts.method.as_str().as_bytes();
    match target(parts, connection.h2) {
        Target::Written(target) => transaction.request_line(method, target.as_bytes(), protocol(parts.version)),
        Target::Whole(target) => transaction.request_line(method, target.as_bytes(), protocol(parts.version)),
    }
    if connection.h2
        && !parts.headers.contains_key(HOST)
        && let Some(authority) = parts.uri.authority()
    {
        transaction.request_header(b"Host", authority.as_str().as_bytes());
    }
    for (name, value) in &parts.headers {
        transaction.request_header(name.as_str().as_bytes(), value.as_bytes());
    }
}

enum Target<'a> {
    Written(&'a str),
    Whole(String),
}

/// The target as it stood in the request line. HTTP/2's has its scheme and authority in fields of their own.
fn target(parts: &Parts, h2: bool) -> Target<'_> {
    let path = parts.uri.path_and_query();
    match (parts.uri.scheme(), path) {
        (Some(_), _) if !h2 => Target::Whole(parts.uri.to_string()),
        (_, Some(path)) => Target::Written(path.as_str()),
        _ => Target::Written("/"),
    }
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
        for (uri, h2, expected) in [
            ("/a/../b?c=%27d", false, "/a/../b?c=%27d"),
            ("http://www.test/a?b", false, "http://www.test/a?b"),
            ("https://www.test/a%2f?b", true, "/a%2f?b"),
            ("*", false, "*"),
        ] {
            let (parts, ()) = Request::builder().uri(uri).body(()).unwrap().into_parts();
            let told = match target(&parts, h2) {
                Target::Written(target) => target.to_owned(),
                Target::Whole(target) => target,
            };
            assert_eq!(told, expected, "{uri}");
        }
    }
}
