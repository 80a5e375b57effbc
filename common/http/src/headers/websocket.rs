//! Whether an HTTP/1 request asks for a WebSocket (RFC 6455 §4.1, RFC 9110 §7.8): the same reading as that of [`crate::framing`], which holds the
//! connection for such a request until the answer is known. Two readings of this question would be two readings of the bytes behind the request:
//! one of another protocol, one of more requests.

use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING, UPGRADE};
use http::{Method, Version};

use crate::framing::list_has;

/// `GET` in HTTP/1.1 without a body, with exactly one `Upgrade: websocket` that `Connection` names. Everything less is an ordinary request
/// whose `Upgrade` is not passed on.
#[must_use]
pub fn asks_for_websocket(method: &Method, version: Version, headers: &HeaderMap) -> bool {
    let mut upgrades = headers.get_all(UPGRADE).iter();
    let (Some(to), None) = (upgrades.next(), upgrades.next()) else { return false };
    let bodiless =
        !headers.contains_key(TRANSFER_ENCODING) && headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0");
    *method == Method::GET
        && version == Version::HTTP_11
        && bodiless
        && to.as_bytes().eq_ignore_ascii_case(b"websocket")
        && headers.get_all(CONNECTION).iter().any(|value| list_has(value.as_bytes(), b"upgrade"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;
    use http::Request;

    #[test]
    fn there_is_one_way_to_ask() {
        let asks = |method: &str, version, fields: &[(&str, &str)]| {
            let mut request = Request::builder().method(method).uri("/").version(version);
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            let parts = request.body(()).unwrap().into_parts().0;
            asks_for_websocket(&parts.method, parts.version, &parts.headers)
        };
        let (upgrade, connection) = (("upgrade", "WebSocket"), ("connection", "keep-alive, Upgrade"));
        let new = Version::HTTP_11;
        assert!(asks("GET", new, &[upgrade, connection]));
        assert!(asks("GET", new, &[upgrade, connection, ("content-length", "0")]));
        assert!(!asks("POST", new, &[upgrade, connection]));
        assert!(!asks("GET", Version::HTTP_10, &[upgrade, connection]));
        assert!(!asks("GET", new, &[upgrade]));
        assert!(!asks("GET", new, &[upgrade, ("connection", "keep-alive")]));
        assert!(!asks("GET", new, &[connection]));
        assert!(!asks("GET", new, &[upgrade, upgrade, connection]));
        assert!(!asks("GET", new, &[upgrade, ("upgrade", "h2c"), connection]));
        assert!(!asks("GET", new, &[("upgrade", "h2c"), connection]));
        assert!(!asks("GET", new, &[("upgrade", "websocket, h2c"), connection]));
        assert!(!asks("GET", new, &[upgrade, connection, ("content-length", "3")]));
        assert!(!asks("GET", new, &[upgrade, connection, ("transfer-encoding", "chunked")]));
    }
}
