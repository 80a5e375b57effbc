//! Characters of XML: references (XML §4.1, §4.6), line ends (§2.11), white space in attributes (§3.3.3), and which characters may be
//! there at all (§2.2).

use super::{Parsed, malformed};

/// Where the text stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Between tags.
    Text,
    /// In `<![CDATA[ ]]>`: no references.
    Cdata,
    /// An attribute's value: white space becomes spaces.
    Attribute,
}

/// Appends the decoded text.
pub(super) fn decode(text: &[u8], place: Use, out: &mut Vec<u8>) -> Parsed<()> {
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'&' if place != Use::Cdata => rest = reference(after, out)?,
            b'\t' | b'\n' | b'\r' => {
                if *byte == b'\r' {
                    rest = after.strip_prefix(b"\n").unwrap_or(after);
                }
                out.push(match byte {
                    _ if place == Use::Attribute => b' ',
                    b'\t' => b'\t',
                    _ => b'\n',
                });
            }
            0..=0x1f => return malformed("XML: a control character"),
            _ => out.push(*byte),
        }
    }
    Ok(())
}

/// A reference whose `&` is behind us; returns what follows.
fn reference<'a>(after: &'a [u8], out: &mut Vec<u8>) -> Parsed<&'a [u8]> {
    // The longest that can be valid: leading zeros are not counted on.
    let near = after.get(..after.len().min(64)).unwrap_or_default();
    let Some(end) = memchr::memchr(b';', near) else { return malformed("XML: an ampersand without a reference") };
    let (name, behind) = after.split_at_checked(end).unwrap_or((after, &[]));
    let character = match name {
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"amp" => Some('&'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        [b'#', b'x', digits @ ..] => number(digits, 16),
        [b'#', digits @ ..] => number(digits, 10),
        _ => return malformed("XML: an entity that is not declared"),
    };
    let Some(character) = character else { return malformed("XML: a reference to no character") };
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(behind.get(1..).unwrap_or_default())
}

/// The character of a number, if XML allows it.
fn number(digits: &[u8], radix: u32) -> Option<char> {
    let valid = !digits.is_empty() && digits.iter().all(|digit| char::from(*digit).is_digit(radix));
    let number = u32::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| valid)?, radix).ok()?;
    let allowed = matches!(number, 9 | 10 | 13 | 0x20..=0xd7ff | 0xe000..=0xfffd | 0x1_0000..=0x10_ffff);
    char::from_u32(number).filter(|_| allowed)
}
