//! Cookies (RFC 6265 §4.2) and parameters of a query (`application/x-www-form-urlencoded`), read in place. Pure; what is malformed is
//! read as far as it goes, never refused: whether a request is sound was decided before.

use std::borrow::Cow;

/// Most cookies or parameters of a request that are looked at; a request with more is judged by the first ones.
pub const MAX_FIELDS: usize = 1024;

/// The cookies of one `Cookie` line.
pub fn cookies(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    line.split(|byte| *byte == b';').take(MAX_FIELDS).filter_map(|pair| {
        let pair = pair.trim_ascii();
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = pair.split_at_checked(at)?;
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
        Some((name.trim_ascii_end(), unquoted.unwrap_or(value)))
    })
}

/// The parameters of a query, decoded; one without `=` has an empty value.
pub fn parameters(query: &str) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    let pairs = query.split('&').take(MAX_FIELDS).filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

/// Percent-decoding; `+` is a space; a `%` without two digits stays.
fn decode(text: &str) -> Cow<'_, [u8]> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let (byte, next) = match first {
            b'+' => (b' ', behind),
            b'%' => hex_pair(behind).unwrap_or((b'%', behind)),
            other => (*other, behind),
        };
        out.push(byte);
        rest = next;
    }
    Cow::Owned(out)
}

fn hex_pair(rest: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, behind) = rest.split_at_checked(2)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let digits = std::str::from_utf8(digits).ok()?;
    Some((u8::from_str_radix(digits, 16).ok()?, behind))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cookies_are_read_as_servers_read_them() {
        let read: Vec<_> = cookies(b"a=1; b = \"two\" ;c=; d; e=x=y;;f=\"").collect();
        let expected: [(&[u8], &[u8]); 5] = [(b"a", b"1"), (b"b", b"two"), (b"c", b""), (b"e", b"x=y"), (b"f", b"\"")];
        assert_eq!(read, expected);
    }

    #[test]
    fn parameters_are_decoded() {
        let read: Vec<(String, String)> = parameters("a=1&b%20c=%41+x&d&=e&%zz=%4&&a=2")
            .map(|(n, v)| (String::from_utf8_lossy(&n).into(), String::from_utf8_lossy(&v).into()))
            .collect();
        let expected = [("a", "1"), ("b c", "A x"), ("d", ""), ("", "e"), ("%zz", "%4"), ("a", "2")];
        assert_eq!(read, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn whatever_comes_is_read(line in proptest::collection::vec(any::<u8>(), 0..200), query in "\\PC{0,100}") {
            prop_assert!(cookies(&line).count() <= MAX_FIELDS);
            for (name, value) in parameters(&query) {
                prop_assert!(name.len() + value.len() <= query.len());
            }
        }
    }
}
