//! The short transformations: command lines, white space, hexadecimal digits, length, parity.

use super::bytes::{hex, hex_pair, is_space, low_byte, to_hex};

/// Quotes, backslashes and carets go; commas, semicolons and white space become one space, and none before `/` and `(`; letters become
/// small. So `c^at /et""c` and `CAT  /etc` are the same.
pub(super) fn cmd_line(input: &[u8], out: &mut Vec<u8>) {
    let begin = out.len();
    let mut space = false;
    for byte in input {
        match byte {
            b'"' | b'\'' | b'\\' | b'^' => {}
            b' ' | b',' | b';' | b'\t' | b'\r' | b'\n' => {
                if !space {
                    out.push(b' ');
                    space = true;
                }
            }
            b'/' | b'(' => {
                if space && out.len() > begin {
                    out.pop();
                }
                space = false;
                out.push(*byte);
            }
            _ => {
                out.push(byte.to_ascii_lowercase());
                space = false;
            }
        }
    }
}

/// Each run of white space becomes one space.
pub(super) fn compress_whitespace(input: &[u8], out: &mut Vec<u8>) {
    let mut space = false;
    for byte in input {
        if !is_space(*byte) {
            out.push(*byte);
        } else if !space {
            out.push(b' ');
        }
        space = is_space(*byte);
    }
}

/// Every two bytes become one; what is not a digit counts as C's arithmetic has it, and a last single byte is dropped.
pub(super) fn hex_decode(input: &[u8], out: &mut Vec<u8>) {
    let digit = |byte: u8| {
        let value =
            if byte >= b'A' { (byte & 0xdf).wrapping_sub(b'A').wrapping_add(10) } else { byte.wrapping_sub(b'0') };
        u32::from(value)
    };
    for pair in input.chunks_exact(2) {
        if let [high, low] = pair {
            out.push(low_byte(digit(*high) * 16 + digit(*low)));
        }
    }
}

/// Every byte becomes two digits.
pub(super) fn hex_encode(input: &[u8], out: &mut Vec<u8>) {
    out.extend(input.iter().flat_map(|byte| to_hex(*byte)));
}

/// `0x414243` becomes `ABC`; at least one pair of digits must follow.
pub(super) fn sql_hex_decode(input: &[u8], out: &mut Vec<u8>) {
    let mut rest = input;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match after {
            [b'x' | b'X', digits @ ..] if *byte == b'0' && hex_pair(digits).is_some() => {
                rest = digits;
                while let Some(decoded) = hex_pair(rest) {
                    out.push(decoded);
                    rest = rest.get(2..).unwrap_or_default();
                }
            }
            _ => out.push(*byte),
        }
    }
    debug_assert!(out.len() <= input.len() && hex(b'0').is_some());
}

/// The number of bytes, in decimal.
pub(super) fn length(input: &[u8], out: &mut Vec<u8>) {
    let mut rest = input.len();
    let begin = out.len();
    loop {
        out.push(b'0' + u8::try_from(rest % 10).unwrap_or_default());
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.get_mut(begin..).unwrap_or_default().reverse();
}

/// Bit 7 of each byte such that the number of ones among the lower seven, and it, is `odd` modulo 2, as far as bit 7 was clear before.
pub(super) fn parity(input: &[u8], odd: u32, out: &mut Vec<u8>) {
    out.extend(input.iter().map(|byte| if byte.count_ones() % 2 == odd { byte & 0x7f } else { byte | 0x80 }));
}
