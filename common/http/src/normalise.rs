//! One reading of a path (RFC 3986 §5.2.4, §6.2.2), made once before any decision: what the rules judge is byte for byte what the backend gets.
//!
//! Always: unreserved characters decoded, hex in upper case, dot segments resolved. Always refused, because no honest client sends them and backends differ:
//! broken percent-encoding, NUL, over-long UTF-8, `..` above the root, dot segments hidden behind an encoded separator or a `;parameter`.
//! [`PathPolicy`] says what happens to the rest that backends read in different ways. Rules in the configuration must go through the same function.
//! Pure; allocates only when something has to be rewritten. The query is never touched.

use std::borrow::Cow;

/// What to do with paths that backends read in different ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PathPolicy {
    /// Rewrite: `\` becomes `/`, runs of slashes become one, `%2F` and `%5C` stay as they are.
    Normalise,
    /// Refuse `\`, `//`, `%2F`, `%5C`, encoded control characters, invalid UTF-8, encoded dot segments and double encoding.
    #[default]
    RejectAmbiguous,
}

/// Why a path was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    /// Does not start with `/`.
    NotAbsolute,
    /// `%` without two hexadecimal digits.
    BrokenPercent,
    /// `%00`.
    Nul,
    /// UTF-8 in a longer form than needed (the oldest way around a filter).
    OverlongUtf8,
    /// `..` leads out of the root.
    AboveRoot,
    /// A dot segment behind `%2F`, `%5C` or before `;`.
    HiddenDotSegment,
    /// Only under [`PathPolicy::RejectAmbiguous`]: `%2F` or `%5C`.
    EncodedSeparator,
    /// Only under [`PathPolicy::RejectAmbiguous`]: `\`.
    Backslash,
    /// Only under [`PathPolicy::RejectAmbiguous`]: `//`.
    EmptySegment,
    /// Only under [`PathPolicy::RejectAmbiguous`]: `%2e` as, or in, a dot segment.
    EncodedDotSegment,
    /// Only under [`PathPolicy::RejectAmbiguous`]: `%01` … `%1F`, `%7F`.
    EncodedControl,
    /// Only under [`PathPolicy::RejectAmbiguous`]: not UTF-8 after decoding.
    NotUtf8,
    /// Only under [`PathPolicy::RejectAmbiguous`]: `%25` followed by two hexadecimal digits.
    DoubleEncoded,
}

impl PathError {
    /// One sentence for the answer and the log.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            PathError::NotAbsolute => "The path does not start with a slash.",
            PathError::BrokenPercent => "The path has a percent sign without two hexadecimal digits.",
            PathError::Nul => "The path has an encoded NUL.",
            PathError::OverlongUtf8 => "The path has UTF-8 in an over-long form.",
            PathError::AboveRoot => "The path leads above the root.",
            PathError::HiddenDotSegment => "The path hides a dot segment behind an encoded separator or a parameter.",
            PathError::EncodedSeparator => "The path has an encoded slash or backslash.",
            PathError::Backslash => "The path has a backslash.",
            PathError::EmptySegment => "The path has an empty segment (two slashes).",
            PathError::EncodedDotSegment => "The path has an encoded dot segment.",
            PathError::EncodedControl => "The path has an encoded control character.",
            PathError::NotUtf8 => "The path is not UTF-8 after decoding.",
            PathError::DoubleEncoded => "The path is encoded twice.",
        }
    }
}

impl std::fmt::Display for PathError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for PathError {}

/// The one form of `path` (without query), for every decision and for the backend. `*` (OPTIONS) stays as it is.
///
/// # Errors
/// The path has no single reading under `policy`; answer 400.
pub fn normalise_path(path: &str, policy: PathPolicy) -> Result<Cow<'_, str>, PathError> {
    if path == "*" || is_plain(path.as_bytes()) {
        return Ok(Cow::Borrowed(path));
    }
    if !path.starts_with(['/', '\\']) {
        return Err(PathError::NotAbsolute);
    }
    let decoded = decode_all(path.as_bytes())?;
    check_decoded(path, &decoded, policy)?;
    resolve(&rewrite(path.as_bytes())).map(Cow::Owned)
}

/// Nothing in it that this module could want to look at: the path of nearly every request, decided in one pass.
fn is_plain(path: &[u8]) -> bool {
    let mut previous = b' ';
    for &b in path {
        match b {
            b'%' | b'\\' | b';' => return false,
            b'/' | b'.' if previous == b'/' => return false,
            _ => {}
        }
        previous = b;
    }
    path.first() == Some(&b'/')
}

