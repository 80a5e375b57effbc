//! What an example backend answers: `/` what it saw, `/bytes/N` a known pattern, `/echo` what was sent, `/slow` in pieces.

use super::slow::Slow;
use crate::pattern::Pattern;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version};
use std::convert::Infallible;
use std::fmt::Write;
use std::net::SocketAddr;

/// The longest body `/bytes/N` makes, in bytes: 1 GiB.
pub const MAX_BYTES: u64 = 1 << 30;

/// The headers `/` shows, because a reverse proxy sets or changes them.
/// Proxy-Authorization must never come this far.
const SHOWN: [&str; 8] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-real-ip",
    "via",
    "proxy-authorization",
];

/// Bodies of all kinds.
type Body = BoxBody<Bytes, hyper::Error>;

/// Which of the two answers.
#[derive(Debug, Clone, Copy)]
pub enum Backend {
    /// HTTP/1.1 without TLS.
    Http,
    /// With TLS of its own.
    Https,
}

impl Backend {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Answers one request that came from `peer`.
///
/// # Errors
/// Never; the type is what hyper asks for.
pub async fn answer(
    backend: Backend,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path();
    Ok(match (request.method(), path) {
        (&Method::POST | &Method::PUT, "/echo") => echo(request),
        (_, "/echo") => text(StatusCode::METHOD_NOT_ALLOWED, "POST something to /echo\n".into()),
        (&Method::GET | &Method::HEAD, "/slow") => Response::new(BoxBody::new(Slow::new().map_err(never))),
        (&Method::GET | &Method::HEAD, path) if path.starts_with("/bytes/") => bytes(path),
        // This is no proxy; a CONNECT that gets here went the wrong way.
        (&Method::CONNECT, _) => text(StatusCode::METHOD_NOT_ALLOWED, "CONNECT is for proxies\n".into()),
        _ => text(StatusCode::OK, greeting(backend, peer, &request)),
    })
}

fn greeting<B>(backend: Backend, peer: SocketAddr, request: &Request<B>) -> String {
    let mut said = format!("Hello from the {} backend of the Bulkhead demo. I saw:\n\n", backend.name().to_uppercase());
    // Over h2 the host is in the URI (RFC 9113 §8.3.1).
    let host = request.headers().get("host").and_then(|host| host.to_str().ok());
    let host = host.or(request.uri().authority().map(http::uri::Authority::as_str)).unwrap_or("(none)");
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(said, "{key}: {value}");
    };
    line("backend", backend.name());
    line("method", request.method().as_str());
    line("path", &path(request));
    line("protocol", version(request.version()));
    line("host", host);
    line("connection-from", &peer.ip().to_string());
    for name in SHOWN {
        if let Some(value) = joined(request.headers(), name) {
            line(name, &value);
        }
    }
    said
}

/// What was asked for: over h1 as it was written, so that an absolute form that reached us shows; over h2 without the authority.
fn path<B>(request: &Request<B>) -> String {
    match request.uri().path_and_query() {
        Some(path) if request.version() == Version::HTTP_2 => path.to_string(),
        _ => request.uri().to_string(),
    }
}

/// All values of a header as one list (RFC 9110 §5.3).
fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<_> = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

fn echo(request: Request<Incoming>) -> Response<Body> {
    let kind = request.headers().get(CONTENT_TYPE).cloned();
    let mut response = Response::new(BoxBody::new(request.into_body()));
    let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn bytes(path: &str) -> Response<Body> {
    let wanted = path.strip_prefix("/bytes/").and_then(|number| number.parse().ok());
    match wanted {
        Some(length) if length <= MAX_BYTES => Response::new(BoxBody::new(Pattern::of(length).map_err(never))),
        _ => text(StatusCode::BAD_REQUEST, format!("/bytes/N wants a number from 0 to {MAX_BYTES}\n")),
    }
}

fn text(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(BoxBody::new(Full::new(Bytes::from(text)).map_err(never)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn never(never: Infallible) -> hyper::Error {
    match never {}
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_greeting_shows_every_forwarding_header_and_all_its_values() {
        let request = Request::get("/a?b=c")
            .header("host", "www.demo.test:1")
            .header("x-forwarded-for", "192.0.2.1")
            .header("x-forwarded-for", "192.0.2.2")
            .body(())
            .unwrap();
        let said = greeting(Backend::Http, "127.0.0.1:9".parse().unwrap(), &request);
        for line in ["backend: http", "path: /a?b=c", "host: www.demo.test:1", "x-forwarded-for: 192.0.2.1, 192.0.2.2"]
        {
            assert!(said.lines().any(|said| said == line), "{line} not in {said}");
        }
        assert!(!said.contains("x-forwarded-proto"));
    }

    #[test]
    fn bytes_wants_a_bounded_number() {
        assert_eq!(bytes("/bytes/1000").status(), StatusCode::OK);
        for path in ["/bytes/", "/bytes/-1", "/bytes/1e3", "/bytes/1073741825", "/bytes/99999999999999999999"] {
            assert_eq!(bytes(path).status(), StatusCode::BAD_REQUEST, "{path}");
        }
    }
}
