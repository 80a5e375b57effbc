//! `@ipMatch`: is an address in one of these networks?

use std::net::IpAddr;

use crate::error::Mistake;

/// Addresses and networks.
#[derive(Debug, Default)]
pub(crate) struct Networks {
    /// The address as 128 bits (IPv4 as `::ffff:a.b.c.d`) and the bits of it that count.
    list: Vec<(u128, u32)>,
}

impl Networks {
    /// Reads a list separated by commas or white space.
    pub(crate) fn parse(text: &str) -> Result<Self, Mistake> {
        let mut networks = Self::default();
        for word in text.split([',', ' ', '\t', '\n', '\r']).filter(|word| !word.is_empty()) {
            networks.add(word)?;
        }
        Ok(networks)
    }

    /// Reads a file: one a line, `#` begins a comment.
    pub(crate) fn from_file(text: &str) -> Result<Self, Mistake> {
        let mut networks = Self::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                networks.add(line)?;
            }
        }
        Ok(networks)
    }

    fn add(&mut self, word: &str) -> Result<(), Mistake> {
        let wrong = || {
            Mistake::new(word, "not an address or network").allowed("such as 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32")
        };
        let (address, bits) = word.split_once('/').map_or((word, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(width), str::parse::<u32>).map_err(|_| wrong())?;
        if bits > width {
            return Err(wrong());
        }
        self.list.push((wide(address), bits + 128 - width));
        Ok(())
    }

    /// True if the text is an address in one of the networks.
    pub(crate) fn contain(&self, text: &[u8]) -> bool {
        let Some(address) = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse::<IpAddr>().ok()) else {
            return false;
        };
        let address = wide(address);
        self.list
            .iter()
            .any(|(network, bits)| bits.checked_sub(1).is_none_or(|last| (network ^ address) >> (127 - last) == 0))
    }
}

fn wide(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn networks_of_both_families() {
        let networks = Networks::parse("127.0.0.1,192.0.2.0/24, ::1,2001:db8::/32").unwrap();
        for inside in ["127.0.0.1", "192.0.2.255", "::1", "2001:db8:ffff::", "::ffff:192.0.2.7"] {
            assert!(networks.contain(inside.as_bytes()), "{inside}");
        }
        for outside in ["127.0.0.2", "192.0.3.0", "::2", "2001:db9::", "x", ""] {
            assert!(!networks.contain(outside.as_bytes()), "{outside}");
        }
        assert!(Networks::parse("0.0.0.0/0").unwrap().contain(b"1.2.3.4"));
        assert!(Networks::parse("192.0.2.0/33").is_err() && Networks::parse("x").is_err());
    }
}
