//! `t:utf8toUnicode`: UTF-8 (RFC 3629) becomes `%uXXXX`, which `t:urlDecodeUni` then maps to the ASCII that servers may take it for.

/// Characters beyond ASCII become `%u` and at least four small digits. Of an invalid sequence only the first byte is dropped; of an
/// overlong one and of a surrogate it is repeated after the number; NUL bytes are dropped.
pub(super) fn to_unicode(input: &[u8], out: &mut Vec<u8>) {
    let mut rest = input;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let (length, lead, least) = match first {
            0 => continue,
            0xc0..=0xdf => (1, first & 0x1f, 0x80),
            0xe0..=0xef => (2, first & 0x0f, 0x800),
            0xf0..=0xf7 => (3, first & 0x07, 0x1_0000),
            _ => {
                out.push(*first);
                continue;
            }
        };
        if *first >= 0xf5 {
            out.push(*first); // beyond U+10FFFF
        }
        let Some(code) = continuation(after, length, lead) else { continue };
        hexadecimal(code, out);
        rest = after.get(length..).unwrap_or_default();
        if (0xd800..=0xdfff).contains(&code) {
            out.push(*first);
        }
        if code < least {
            out.push(*first);
        }
    }
}

/// The character whose first byte held `lead` and whose other `length` bytes are at the beginning of `bytes`.
fn continuation(bytes: &[u8], length: usize, lead: u8) -> Option<u32> {
    let bytes = bytes.get(..length)?;
    bytes
        .iter()
        .try_fold(u32::from(lead), |code, byte| (byte & 0xc0 == 0x80).then(|| code << 6 | u32::from(byte & 0x3f)))
}

/// `%u` and the number with at least four digits.
fn hexadecimal(code: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(b"%u");
    let digits = if code > 0xf_ffff {
        6
    } else if code > 0xffff {
        5
    } else {
        4
    };
    for place in (0..digits).rev() {
        let [_, low] = super::bytes::to_hex(super::bytes::low_byte(code >> (4 * place)) & 0x0f);
        out.push(low);
    }
}
