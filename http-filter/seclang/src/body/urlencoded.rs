//! `application/x-www-form-urlencoded` (WHATWG URL §5.1) and query strings, with ModSecurity's reading: nothing between two separators is
//! an argument without a name, an invalid escape stays as it is (and is reported when all arguments have been given).

use super::{BodyLimits, Limit, Parsed, check_lengths, count, malformed};
use crate::transform::bytes::hex_pair;
use crate::transform::url;

/// Calls `found` with each name and value, decoded.
pub(super) fn parse(
    text: &[u8],
    separator: u8,
    limits: &BodyLimits,
    found: &mut dyn FnMut(&[u8], &[u8]),
) -> Parsed<()> {
    let (mut name, mut value) = (Vec::new(), Vec::new());
    let mut arguments = 0;
    if text.is_empty() {
        return Ok(());
    }
    // Nothing behind the last separator is not an argument.
    let text = text.strip_suffix(&[separator]).unwrap_or(text);
    for pair in text.split(|byte| *byte == separator) {
        count(&mut arguments, limits.arguments, Limit::Arguments)?;
        let equals = memchr::memchr(b'=', pair).unwrap_or(pair.len());
        let (raw_name, raw_value) = pair.split_at_checked(equals).unwrap_or((pair, &[]));
        let raw_value = raw_value.strip_prefix(b"=").unwrap_or(raw_value);
        // An escape is three bytes at most: what is longer than this is too long decoded as well.
        check_lengths(
            raw_name.get(..raw_name.len() / 3).unwrap_or_default(),
            raw_value.get(..raw_value.len() / 3).unwrap_or_default(),
            limits,
        )?;
        name.clear();
        url::decode(raw_name, &mut name);
        value.clear();
        url::decode(raw_value, &mut value);
        check_lengths(&name, &value, limits)?;
        found(&name, &value);
    }
    if has_invalid_escape(text) {
        malformed("Urlencoded: a percent sign without two hexadecimal digits")
    } else {
        Ok(())
    }
}

fn has_invalid_escape(text: &[u8]) -> bool {
    memchr::memchr_iter(b'%', text).any(|at| text.get(at + 1..).and_then(hex_pair).is_none())
}
