//! Keys as numbers: 128 bits of a keyed hash over whatever the configuration names, with parts kept apart.
//!
//! Nobody outside knows the hash's key, so nobody can make two keys collide or aim at somebody else's slot.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};

/// Makes keys; one per limit and process. A clone makes the same.
#[derive(Debug, Default, Clone)]
pub struct Keying(RandomState, RandomState);

/// A key; never (0, 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(pub(super) u64, pub(super) u64);

/// A key in the making.
#[derive(Debug)]
pub struct KeyBuilder<H>(H, H);

impl Keying {
    /// Begins a key.
    #[must_use]
    pub fn begin(&self) -> KeyBuilder<impl Hasher + use<>> {
        KeyBuilder(self.0.build_hasher(), self.1.build_hasher())
    }
}

impl<H: Hasher> KeyBuilder<H> {
    /// Adds a part; its length goes in too, so that `ab` + `c` is not `a` + `bc`.
    pub fn add(&mut self, part: &[u8]) {
        for hasher in [&mut self.0, &mut self.1] {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
    }

    /// Adds the network of a client: so many leading bits of an IPv4 or IPv6 address.
    pub fn add_network(&mut self, address: IpAddr, v4: u8, v6: u8) {
        self.add(&network(address, v4, v6).octets());
    }

    /// The key.
    #[must_use]
    pub fn finish(self) -> Key {
        Key(self.0.finish(), self.1.finish().max(1))
    }
}

/// The first address of the network of so many bits; IPv4 as IPv4-mapped. More bits than there are count as all.
#[must_use]
pub fn network(address: IpAddr, v4: u8, v6: u8) -> Ipv6Addr {
    let (bits, kept) = match address.to_canonical() {
        IpAddr::V4(four) => (four.to_ipv6_mapped().to_bits(), u32::from(v4.min(32)).saturating_add(96)),
        IpAddr::V6(six) => (six.to_bits(), u32::from(v6.min(128))),
    };
    let mask = u128::MAX.checked_shl(128u32.saturating_sub(kept)).unwrap_or(0);
    Ipv6Addr::from_bits(bits & mask)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_are_cut_where_asked() {
        for (address, v4, v6, expected) in [
            ("192.0.2.77", 32, 64, "::ffff:192.0.2.77"),
            ("192.0.2.77", 24, 64, "::ffff:192.0.2.0"),
            ("::ffff:192.0.2.77", 24, 64, "::ffff:192.0.2.0"),
            ("192.0.2.77", 0, 64, "::ffff:0.0.0.0"),
            ("2001:db8:1:2:3:4:5:6", 32, 64, "2001:db8:1:2::"),
            ("2001:db8:1:2:3:4:5:6", 32, 48, "2001:db8:1::"),
            ("2001:db8:1:2:3:4:5:6", 32, 128, "2001:db8:1:2:3:4:5:6"),
            ("2001:db8:1:2:3:4:5:6", 32, 0, "::"),
        ] {
            assert_eq!(network(ip(address), v4, v6), ip(expected).to_canonical_v6(), "{address}/{v4}/{v6}");
        }
    }

    trait V6 {
        fn to_canonical_v6(self) -> Ipv6Addr;
    }

    impl V6 for IpAddr {
        fn to_canonical_v6(self) -> Ipv6Addr {
            match self {
                IpAddr::V4(four) => four.to_ipv6_mapped(),
                IpAddr::V6(six) => six,
            }
        }
    }

    #[test]
    fn parts_are_kept_apart() {
        let keying = Keying::default();
        let key = |parts: &[&[u8]]| {
            let mut key = keying.begin();
            parts.iter().for_each(|part| key.add(part));
            key.finish()
        };
        assert_eq!(key(&[b"ab", b"c"]), key(&[b"ab", b"c"]));
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
        assert_ne!(key(&[b"", b"a"]), key(&[b"a", b""]));
    }
}
