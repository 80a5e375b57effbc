//! Presets of security headers. What the backend has set stays, unless the configuration says otherwise; HSTS is said over TLS only
//! (RFC 6797 §7.2: elsewhere it means nothing).

use common::config::SecurityHeaders;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

type Field = (HeaderName, HeaderValue);

const fn field(name: HeaderName, value: &'static str) -> Field {
    (name, HeaderValue::from_static(value))
}

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Puts the preset on.
pub fn apply(preset: SecurityHeaders, secure: bool, replace: bool, headers: &mut HeaderMap) {
    if preset == SecurityHeaders::Off {
        return;
    }
    let put = |headers: &mut HeaderMap, (name, value): Field| {
        if replace || !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    };
    let year = field(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    let two_years = field(header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains");
    let (hsts, fields): (Field, &[Field]) = match preset {
        SecurityHeaders::Off | SecurityHeaders::Basic => (
            year,
            &[
                field(header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                field(header::X_FRAME_OPTIONS, "SAMEORIGIN"),
                field(header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
            ],
        ),
        SecurityHeaders::Strict => (
            two_years,
            &[
                field(header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                field(header::X_FRAME_OPTIONS, "DENY"),
                field(header::REFERRER_POLICY, "no-referrer"),
                field(header::CONTENT_SECURITY_POLICY, "frame-ancestors 'none'; base-uri 'self'; object-src 'none'"),
                field(PERMISSIONS_POLICY, "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
                field(OPENER_POLICY, "same-origin"),
                field(RESOURCE_POLICY, "same-origin"),
            ],
        ),
    };
    if secure {
        put(headers, hsts);
    }
    for own in fields {
        put(headers, own.clone());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn what_the_backend_says_stays_unless_asked() {
        let mut headers = HeaderMap::new();
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("ALLOWALL"));
        apply(SecurityHeaders::Strict, true, false, &mut headers);
        assert_eq!(headers[header::X_FRAME_OPTIONS], "ALLOWALL");
        assert_eq!(headers[header::STRICT_TRANSPORT_SECURITY], "max-age=63072000; includeSubDomains");
        assert_eq!(headers.len(), 8);
        apply(SecurityHeaders::Basic, true, true, &mut headers);
        assert_eq!(headers[header::X_FRAME_OPTIONS], "SAMEORIGIN");
    }

    #[test]
    fn hsts_is_for_tls_only() {
        let mut headers = HeaderMap::new();
        apply(SecurityHeaders::Basic, false, false, &mut headers);
        assert!(!headers.contains_key(header::STRICT_TRANSPORT_SECURITY) && headers.len() == 3);
        let mut headers = HeaderMap::new();
        apply(SecurityHeaders::Off, true, true, &mut headers);
        assert!(headers.is_empty());
    }
}
