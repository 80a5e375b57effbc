//! The protocols that a hello offers (ALPN, RFC 7301 §3.1): checked once, kept as the bytes they came in, so that a client that offers
//! thousands costs no more than its hello is long.

use super::is_grease;

/// What a client offers, in its order, without GREASE (RFC 8701).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protocols {
    /// Names, each behind a byte that holds its length, which is not 0.
    bytes: Box<[u8]>,
}

impl Protocols {
    /// Takes the list without its length. `None`: a name is empty or cut off, or there is none at all.
    pub(super) fn read(list: &[u8]) -> Option<Self> {
        let mut rest = list;
        while let Some((name, behind)) = split(rest) {
            if name.is_empty() {
                return None;
            }
            rest = behind;
        }
        (rest.is_empty() && !list.is_empty()).then(|| Self { bytes: list.into() })
    }

    /// Each name.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.as_ref();
        let names = std::iter::from_fn(move || {
            let (name, behind) = split(rest)?;
            rest = behind;
            Some(name)
        });
        names.filter(|name| !<[u8; 2]>::try_from(*name).is_ok_and(|pair| is_grease(u16::from_be_bytes(pair))))
    }

    /// The one that the client likes best.
    pub fn first(&self) -> Option<&[u8]> {
        self.iter().next()
    }

    /// Whether this one is among them.
    pub fn contains(&self, protocol: &[u8]) -> bool {
        self.iter().any(|name| name == protocol)
    }
}

/// The first name, and what is behind it; `None` at the end, and where a name is cut off.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_read_in_order_and_grease_is_none() {
        let list = Protocols::read(b"\x02\x5a\x5a\x02h2\x08http/1.1").unwrap();
        assert_eq!(list.iter().collect::<Vec<_>>(), [b"h2".as_slice(), b"http/1.1"]);
        assert_eq!(
            (list.first(), list.contains(b"http/1.1"), list.contains(b"Z")),
            (Some(b"h2".as_slice()), true, false)
        );
        assert_eq!(Protocols::default().first(), None);
    }

    #[test]
    fn what_is_empty_or_cut_off_is_no_list() {
        for list in [b"".as_slice(), b"\0", b"\x02h2\0", b"\x02h2\x09http/1.1", b"\x02h"] {
            assert_eq!(Protocols::read(list), None, "{list:?}");
        }
    }

    #[test]
    fn thousands_are_no_more_than_their_bytes() {
        let many: Vec<u8> =
            (0..8000_u16).flat_map(|number| [vec![4, 0, 0], number.to_be_bytes().to_vec()].concat()).collect();
        let list = Protocols::read(&many).unwrap();
        assert_eq!(list.iter().count(), 8000);
        assert!(list.contains(&[0, 0, 0x1f, 0x3f]));
    }
}
