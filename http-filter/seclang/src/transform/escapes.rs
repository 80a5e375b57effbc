//! Backslash escapes of three languages. Each drops the backslash of an escape that means nothing, as the languages do.

use super::bytes::{hex, hex_pair, hex_quad, is_space, low_byte};
use super::url::full_width;

/// JavaScript: `\uHHHH` (its lower byte), `\xHH`, `\OOO`, `\n`; ECMA-262 §12.9.4.
pub(super) fn javascript(input: &[u8], out: &mut Vec<u8>) {
    let mut rest = input;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let (b'\\', Some((kind, digits))) = (byte, after.split_first()) else {
            out.push(*byte);
            continue;
        };
        rest = digits;
        match (kind, hex_quad(digits), hex_pair(digits)) {
            (b'u', Some(code), _) => {
                let [high, low] = code.to_be_bytes();
                out.push(full_width(high, low));
                rest = digits.get(4..).unwrap_or_default();
            }
            (b'x', _, Some(decoded)) => {
                out.push(decoded);
                rest = digits.get(2..).unwrap_or_default();
            }
            (b'0'..=b'7', ..) => {
                // Three digits only if they make a byte.
                let (value, length) = octal(after, if *kind > b'3' { 2 } else { 3 });
                out.push(low_byte(value));
                rest = after.get(length..).unwrap_or_default();
            }
            _ => out.push(control(*kind).unwrap_or(*kind)),
        }
    }
}

/// ANSI C: `\xHH`, `\OOO`, `\n`. A backslash at the very end stays.
pub(super) fn ansi_c(input: &[u8], out: &mut Vec<u8>) {
    let mut rest = input;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let (b'\\', Some((kind, digits))) = (byte, after.split_first()) else {
            out.push(*byte);
            continue;
        };
        rest = digits;
        match (kind, hex_pair(digits)) {
            (b'x' | b'X', Some(decoded)) => {
                out.push(decoded);
                rest = digits.get(2..).unwrap_or_default();
            }
            (b'0'..=b'7', _) => {
                let (value, length) = octal(after, 3);
                out.push(low_byte(value));
                rest = after.get(length..).unwrap_or_default();
            }
            _ => out.push(control(*kind).unwrap_or(*kind)),
        }
    }
}

/// CSS: one to six hexadecimal digits (their lower byte), one white space after them; a line feed is ignored; CSS 2.2 §4.1.3. A
/// backslash at the very end goes.
pub(super) fn css(input: &[u8], out: &mut Vec<u8>) {
    let mut rest = input;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let digits = after.iter().take(6).map_while(|digit| hex(*digit)).count();
        if digits > 0 {
            let code = after
                .iter()
                .take(digits)
                .filter_map(|digit| hex(*digit))
                .fold(0_u32, |code, digit| code << 4 | u32::from(digit));
            // Full-width forms only as U+FFxx: with four digits, or five or six of which the first are zero.
            let high = if digits >= 4 && code <= 0xffff { low_byte(code >> 8) } else { 0 };
            out.push(full_width(high, low_byte(code)));
            rest = after.get(digits..).unwrap_or_default();
            if let Some((space, behind)) = rest.split_first()
                && is_space(*space)
            {
                rest = behind;
            }
        } else if let Some((escaped, behind)) = after.split_first() {
            if *escaped != b'\n' {
                out.push(*escaped);
            }
            rest = behind;
        }
    }
}

/// The value of up to `most` octal digits at the beginning, and how many there are.
fn octal(digits: &[u8], most: usize) -> (u32, usize) {
    let digits = digits.iter().take(most).take_while(|digit| matches!(digit, b'0'..=b'7'));
    digits.fold((0, 0), |(value, length), digit| (value << 3 | u32::from(digit - b'0'), length + 1))
}

/// The control character that a letter after a backslash stands for.
const fn control(letter: u8) -> Option<u8> {
    match letter {
        b'a' => Some(0x07),
        b'b' => Some(0x08),
        b'f' => Some(0x0c),
        b'n' => Some(b'\n'),
        b'r' => Some(b'\r'),
        b't' => Some(b'\t'),
        b'v' => Some(0x0b),
        _ => None,
    }
}
