//! What the h2 crate leaves open about a request head (RFC 9113 §8.2.2, §8.3.1; RFC 9110 §7.2), so that HTTP/2 requests meet the same
//! strictness as HTTP/1 ones before they are written to an HTTP/1 backend. Pure. It must never be skipped for a request that came by HTTP/2.

use http::header::{self, HeaderMap};
use http::request::Parts;
use http::uri::Scheme;
use http::{HeaderValue, Method};

use crate::framing::{Limits, Violation, is_target_byte, is_tchar, trim_ows};
use crate::host::{Authority, HostError};

/// Checks one HTTP/2 request head as hyper hands it over.
///
/// # Errors
/// What is wrong; answer with its status. The other streams of the connection are not concerned.
pub fn check_h2(parts: &Parts, limits: &Limits) -> Result<(), Violation> {
    if parts.headers.len() > limits.headers {
        return Err(Violation::TooManyHeaders);
    }
    check_fields(&parts.headers)?;
    check_length(&parts.headers)?;
    check_target(parts, limits)?;
    check_authority(parts)
}

fn check_fields(headers: &HeaderMap) -> Result<(), Violation> {
    for (name, value) in headers {
        // The header map takes a quotation mark in a name; HTTP/1 does not (RFC 9110 §5.6.2).
        if !name.as_str().bytes().all(is_tchar) {
            return Err(Violation::BadHeaderName);
        }
        let bytes = value.as_bytes();
        if matches!(bytes.first(), Some(b' ' | b'\t')) || matches!(bytes.last(), Some(b' ' | b'\t')) {
            return Err(Violation::SpaceAroundValue);
        }
        match *name {
            header::CONNECTION | header::TRANSFER_ENCODING | header::UPGRADE => {
                return Err(Violation::ConnectionFieldInH2);
            }
            header::TE if !trim_ows(value.as_bytes()).eq_ignore_ascii_case(b"trailers") => {
                return Err(Violation::ConnectionFieldInH2);
            }
            header::EXPECT if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
                return Err(Violation::BadExpectation);
            }
            _ if matches!(name.as_str(), "keep-alive" | "proxy-connection") => {
                return Err(Violation::ConnectionFieldInH2);
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_length(headers: &HeaderMap) -> Result<(), Violation> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(()) };
    if lengths.next().is_some() || length.as_bytes().contains(&b',') {
        return Err(Violation::SeveralLengths);
    }
    let digits = length.as_bytes();
    let octal = digits.len() > 1 && digits.first() == Some(&b'0');
    let valid = !digits.is_empty() && !octal && digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit);
    if valid { Ok(()) } else { Err(Violation::BadLength) }
}

fn check_target(parts: &Parts, limits: &Limits) -> Result<(), Violation> {
    if parts.method.as_str().len() > 32 {
        return Err(Violation::BadMethod);
    }
    let uri = &parts.uri;
    let Some(target) = uri.path_and_query().map(http::uri::PathAndQuery::as_str) else {
        // CONNECT has neither path nor scheme; everything else needs both.
        return if parts.method == Method::CONNECT { Ok(()) } else { Err(Violation::BadTarget) };
    };
    if target.len() > limits.request_line {
        return Err(Violation::TargetTooLong);
    }
    let form = target.starts_with('/') || (target == "*" && parts.method == Method::OPTIONS);
    let scheme = uri.scheme().is_none_or(|s| *s == Scheme::HTTP || *s == Scheme::HTTPS);
    if form && scheme && target.bytes().all(is_target_byte) { Ok(()) } else { Err(Violation::BadTarget) }
}

fn check_authority(parts: &Parts) -> Result<(), Violation> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = hosts.next().map(HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return Err(Violation::SeveralHosts);
    }
    let authority = parts.uri.authority().map(|a| parse(a.as_str().as_bytes())).transpose()?;
    let host = host.map(parse).transpose()?;
    let default_port = match parts.uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => Some(443),
        Some(_) => Some(80),
        None => None,
    };
    match (authority, host) {
        (None, None) => Err(Violation::MissingHost),
        (Some(a), Some(b)) if !a.same(&b, default_port) => Err(Violation::HostMismatch),
        (Some(a), _) if parts.method == Method::CONNECT && a.port.is_none() => Err(Violation::BadTarget),
        (None, _) if parts.method == Method::CONNECT => Err(Violation::BadTarget),
        _ => Ok(()),
    }
}

fn parse(bytes: &[u8]) -> Result<Authority<'_>, Violation> {
    Authority::parse(bytes).map_err(|e| if e == HostError::UserInfo { Violation::UserInfo } else { Violation::BadHost })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;
    use http::Request;

    fn check(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<(), Violation> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check_h2(&request.body(()).unwrap().into_parts().0, &Limits::DEFAULT)
    }

    #[test]
    fn plain_requests_pass() {
        assert_eq!(check("GET", "https://a.example/x?y", &[("te", "trailers"), ("content-length", "0")]), Ok(()));
        assert_eq!(check("GET", "https://A.example/", &[("host", "a.example:443")]), Ok(()));
        assert_eq!(check("OPTIONS", "*", &[("host", "a")]), Ok(()));
        assert_eq!(check("CONNECT", "a.example:443", &[]), Ok(()));
    }

    #[test]
    fn what_h2_leaves_open_is_closed() {
        use Violation as V;
        let url = "https://a.example/";
        for (method, uri, headers, violation) in [
            ("GET", url, &[("host", "b.example")][..], V::HostMismatch),
            ("GET", url, &[("host", "a.example:80")], V::HostMismatch),
            ("GET", url, &[("host", "a.example"), ("host", "a.example")], V::SeveralHosts),
            ("GET", url, &[("host", "a b")], V::BadHost),
            ("GET", "https://u@a.example/", &[], V::UserInfo),
            ("GET", "https://127.1/", &[], V::BadHost),
            ("GET", "/x", &[], V::MissingHost),
            ("GET", "*", &[("host", "a")], V::BadTarget),
            ("GET", "ftp://a.example/", &[], V::BadTarget),
            ("GET", "https://a.example/\u{e9}", &[], V::BadTarget),
            ("GET", url, &[("a", " x")], V::SpaceAroundValue),
            ("GET", url, &[("a", "x\t")], V::SpaceAroundValue),
            ("POST", url, &[("content-length", "03")], V::BadLength),
            ("GET", url, &[("te", "gzip")], V::ConnectionFieldInH2),
            ("GET", url, &[("connection", "close")], V::ConnectionFieldInH2),
            ("GET", url, &[("transfer-encoding", "chunked")], V::ConnectionFieldInH2),
            ("GET", url, &[("upgrade", "x")], V::ConnectionFieldInH2),
            ("GET", url, &[("proxy-connection", "x")], V::ConnectionFieldInH2),
            ("POST", url, &[("content-length", "1"), ("content-length", "1")], V::SeveralLengths),
            ("POST", url, &[("content-length", "1,1")], V::SeveralLengths),
            ("POST", url, &[("content-length", "+1")], V::BadLength),
            ("POST", url, &[("expect", "x")], V::BadExpectation),
            ("CONNECT", "a.example", &[], V::BadTarget),
        ] {
            assert_eq!(check(method, uri, headers), Err(violation), "{method} {uri} {headers:?}");
        }
    }
}