fn decode_all(path: &[u8]) -> Result<Vec<u8>, PathError> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path.iter();
    while let Some(&b) = rest.next() {
        if b == b'%' {
            let high = rest.next().and_then(|b| hex(*b));
            let low = rest.next().and_then(|b| hex(*b));
            let (Some(high), Some(low)) = (high, low) else { return Err(PathError::BrokenPercent) };
            out.push(high << 4 | low);
        } else {
            out.push(b);
        }
    }
    Ok(out)
}

fn hex(b: u8) -> Option<u8> {
    char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

/// What only shows after full decoding.
fn check_decoded(path: &str, decoded: &[u8], policy: PathPolicy) -> Result<(), PathError> {
    if decoded.contains(&0) {
        return Err(PathError::Nul);
    }
    if has_overlong(decoded) {
        return Err(PathError::OverlongUtf8);
    }
    let encoded_separator = contains_encoded(path, b"/\\");
    let hidden = decoded.split(|b| matches!(b, b'/' | b'\\')).any(|segment| {
        let name = segment.split(|b| *b == b';').next().unwrap_or_default();
        matches!(name, b"." | b"..") && (encoded_separator || name.len() < segment.len())
    });
    if hidden {
        return Err(PathError::HiddenDotSegment);
    }
    if policy == PathPolicy::Normalise {
        return Ok(());
    }
    if encoded_separator {
        return Err(PathError::EncodedSeparator);
    }
    if path.contains('\\') {
        return Err(PathError::Backslash);
    }
    if path.contains("//") {
        return Err(PathError::EmptySegment);
    }
    if decoded.iter().any(u8::is_ascii_control) {
        return Err(PathError::EncodedControl);
    }
    if std::str::from_utf8(decoded).is_err() {
        return Err(PathError::NotUtf8);
    }
    if triplets(decoded).next().is_some() {
        return Err(PathError::DoubleEncoded);
    }
    let encoded_dots = path.split('/').any(|segment| {
        segment.contains('%') && decode_all(segment.as_bytes()).is_ok_and(|name| matches!(&name[..], b"." | b".."))
    });
    if encoded_dots { Err(PathError::EncodedDotSegment) } else { Ok(()) }
}

/// Whether `path` has one of `bytes` in percent-encoded form.
fn contains_encoded(path: &str, bytes: &[u8]) -> bool {
    triplets(path.as_bytes()).any(|byte| bytes.contains(&byte))
}

/// The bytes that stand percent-encoded in `bytes`.
fn triplets(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.windows(3).filter_map(|w| match w {
        [b'%', high, low] => Some(hex(*high)? << 4 | hex(*low)?),
        _ => None,
    })
}

fn has_overlong(bytes: &[u8]) -> bool {
    bytes.contains(&0xc0)
        || bytes.contains(&0xc1)
        || bytes.windows(2).any(|w| matches!(w, [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f]))
}

/// Unreserved characters decoded, other triplets in upper case, `\` to `/`. The triplets are known to be whole.
fn rewrite(path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path.iter();
    while let Some(&b) = rest.next() {
        match b {
            b'%' => {
                let high = rest.next().and_then(|b| hex(*b)).unwrap_or_default();
                let low = rest.next().and_then(|b| hex(*b)).unwrap_or_default();
                let byte = high << 4 | low;
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                    out.push(char::from(byte));
                } else {
                    push_encoded(&mut out, byte);
                }
            }
            b'\\' => out.push('/'),
            // Raw 8-bit characters cannot come from the strict framing; from HTTP/2 they might.
            _ if !b.is_ascii() => push_encoded(&mut out, b),
            _ => out.push(char::from(b)),
        }
    }
    out
}

fn push_encoded(out: &mut String, byte: u8) {
    out.push('%');
    for digit in [byte >> 4, byte & 15] {
        out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase());
    }
}

