//! Which bodies rules do not look at, by the header alone. Pure.

use common::config::{self, TextPattern};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;

use super::verdict::Fault;

/// Whether this request's body is of a type that is not looked at. Of several types none is believed. Backends read JSON and XML under many names,
/// so those are meant only by their own.
pub fn is_unread(own: &config::WebAttacks, parts: &Parts) -> bool {
    is_one_of(&own.unread_types, parts)
}

fn is_one_of(unread_types: &[TextPattern], parts: &Parts) -> bool {
    let mut kinds = parts.headers.get_all(CONTENT_TYPE).iter();
    let (Some(kind), None) = (kinds.next(), kinds.next()) else { return false };
    let kind = kind.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    let kind = kind.trim_ascii().to_ascii_lowercase();
    // Several in one field are several.
    if kind.contains(&b',') {
        return false;
    }
    // But a picture in XML (SVG) is one: applications store it, and its DOCTYPE would be no XML to us.
    let readable = kind.ends_with(b"+json") || (kind.ends_with(b"+xml") && !kind.starts_with(b"image/"));
    let means =
        |pattern: &TextPattern| (!readable || matches!(pattern, TextPattern::Exact(_))) && pattern.matches(&kind);
    unread_types.iter().any(means)
}

/// Whether the body is said to be of several types.
pub fn has_two_types(parts: &Parts) -> bool {
    parts.headers.get_all(CONTENT_TYPE).iter().nth(1).is_some()
}

/// Why not all of a body can be looked at, as far as it is known before its first byte.
pub fn before(parts: &Parts, max_body: usize) -> Option<Fault> {
    let codings = parts.headers.get_all(CONTENT_ENCODING).iter();
    if codings.into_iter().any(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity")) {
        return Some(Fault::Coded);
    }
    let declared: Option<u64> = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let most = u64::try_from(max_body).unwrap_or(u64::MAX);
    declared.filter(|length| *length > most).map(|_| Fault::Large)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::Request;

    #[test]
    fn types_that_are_not_looked_at() {
        let own = [TextPattern::Prefix("image/".into()), TextPattern::Exact("application/a+json".into())];
        for (kinds, unread) in [
            (&["image/png"][..], true),
            (&["Image/PNG ; a=b"], true),
            (&["image/svg+xml"], true),
            (&["image/x+json"], false),
            (&["application/a+json"], true),
            (&["application/b+json"], false),
            (&["image/png, application/json"], false),
            (&["image/png", "image/png"], false),
            (&[], false),
        ] {
            let request = kinds.iter().fold(Request::builder(), |request, kind| request.header("content-type", *kind));
            let (parts, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(is_one_of(&own, &parts), unread, "{kinds:?}");
        }
    }

    #[test]
    fn codings_and_lengths() {
        for (name, value, expected) in [
            ("content-encoding", "gzip", Some(Fault::Coded)),
            ("content-encoding", " Identity", None),
            ("content-length", "11", Some(Fault::Large)),
            ("content-length", "10", None),
            ("x", "y", None),
        ] {
            let (parts, ()) = Request::builder().header(name, value).body(()).unwrap().into_parts();
            assert_eq!(before(&parts, 10), expected, "{name}: {value}");
        }
    }
}
