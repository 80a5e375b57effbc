//! What a gRPC client gets when it is answered here: its own kind of answer instead of an HTTP error page, so that it knows why. Pure.
//!
//! A trailers-only answer of the gRPC protocol over HTTP/2: status 200, `grpc-status` and `grpc-message` (percent-encoded) in one header block, no body.
//! The codes are those that gRPC clients themselves derive from HTTP statuses, where there is one that says more it is that.

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Response, StatusCode};

use super::response::Refusal;

/// The request is a gRPC call (`application/grpc`, `application/grpc+proto`, …; not gRPC-Web, which reads HTTP statuses).
pub fn is_call(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes) else { return false };
    kind.strip_prefix(b"application/grpc").is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// The refusal in gRPC's words.
pub fn answer(refusal: &Refusal) -> Response<()> {
    let mut answer = Response::new(());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(code(refusal.status)));
    headers.insert("grpc-message", message(&refusal.reason));
    answer
}

fn code(status: StatusCode) -> u16 {
    match status {
        StatusCode::UNAUTHORIZED => 16,     // UNAUTHENTICATED
        StatusCode::FORBIDDEN => 7,         // PERMISSION_DENIED
        StatusCode::NOT_FOUND => 12,        // UNIMPLEMENTED: nobody here serves that
        StatusCode::PAYLOAD_TOO_LARGE => 8, // RESOURCE_EXHAUSTED
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => 14, // UNAVAILABLE
        status if status.is_client_error() => 13, // INTERNAL: what came cannot be understood
        _ => 2,                             // UNKNOWN
    }
}

fn message(text: &str) -> HeaderValue {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    HeaderValue::try_from(encoded).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn calls_are_told_from_what_only_looks_like_them() {
        let call =
            |kind: &'static str| is_call(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]));
        assert!(call("application/grpc") && call("application/grpc+proto") && call("application/grpc;x=y"));
        assert!(!call("application/grpc-web") && !call("text/plain") && !is_call(&HeaderMap::new()));
    }

    #[test]
    fn a_refusal_has_a_code_and_its_words() {
        let refusal = Refusal::malformed(StatusCode::FORBIDDEN, "100 % \u{e9}", "x", false);
        let answer = answer(&refusal);
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["grpc-status"], "7");
        assert_eq!(answer.headers()["grpc-message"], "100 %25 %C3%A9");
    }
}
