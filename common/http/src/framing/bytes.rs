//! Classes of bytes (RFC 9110 §5.6.2, §5.5; RFC 9112 §2.2). Tiny on purpose: everything that reads a head asks here.

/// Token character: what methods and field names are made of.
pub(crate) fn is_tchar(b: u8) -> bool {
    b.is_ascii_alphanumeric()
        || matches!(
            b,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// What may stand inside a line of a head: HTAB, SP, visible ASCII and obs-text; never another control byte, never DEL.
pub(crate) fn is_line_byte(b: u8) -> bool {
    (b >= 0x20 && b != 0x7f) || b == b'\t'
}

/// What may stand in a request target. Narrower than "visible ASCII": `#` would start a fragment (which hyper cuts off silently) and
/// the others are refused by the URI type, without a word to the client.
pub(crate) fn is_target_byte(b: u8) -> bool {
    matches!(b, 0x21..=0x7e) && !matches!(b, b'#' | b'<' | b'>')
}

/// Optional white space around a field value (SP and HTAB) taken off.
pub(crate) fn trim_ows(mut value: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\t', rest)) = value.split_first() {
        value = rest;
    }
    while let Some((b' ' | b'\t', rest)) = value.split_last() {
        value = rest;
    }
    value
}

/// Whether a comma-separated list (one field line) holds `token`, ignoring case and white space.
#[must_use]
pub fn list_has(value: &[u8], token: &[u8]) -> bool {
    value.split(|b| *b == b',').any(|part| trim_ows(part).eq_ignore_ascii_case(token))
}
