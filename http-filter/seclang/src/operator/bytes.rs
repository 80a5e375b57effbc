//! `@validateByteRange`, `@validateUrlEncoding`, `@validateUtf8Encoding`: each is true of a value that is *not* valid.

use crate::error::Mistake;
use crate::mask::ByteMask;

/// The bytes that a value may hold.
#[derive(Clone, Debug)]
pub(crate) struct ByteSet {
    allowed: [bool; 256],
    /// The kinds of which no byte is forbidden.
    clean: ByteMask,
}

impl ByteSet {
    /// Reads `9,10,13,32-126,128-255`.
    pub(crate) fn parse(text: &str) -> Result<Self, Mistake> {
        let mut allowed = [false; 256];
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let wrong =
                || Mistake::new(word, "not a range of bytes").allowed("numbers from 0 to 255, such as 9,10,32-126");
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            let first: u8 = first.trim().parse().map_err(|_| wrong())?;
            let last: u8 = last.trim().parse().map_err(|_| wrong())?;
            if first > last {
                return Err(wrong());
            }
            for (byte, slot) in (0..=255_u8).zip(allowed.iter_mut()) {
                *slot |= (first..=last).contains(&byte);
            }
        }
        let mut dirty = 0_u64;
        for (byte, allowed) in (0..=255_u8).zip(allowed) {
            if !allowed {
                dirty |= ByteMask::byte(byte).bits();
            }
        }
        Ok(Self { allowed, clean: ByteMask::from_bits(!dirty) })
    }

    /// True if a value with these kinds of bytes may hold a forbidden one.
    pub(crate) fn may_be_broken(&self, mask: ByteMask) -> bool {
        !self.clean.contains(mask)
    }

    /// True if the value holds a forbidden byte.
    pub(crate) fn is_broken(&self, value: &[u8]) -> bool {
        value.iter().any(|byte| !self.allowed.get(usize::from(*byte)).copied().unwrap_or(false))
    }
}

/// True if a `%` is not followed by two hexadecimal digits.
pub(crate) fn bad_url_encoding(value: &[u8]) -> bool {
    let mut rest = value;
    while let Some(at) = memchr::memchr(b'%', rest) {
        match rest.get(at + 1..at + 3) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => rest = rest.get(at + 3..).unwrap_or_default(),
            _ => return true,
        }
    }
    false
}

/// True if the value is not UTF-8 (RFC 3629: no overlong forms, no surrogates).
pub(crate) fn bad_utf8(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_err()
}
