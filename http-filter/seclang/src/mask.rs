//! Which kinds of bytes a value holds: one bit per kind, so that one test tells that a transformation changes nothing or that a pattern
//! cannot match. The mask is exact: a bit is set if and only if at least one byte of its kind is present.

/// The kinds of bytes of a value, as a set.
///
/// Every ASCII punctuation mark is a kind of its own; letters are two kinds, digits one; [`ByteMask::HIGH`] is every byte from 0x80 on
/// ([`ByteMask::NBSP`] besides for 0xA0, which ModSecurity takes for a space in some places).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ByteMask(u64);

/// The bit number of each byte's kind.
const KIND: [u8; 256] = kinds();

#[allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "evaluated at compile time, where a mistake is an error"
)]
const fn kinds() -> [u8; 256] {
    let mut table = [0_u8; 256];
    let mut byte = 0_usize;
    let mut punctuation = 9_u8;
    while byte < 256 {
        table[byte] = match byte as u8 {
            0 => 0,
            0x09..=0x0d => 1,
            0x01..=0x1f | 0x7f => 2,
            b' ' => 3,
            b'0'..=b'9' => 4,
            b'A'..=b'Z' => 5,
            b'a'..=b'z' => 6,
            0xa0 => 7,
            0x80..=0xff => 8,
            _ => {
                let number = punctuation;
                punctuation += 1;
                number
            }
        };
        byte += 1;
    }
    table
}

impl ByteMask {
    /// No byte at all.
    pub const NONE: Self = Self(0);
    /// Every kind.
    pub const ALL: Self = Self(u64::MAX);
    /// The byte 0.
    pub const NUL: Self = Self::byte(0);
    /// Tab, line feed, vertical tab, form feed, carriage return.
    pub const BLANK: Self = Self::byte(b'\t');
    /// Control characters other than NUL and those of [`Self::BLANK`]; DEL too.
    pub const CONTROL: Self = Self::byte(1);
    /// The space.
    pub const SPACE: Self = Self::byte(b' ');
    /// 0 to 9.
    pub const DIGIT: Self = Self::byte(b'0');
    /// A to Z.
    pub const UPPER: Self = Self::byte(b'A');
    /// a to z.
    pub const LOWER: Self = Self::byte(b'a');
    /// 0xA0, the no-break space of Latin-1.
    pub const NBSP: Self = Self::byte(0xa0);
    /// Every byte from 0x80 on, 0xA0 included.
    pub const HIGH: Self = Self(1 << 8 | Self::NBSP.0);
    /// What C's `isspace` takes for white space: [`Self::SPACE`] and [`Self::BLANK`].
    pub const WHITE: Self = Self(Self::SPACE.0 | Self::BLANK.0);

    /// The kind of one byte. Use in `const`: `ByteMask::byte(b'%')`.
    #[must_use]
    #[allow(clippy::indexing_slicing, reason = "256 entries, indexed by a byte")]
    pub const fn byte(byte: u8) -> Self {
        let kind = 1 << KIND[byte as usize];
        Self(kind)
    }

    /// The kinds of all bytes of `list`, usable in `const`.
    #[must_use]
    #[allow(clippy::indexing_slicing, reason = "the index is below the length")]
    pub const fn bytes(list: &[u8]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < list.len() {
            bits |= Self::byte(list[index]).0;
            index += 1;
        }
        Self(bits)
    }

    /// The kinds present in `value`; one pass.
    #[must_use]
    pub fn of(value: &[u8]) -> Self {
        let mut bits = 0;
        for byte in value {
            bits |= Self::byte(*byte).0;
        }
        Self(bits)
    }

    /// True if the sets share a kind.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// True if every kind of `other` is in `self`.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both sets hold.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The set with exactly these bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits, for use as a key.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation)]
    use super::*;

    #[test]
    fn every_punctuation_mark_is_a_kind_of_its_own() {
        let mut seen = std::collections::BTreeMap::<u64, u8>::new();
        for byte in 0..=255_u8 {
            if byte.is_ascii_punctuation() {
                assert_eq!(seen.insert(ByteMask::byte(byte).bits(), byte), None);
            }
        }
        assert_eq!(seen.len(), 32);
        assert!(!ByteMask::bytes(b"abc019 \t\0\x01\x80\xa0XYZ").intersects(ByteMask::bytes(b"!%~/@[`{")));
    }

    #[test]
    fn a_mask_is_the_union_of_its_bytes() {
        assert_eq!(ByteMask::of(b"a%B"), ByteMask::LOWER.union(ByteMask::byte(b'%')).union(ByteMask::UPPER));
        assert_eq!(ByteMask::of(b""), ByteMask::NONE);
        assert!(ByteMask::HIGH.contains(ByteMask::of(b"\xa0\xff")));
        assert!(ByteMask::WHITE.contains(ByteMask::of(b" \r\n\x0b")));
    }
}
