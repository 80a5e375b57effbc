//! Base64 (RFC 4648 §4): strict as mbedtls reads it, and forgiving.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Six bits of one digit.
const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// Decodes whole base64 up to the first NUL: digits, at most two `=` at the end, line ends with spaces before them. Digits that do not
/// make a group of four are dropped. Anything else: the value stays as it is.
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) {
    let text = input.split(|byte| *byte == 0).next().unwrap_or_default();
    if !is_base64(text) {
        out.extend_from_slice(input);
        return;
    }
    let (mut bits, mut count, mut padding) = (0_u32, 0, 0);
    for byte in text.iter().filter(|byte| !matches!(byte, b'\r' | b'\n' | b' ')) {
        padding += usize::from(*byte == b'=');
        bits = bits << 6 | u32::from(digit(*byte).unwrap_or_default());
        count += 1;
        if count == 4 {
            let [_, bytes @ ..] = bits.to_be_bytes();
            out.extend(bytes.iter().take(3_usize.saturating_sub(padding)));
            (bits, count) = (0, 0);
        }
    }
}

/// Whether nothing but base64 and line ends is in `text`.
fn is_base64(text: &[u8]) -> bool {
    let mut rest = text;
    let mut padding = 0;
    loop {
        let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
        rest = match rest.get(spaces..).unwrap_or_default() {
            [] => return true,
            [b'\r', b'\n', after @ ..] | [b'\n', after @ ..] => after,
            _ if spaces > 0 => return false, // a space inside a line
            [b'=', after @ ..] if padding < 2 => {
                padding += 1;
                after
            }
            [byte, after @ ..] if padding == 0 && digit(*byte).is_some() => after,
            _ => return false,
        };
    }
}

/// Decodes the digits (`-` and `_` of the URL alphabet too) and skips everything else. Nothing comes out if a lone digit is padded.
pub(super) fn decode_forgiving(input: &[u8], out: &mut Vec<u8>) {
    let begin = out.len();
    let (mut bits, mut count) = (0_u32, 0_u32);
    let mut rest = input;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let value = match byte {
            b'=' if count == 1 && after.first() != Some(&b'=') => {
                out.truncate(begin);
                return;
            }
            b'-' => Some(62),
            b'_' => Some(63),
            byte => digit(*byte),
        };
        let Some(value) = value else { continue };
        bits = (bits << 6 | u32::from(value)) & 0x00ff_ffff;
        count = (count + 1) % 4;
        let shift = match count {
            2 => 4,
            3 => 2,
            0 => 0,
            _ => continue,
        };
        out.push(super::bytes::low_byte(bits >> shift));
    }
    if count == 1 && input.last() == Some(&b'=') {
        out.truncate(begin);
    }
}

/// Encodes with padding.
pub(super) fn encode(input: &[u8], out: &mut Vec<u8>) {
    for group in input.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let index = usize::from(super::bytes::low_byte(bits >> shift) & 0x3f);
            out.push(if place <= group.len() { ALPHABET.get(index).copied().unwrap_or(b'=') } else { b'=' });
        }
    }
}