/// Dot segments resolved, runs of slashes made one.
fn resolve(path: &str) -> Result<String, PathError> {
    let mut kept: Vec<&str> = Vec::new();
    let mut open_end = false;
    for segment in path.split('/') {
        open_end = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop().ok_or(PathError::AboveRoot)?;
            }
            _ => kept.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &kept {
        out.push('/');
        out.push_str(segment);
    }
    if open_end || out.is_empty() {
        out.push('/');
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_paths_are_borrowed_and_unchanged() {
        for path in ["/", "*", "/a", "/a/", "/a/b.html", "/a..b/c.", "/~u/x-y_z", "/a:b@c,d=e&f!$'()*+", "/a/b|{}\"^"] {
            for policy in [PathPolicy::Normalise, PathPolicy::RejectAmbiguous] {
                assert!(matches!(normalise_path(path, policy), Ok(Cow::Borrowed(p)) if p == path), "{path}");
            }
        }
    }

    #[test]
    fn one_form_under_both_policies() {
        for (path, expected) in [
            ("/%41%2d%5F%7e", "/A-_~"),
            ("/a%3ab", "/a%3Ab"),
            ("/a%20b", "/a%20b"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/./a", "/a"),
            ("/a/./b/../c", "/a/c"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/.well-known/x", "/.well-known/x"),
            ("/..a/...", "/..a/..."),
            ("/a;v=1/b", "/a;v=1/b"),
            ("/%e2%82%ac", "/%E2%82%AC"),
        ] {
            for policy in [PathPolicy::Normalise, PathPolicy::RejectAmbiguous] {
                assert_eq!(normalise_path(path, policy).as_deref(), Ok(expected), "{path}");
            }
        }
    }

    #[test]
    fn what_no_honest_client_sends_is_always_refused() {
        use PathError as E;
        for (path, error) in [
            ("a", E::NotAbsolute),
            ("", E::NotAbsolute),
            ("/%", E::BrokenPercent),
            ("/%4", E::BrokenPercent),
            ("/%g1", E::BrokenPercent),
            ("/%u0041", E::BrokenPercent),
            ("/%00", E::Nul),
            ("/a%00.png", E::Nul),
            ("/%c0%af", E::OverlongUtf8),
            ("/%C1%9c", E::OverlongUtf8),
            ("/%e0%80%af", E::OverlongUtf8),
            ("/%f0%80%80%af", E::OverlongUtf8),
            ("/..", E::AboveRoot),
            ("/a/../../b", E::AboveRoot),
            ("/a/..%2fb", E::HiddenDotSegment),
            ("/a%2f..%2fb", E::HiddenDotSegment),
            ("/a/%2e%2e%2Fb", E::HiddenDotSegment),
            ("/a%5c..%5cb", E::HiddenDotSegment),
            ("/a/..;/b", E::HiddenDotSegment),
            ("/a/..;x=y/b", E::HiddenDotSegment),
            ("/a/%2e%2e%3b/b", E::HiddenDotSegment),
        ] {
            for policy in [PathPolicy::Normalise, PathPolicy::RejectAmbiguous] {
                assert_eq!(normalise_path(path, policy), Err(error), "{path} {policy:?}");
            }
        }
        assert_eq!(normalise_path("/..%5c", PathPolicy::Normalise), Err(E::HiddenDotSegment));
    }

    #[test]
    fn policy_decides_the_rest() {
        use PathError as E;
        for (path, normal, error) in [
            ("/a//b", "/a/b", E::EmptySegment),
            ("//a", "/a", E::EmptySegment),
            ("/a\\b", "/a/b", E::Backslash),
            ("\\a", "/a", E::Backslash),
            ("/a\\..\\b", "/b", E::Backslash),
            ("/a%2fb", "/a%2Fb", E::EncodedSeparator),
            ("/a%5Cb", "/a%5Cb", E::EncodedSeparator),
            ("/a/%2e%2e/b", "/b", E::EncodedDotSegment),
            ("/a/.%2E", "/", E::EncodedDotSegment),
            ("/%2e/b", "/b", E::EncodedDotSegment),
            ("/a%0d%0ab", "/a%0D%0Ab", E::EncodedControl),
            ("/a%7f", "/a%7F", E::EncodedControl),
            ("/%e9", "/%E9", E::NotUtf8),
            ("/%252e%252e/x", "/%252e%252e/x", E::DoubleEncoded),
            ("/%2541", "/%2541", E::DoubleEncoded),
        ] {
            assert_eq!(normalise_path(path, PathPolicy::Normalise).as_deref(), Ok(normal), "{path}");
            assert_eq!(normalise_path(path, PathPolicy::RejectAmbiguous), Err(error), "{path}");
        }
        assert_eq!(normalise_path("/100%25", PathPolicy::RejectAmbiguous).as_deref(), Ok("/100%25"));
        assert_eq!(normalise_path("/100%25a%20", PathPolicy::RejectAmbiguous).as_deref(), Ok("/100%25a%20"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn normal_is_normal(path in "/([a-c.%/;\\\\]|%2[eEfF5]|%5[cC]|%[0-9a-f]{2}){0,12}", reject in any::<bool>()) {
            let policy = if reject { PathPolicy::RejectAmbiguous } else { PathPolicy::Normalise };
            if let Ok(once) = normalise_path(&path, policy) {
                prop_assert!(once.starts_with('/') && !once.contains("//") && !once.contains('\\'));
                prop_assert!(!once.split('/').any(|s| s == "." || s == ".."));
                let again = normalise_path(&once, policy);
                prop_assert_eq!(again.as_deref(), Ok(&*once));
            }
        }
    }
}
