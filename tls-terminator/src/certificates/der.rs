//! A cursor over DER (X.690 §8, §10): just enough to compare keys and to read OCSP responses. Pure, without allocation; what is
//! not DER is `None`. Lengths above 4 bytes and tags above 30 do not occur in what is read here and are refused.

/// Tags (X.690 §8.1.2, X.680 §8.6) that are met here.
pub mod tag {
    #![allow(missing_docs)] // the names say it
    pub const INTEGER: u8 = 0x02;
    pub const BIT_STRING: u8 = 0x03;
    pub const OCTET_STRING: u8 = 0x04;
    pub const OID: u8 = 0x06;
    pub const ENUMERATED: u8 = 0x0a;
    pub const GENERALIZED_TIME: u8 = 0x18;
    pub const SEQUENCE: u8 = 0x30;
    /// `[n]`, constructed.
    pub const fn explicit(number: u8) -> u8 {
        0xa0 | number
    }
    /// `[n]`, primitive.
    pub const fn implicit(number: u8) -> u8 {
        0x80 | number
    }
}

/// The rest of a run of DER elements.
#[derive(Debug, Clone, Copy)]
pub struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Over these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The next element, whatever it is: its tag and its contents.
    pub fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            short @ 0..=0x7f => (usize::from(short), rest),
            long @ 0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
                let length = bytes.iter().fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
                (usize::try_from(length).ok()?, rest)
            }
            _ => return None,
        };
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, contents))
    }

    /// The next element, which must have this tag.
    pub fn one(&mut self, tag: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let (found, contents) = ahead.any()?;
        if found != tag {
            return None;
        }
        *self = ahead;
        Some(contents)
    }

    /// The elements inside the next one, which must have this tag.
    pub fn inside(&mut self, tag: u8) -> Option<Der<'a>> {
        self.one(tag).map(Der)
    }

    /// An unsigned number without the zeros that DER or a writer puts in front.
    pub fn unsigned(&mut self) -> Option<&'a [u8]> {
        self.one(tag::INTEGER).map(without_zeros)
    }
}

/// Drops zeros in front.
pub fn without_zeros(mut bytes: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn elements_are_read_one_after_the_other() {
        let bytes = [0x30, 6, 2, 1, 0, 2, 1, 9, 4, 0x81, 2, 7, 8];
        let mut der = Der::new(&bytes);
        let mut inside = der.inside(tag::SEQUENCE).unwrap();
        assert_eq!((inside.unsigned(), inside.unsigned(), inside.is_empty()), (Some(&[][..]), Some(&[9][..]), true));
        assert_eq!(der.one(tag::OID), None);
        assert_eq!((der.one(tag::OCTET_STRING), der.is_empty()), (Some(&[7, 8][..]), true));
    }

    #[test]
    fn what_is_cut_or_strange_is_none() {
        let whole = [0x30, 0x82, 0, 3, 2, 1, 5];
        for end in 0..whole.len() {
            assert!(Der::new(&whole[..end]).any().is_none(), "{end}");
        }
        for bytes in [&[0x30, 0x80, 0, 0][..], &[0x1f, 1, 1], &[4, 0x85, 0, 0, 0, 0, 0], &[4, 0x84, 255, 255, 255, 255]]
        {
            assert!(Der::new(bytes).any().is_none(), "{bytes:?}");
        }
    }
}
