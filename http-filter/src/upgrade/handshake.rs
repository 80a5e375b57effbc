//! A WebSocket handshake in the words of either version of HTTP, and from one to the other. Pure but for the random key.
//!
//! HTTP/1.1 (RFC 6455 §4): `GET` with `Upgrade: websocket`, `Connection: upgrade` and a key; 101 with the hash of the key. HTTP/2 (RFC 8441): `CONNECT`
//! with `:protocol` = websocket; 2xx. Inside the proxy it is a `GET` whatever the client spoke, so that every rule judges both alike. No other
//! protocol is ever switched to: h2c or a plain CONNECT would carry requests past the rules.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common_http::headers::asks_for_websocket;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, StatusCode};

/// What the key is hashed with (RFC 6455 §1.3).
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const KEY: HeaderName = header::SEC_WEBSOCKET_KEY;
const ACCEPT: HeaderName = header::SEC_WEBSOCKET_ACCEPT;

/// How the client asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// `Upgrade: websocket`.
    Http1,
    /// Extended CONNECT.
    Http2,
}

/// Marks a request that came as extended CONNECT.
#[derive(Debug, Clone, Copy)]
struct ExtendedConnect;

/// What `:protocol` says, where there is one.
pub fn extended_connect(parts: &Parts) -> Option<&str> {
    let connect = parts.method == Method::CONNECT;
    parts.extensions.get::<hyper::ext::Protocol>().filter(|_| connect).map(hyper::ext::Protocol::as_str)
}

/// From here on it is a `GET`, as it would be in HTTP/1.1.
pub fn become_get(parts: &mut Parts) {
    parts.method = Method::GET;
    parts.extensions.insert(ExtendedConnect);
}

/// Whether the request is a WebSocket handshake.
pub fn asked<B>(request: &Request<B>, h2: bool) -> Option<Asked> {
    if h2 {
        return request.extensions().get::<ExtendedConnect>().map(|_| Asked::Http2);
    }
    asks_for_websocket(request.method(), request.version(), request.headers()).then_some(Asked::Http1)
}

/// A handshake under way.
#[derive(Debug)]
pub struct Handshake {
    asked: Asked,
    backend_h2: bool,
    /// What the server's answer must hash to: the hash that an HTTP/1.1 client expects, or the one of our own key.
    accept: Option<HeaderValue>,
}

/// What the server's answer means.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It agreed. Status and fields are now in the client's words.
    Switched,
    /// It said no, in an answer that the client can read as it is.
    Refused,
    /// Its answer is none.
    Wrong(&'static str),
}

impl Handshake {
    /// Writes the handshake in the words of the backend; call it when what belongs to the client's connection is gone. `None`: there is no
    /// key in it, so no server would agree.
    pub fn translate(asked: Asked, backend_h2: bool, parts: &mut Parts) -> Option<Self> {
        let accept = match (asked, backend_h2) {
            (Asked::Http1, false) => None,
            (Asked::Http1, true) => {
                parts.headers.remove(header::UPGRADE);
                parts.headers.remove(header::CONNECTION);
                Some(accept(parts.headers.remove(KEY)?.as_bytes()))
            }
            (Asked::Http2, true) => None,
            (Asked::Http2, false) => {
                let key = random_key();
                parts.headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
                let accept = accept(key.as_bytes());
                parts.headers.insert(KEY, key);
                Some(accept)
            }
        };
        if backend_h2 {
            parts.method = Method::CONNECT;
        }
        Some(Self { asked, backend_h2, accept })
    }

