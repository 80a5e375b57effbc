//! Character references of HTML: `&#60;`, `&#x3c;` (the lower byte of the number) and the five names that matter to attackers. The
//! semicolon may be missing, as browsers allow.

use super::bytes::hex;

/// Decodes what is a reference; anything else stays.
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) {
    let mut rest = input;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'&' {
            out.push(*byte);
            continue;
        }
        let taken = match after {
            [b'#', b'x' | b'X', digits @ ..] => number(digits, 16, out).map(|length| length + 2),
            [b'#', digits @ ..] => number(digits, 10, out).map(|length| length + 1),
            _ => name(after, out),
        };
        match taken {
            Some(length) => {
                rest = after.get(length..).unwrap_or_default();
                rest = rest.strip_prefix(b";").unwrap_or(rest);
            }
            None => {
                // Copied without a second look inside: the marks of a number, or the letters of an unknown name.
                let length = match after {
                    [b'#', b'x' | b'X', _, ..] => 2,
                    [b'#', ..] => 1,
                    _ => after.iter().take_while(|letter| letter.is_ascii_alphanumeric()).count(),
                };
                let (copied, behind) = after.split_at_checked(length).unwrap_or((after, &[]));
                out.push(b'&');
                out.extend_from_slice(copied);
                rest = behind;
            }
        }
    }
}

/// Pushes the lower byte of the number and tells its length in digits; nothing without digits. Numbers too great for C's `strtol` have the
/// lower byte of the greatest.
fn number(digits: &[u8], radix: u8, out: &mut Vec<u8>) -> Option<usize> {
    let mut value = Some(0_i64);
    let mut length = 0;
    for digit in digits.iter().map_while(|digit| hex(*digit).filter(|digit| *digit < radix)) {
        value = value.and_then(|value| value.checked_mul(i64::from(radix))?.checked_add(i64::from(digit)));
        length += 1;
    }
    if length == 0 {
        return None;
    }
    let [low, ..] = value.unwrap_or(i64::MAX).to_le_bytes();
    out.push(low);
    Some(length)
}

/// Pushes the character of a known name and tells the name's length.
fn name(after: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let length = after.iter().take_while(|letter| letter.is_ascii_alphanumeric()).count();
    let name = after.get(..length)?;
    let character = match () {
        () if name.eq_ignore_ascii_case(b"quot") => b'"',
        () if name.eq_ignore_ascii_case(b"amp") => b'&',
        () if name.eq_ignore_ascii_case(b"lt") => b'<',
        () if name.eq_ignore_ascii_case(b"gt") => b'>',
        () if name.eq_ignore_ascii_case(b"nbsp") => 0xa0,
        () => return None,
    };
    out.push(character);
    Some(length)
}
