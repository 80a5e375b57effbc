//! Which fields of a trailer section may travel on (RFC 9110 §6.5.1): a field that frames, routes, authenticates or changes how the message is
//! read would be believed by a next hop that merges trailers into the head. Checksums, `grpc-status` and the like pass.

use http::header::{self, HeaderMap};

/// Names that never pass in trailers, beside those that belong to a connection.
const FORBIDDEN: &[header::HeaderName] = &[
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TRAILER,
    header::TE,
    header::CONNECTION,
    header::UPGRADE,
    header::HOST,
    header::CONTENT_ENCODING,
    header::CONTENT_TYPE,
    header::CONTENT_RANGE,
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
    header::WWW_AUTHENTICATE,
    header::COOKIE,
    header::SET_COOKIE,
    header::CACHE_CONTROL,
    header::EXPIRES,
    header::LOCATION,
    header::RANGE,
    header::EXPECT,
    header::MAX_FORWARDS,
    header::FORWARDED,
    header::VARY,
    header::AGE,
    header::DATE,
];

/// The same for names that have no constant.
const FORBIDDEN_NAMES: &[&str] = &["keep-alive", "proxy-connection", "http2-settings", "x-real-ip"];

/// Takes off what must not stand in trailers.
pub fn keep_safe_trailers(trailers: &mut HeaderMap) {
    for name in FORBIDDEN {
        trailers.remove(name);
    }
    for name in FORBIDDEN_NAMES {
        trailers.remove(*name);
    }
    let forwarded: Vec<_> = trailers.keys().filter(|name| name.as_str().starts_with("x-forwarded-")).cloned().collect();
    for name in forwarded {
        trailers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_and_status_pass_and_framing_does_not() {
        let mut trailers = HeaderMap::new();
        for name in ["grpc-status", "x-checksum", "content-length", "x-forwarded-for", "set-cookie", "keep-alive"] {
            trailers.append(name, header::HeaderValue::from_static("1"));
        }
        keep_safe_trailers(&mut trailers);
        let mut left: Vec<&str> = trailers.keys().map(header::HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["grpc-status", "x-checksum"]);
    }
}
