//! Which fields of a trailer section may travel on (RFC 9110 §6.5.1): one that frames, routes, authenticates or changes how the message is
//! read would be believed by a next hop that merges trailers into the head. Checksums, `grpc-status` and the like pass.

use http::header::{HeaderMap, HeaderName};

use crate::framing::is_forbidden_trailer;

/// Takes off what must not stand in trailers.
pub fn keep_safe_trailers(trailers: &mut HeaderMap) {
    let unsafe_names: Vec<HeaderName> = trailers.keys().filter(|name| is_unsafe(name.as_str())).cloned().collect();
    for name in unsafe_names {
        trailers.remove(name);
    }
}

fn is_unsafe(name: &str) -> bool {
    is_forbidden_trailer(name.as_bytes()) || name.starts_with("x-forwarded-") || name == "x-real-ip"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_and_status_pass_and_framing_does_not() {
        let mut trailers = HeaderMap::new();
        for name in ["grpc-status", "x-checksum", "content-length", "x-forwarded-for", "set-cookie", "te"] {
            trailers.append(name, http::HeaderValue::from_static("1"));
        }
        keep_safe_trailers(&mut trailers);
        let mut left: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["grpc-status", "x-checksum"]);
    }
}