    /// Reads the server's answer, and if it agreed, writes it in the words of the client.
    pub fn read(self, status: &mut StatusCode, headers: &mut HeaderMap) -> Verdict {
        let agreed = if self.backend_h2 { status.is_success() } else { *status == StatusCode::SWITCHING_PROTOCOLS };
        if !agreed {
            // Over HTTP/2 a client would take any 2xx for a yes.
            let misread = self.asked == Asked::Http2 && status.is_success();
            return if misread { Verdict::Wrong("did not switch to WebSocket") } else { Verdict::Refused };
        }
        match (self.asked, self.backend_h2) {
            (Asked::Http1, false) => {
                let mut upgrades = headers.get_all(header::UPGRADE).iter();
                let to = upgrades.next().filter(|_| upgrades.next().is_none());
                if !to.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket")) {
                    return Verdict::Wrong("switched to something other than WebSocket");
                }
            }
            (Asked::Http1, true) => {
                *status = StatusCode::SWITCHING_PROTOCOLS;
                headers.remove(header::CONTENT_LENGTH);
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
                headers.extend(self.accept.map(|accept| (ACCEPT, accept)));
            }
            (Asked::Http2, backend_h2) => {
                if !backend_h2 && headers.get(ACCEPT) != self.accept.as_ref() {
                    return Verdict::Wrong("agreed to a WebSocket that it was not asked for");
                }
                *status = StatusCode::OK;
                for name in [header::UPGRADE, header::CONNECTION, header::CONTENT_LENGTH, ACCEPT] {
                    headers.remove(name);
                }
            }
        }
        Verdict::Switched
    }
}

fn accept(key: &[u8]) -> HeaderValue {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, MAGIC.as_bytes()].concat());
    HeaderValue::try_from(BASE64_STANDARD.encode(hash)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn random_key() -> HeaderValue {
    let mut bytes = [0; 16];
    // The key protects nothing (RFC 6455 §10.3: it shows that the server speaks WebSocket), so its randomness may fail.
    let _ = getrandom::fill(&mut bytes);
    HeaderValue::try_from(BASE64_STANDARD.encode(bytes)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri("/chat");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_hash_is_that_of_the_rfc() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn from_http1_to_http2_and_back() {
        let mut request = parts(&[
            ("upgrade", "websocket"),
            ("connection", "upgrade"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]);
        let handshake = Handshake::translate(Asked::Http1, true, &mut request).unwrap();
        assert_eq!(request.method, Method::CONNECT);
        assert!(request.headers.is_empty(), "{:?}", request.headers);
        let (mut status, mut headers) = (StatusCode::OK, HeaderMap::new());
        assert_eq!(handshake.read(&mut status, &mut headers), Verdict::Switched);
        assert_eq!(
            (status.as_u16(), headers.get(ACCEPT).unwrap()),
            (101, &HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
        );
        assert!(Handshake::translate(Asked::Http1, true, &mut parts(&[])).is_none(), "no key");
    }

    #[test]
    fn from_http2_to_http1_and_back() {
        let mut request = parts(&[("sec-websocket-protocol", "chat")]);
        let handshake = Handshake::translate(Asked::Http2, false, &mut request).unwrap();
        assert_eq!(
            (&request.method, &request.headers["upgrade"]),
            (&Method::GET, &HeaderValue::from_static("websocket"))
        );
        let right = accept(request.headers[KEY].as_bytes());
        let mut headers =
            HeaderMap::from_iter([(ACCEPT, right), (header::UPGRADE, HeaderValue::from_static("websocket"))]);
        let mut status = StatusCode::SWITCHING_PROTOCOLS;
        assert_eq!(handshake.read(&mut status, &mut headers), Verdict::Switched);
        assert!(status == StatusCode::OK && headers.is_empty());
        for (status, accept, verdict) in [
            (101, "wrong", Verdict::Wrong("agreed to a WebSocket that it was not asked for")),
            (200, "", Verdict::Wrong("did not switch to WebSocket")),
            (403, "", Verdict::Refused),
        ] {
            let handshake = Handshake::translate(Asked::Http2, false, &mut parts(&[])).unwrap();
            let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(handshake.read(&mut StatusCode::from_u16(status).unwrap(), &mut headers), verdict);
        }
    }

    #[test]
    fn only_websocket_by_get_is_asked_for() {
        let asks = |method: &str, to: &str| {
            let request = Request::builder().method(method).header("upgrade", to).header("connection", "upgrade");
            asked(&request.body(()).unwrap(), false).is_some()
        };
        assert!(asks("GET", "WebSocket") && !asks("GET", "h2c") && !asks("POST", "websocket"));
        assert!(!asks("GET", "websocket, h2c"));
    }
}
