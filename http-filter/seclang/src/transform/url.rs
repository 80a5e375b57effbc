//! The percent encoding of URLs and forms (RFC 3986 §2.1, WHATWG URL §5.1), and IIS's `%uXXXX`. What is not a valid escape stays as it
//! is, so that rules see it.

use super::bytes::{hex_pair, hex_quad, low_byte, to_hex};
use super::unicode_map;

/// `%XX` and `+`.
pub(crate) fn decode(input: &[u8], out: &mut Vec<u8>) {
    let mut rest = input;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, hex_pair(after)) {
            (b'%', Some(decoded)) => {
                out.push(decoded);
                rest = after.get(2..).unwrap_or_default();
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(*byte),
        }
    }
}

/// `%XX`, `+` and `%uXXXX`.
pub(super) fn decode_unicode(input: &[u8], out: &mut Vec<u8>) {
    let mut rest = input;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after.split_first()) {
            (b'%', Some((u @ (b'u' | b'U'), digits))) => {
                if let Some(code) = hex_quad(digits) {
                    out.push(unicode_map::to_ascii(code));
                    rest = digits.get(4..).unwrap_or_default();
                } else {
                    out.extend([b'%', *u]);
                    rest = digits;
                }
            }
            (b'%', Some(_)) => {
                if let Some(decoded) = hex_pair(after) {
                    out.push(decoded);
                    rest = after.get(2..).unwrap_or_default();
                } else {
                    out.push(b'%');
                }
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(*byte),
        }
    }
}

/// Letters, digits and `*` stay, a space becomes `+`, everything else `%xx`.
pub(super) fn encode(input: &[u8], out: &mut Vec<u8>) {
    for byte in input {
        match byte {
            b' ' => out.push(b'+'),
            b'*' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => out.push(*byte),
            _ => {
                out.push(b'%');
                out.extend(to_hex(*byte));
            }
        }
    }
}

/// The full-width forms U+FF01 to U+FF5E stand for ASCII 0x21 to 0x7E. `low` is the lower byte, `high` the upper one.
pub(super) fn full_width(high: u8, low: u8) -> u8 {
    if high == 0xff && low > 0 && low < 0x5f { low_byte(u32::from(low) + 0x20) } else { low }
}
