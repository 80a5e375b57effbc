//! A request as bytes (RFC 9112 §3–§7). Pure: typed parts in, bytes out, so that what has two readings cannot leave: the types hold no CR, LF or NUL,
//! and the framing is never copied from the client but written anew from what the body is.

use bytes::{BufMut, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, Method};
use http_body::SizeHint;

use crate::framing::is_forbidden_trailer;

/// How the body of a request is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delimited {
    /// By `Content-Length`; so many bytes are still to come.
    Length(u64),
    /// By chunks.
    Chunks,
}

/// Writes the head, and says how the body has to follow.
pub(super) fn head(out: &mut BytesMut, parts: &Parts, body: &SizeHint) -> Delimited {
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    // A URI may have no path; a request always has one (RFC 9112 §3.2.1).
    let root = if target.starts_with(['/', '*']) { "" } else { "/" };
    out.reserve(256);
    for piece in [parts.method.as_str(), " ", root, target, " HTTP/1.1\r\n"] {
        out.put_slice(piece.as_bytes());
    }
    for (name, value) in &parts.headers {
        if *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING {
            field(out, name.as_str(), value.as_bytes());
        }
    }
    let delimited = match body.exact() {
        Some(length) => {
            if length > 0 || expects_body(&parts.method) {
                field(out, "content-length", decimal(length, &mut [0; 20]));
            }
            Delimited::Length(length)
        }
        None => {
            field(out, "transfer-encoding", b"chunked");
            Delimited::Chunks
        }
    };
    out.put_slice(b"\r\n");
    delimited
}

/// RFC 9110 §8.6: these have a length even when it is 0.
fn expects_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

fn field(out: &mut BytesMut, name: &str, value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.put_slice(name.as_bytes());
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

/// The line before the bytes of a chunk. `length` must not be 0: that would end the body.
pub(super) fn chunk_size(out: &mut BytesMut, length: usize) {
    use std::fmt::Write;
    out.reserve(24);
    let _ = write!(out, "{length:x}\r\n"); // writing to a buffer with room cannot fail
}

/// The end of a chunked body, with those trailers that may stand there (RFC 9110 §6.5.1).
pub(super) fn last_chunk(out: &mut BytesMut, trailers: Option<&HeaderMap>) {
    out.reserve(8);
    out.put_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        if !is_forbidden_trailer(name.as_str().as_bytes()) {
            field(out, name.as_str(), value.as_bytes());
        }
    }
    out.put_slice(b"\r\n");
}

/// Decimal digits without an allocation.
fn decimal(mut value: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut first = digits.len();
    for (place, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
        first = place;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    digits.get(first..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::Request;

    fn written(request: http::request::Builder, body: &SizeHint) -> (String, Delimited) {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let mut out = BytesMut::new();
        let delimited = head(&mut out, &parts, body);
        (String::from_utf8(out.to_vec()).unwrap(), delimited)
    }

    #[test]
    fn the_framing_is_the_bodys_and_never_the_clients() {
        let request = || Request::post("/a?b").header("host", "h").header("content-length", "99");
        let (text, delimited) = written(request(), &SizeHint::with_exact(7));
        assert_eq!(text, "POST /a?b HTTP/1.1\r\nhost: h\r\ncontent-length: 7\r\n\r\n");
        assert_eq!(delimited, Delimited::Length(7));
        let (text, delimited) = written(request().header("transfer-encoding", "gzip"), &SizeHint::new());
        assert_eq!(text, "POST /a?b HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n");
        assert_eq!(delimited, Delimited::Chunks);
    }

    #[test]
    fn a_request_without_body_says_so_only_where_one_is_expected() {
        let (text, _) = written(Request::get("*"), &SizeHint::with_exact(0));
        assert_eq!(text, "GET * HTTP/1.1\r\n\r\n");
        let (text, _) = written(Request::get("http://host?q"), &SizeHint::with_exact(0));
        assert_eq!(text, "GET /?q HTTP/1.1\r\n\r\n");
        let (text, _) = written(Request::post("/"), &SizeHint::with_exact(0));
        assert_eq!(text, "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n");
    }

    #[test]
    fn numbers_are_written_as_they_are() {
        for value in [0, 7, 10, 4096, u64::MAX] {
            assert_eq!(decimal(value, &mut [0; 20]), value.to_string().as_bytes());
        }
    }

    #[test]
    fn trailers_that_would_frame_or_route_do_not_leave() {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        trailers.insert("transfer-encoding", "chunked".parse().unwrap());
        trailers.insert("host", "evil".parse().unwrap());
        let mut out = BytesMut::new();
        chunk_size(&mut out, 255);
        last_chunk(&mut out, Some(&trailers));
        assert_eq!(&out[..], b"ff\r\n0\r\nx-sum: 1\r\n\r\n");
    }
}
