//! Small questions about bytes that several transformations and body processors ask, with C's answers (the "C" locale).

/// C's `isspace`: space, tab, line feed, vertical tab, form feed, carriage return.
pub(crate) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | 0x09..=0x0d)
}

/// The value of a hexadecimal digit.
pub(crate) const fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The byte that the two hexadecimal digits at the beginning of `digits` stand for.
pub(crate) fn hex_pair(digits: &[u8]) -> Option<u8> {
    let (high, low) = (hex(*digits.first()?)?, hex(*digits.get(1)?)?);
    Some(high << 4 | low)
}

/// The number that the four hexadecimal digits at the beginning of `digits` stand for.
pub(crate) fn hex_quad(digits: &[u8]) -> Option<u16> {
    let (high, low) = (hex_pair(digits)?, hex_pair(digits.get(2..)?)?);
    Some(u16::from_be_bytes([high, low]))
}

/// A byte as two small hexadecimal digits.
pub(crate) fn to_hex(byte: u8) -> [u8; 2] {
    let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' - 10 + value };
    [digit(byte >> 4), digit(byte & 0x0f)]
}

/// Without white space at the beginning.
pub(crate) fn trim_start(value: &[u8]) -> &[u8] {
    let spaces = value.iter().take_while(|byte| is_space(**byte)).count();
    value.get(spaces..).unwrap_or_default()
}

/// Without white space at the end.
pub(crate) fn trim_end(value: &[u8]) -> &[u8] {
    let spaces = value.iter().rev().take_while(|byte| is_space(**byte)).count();
    value.get(..value.len() - spaces).unwrap_or_default()
}

/// The lowest eight bits.
#[allow(clippy::cast_possible_truncation, reason = "cutting is what it is for")]
pub(crate) const fn low_byte(number: u32) -> u8 {
    (number & 0xff) as u8
}
