//! `/etc/hosts`, read once and kept. Pure: text in, table out (hosts(5)).

use std::collections::HashMap;
use std::net::IpAddr;

/// What `/etc/hosts` says. Names are lower case and without a final dot.
#[derive(Debug, Default)]
pub struct Hosts {
    by_name: HashMap<String, Vec<IpAddr>>,
}

impl Hosts {
    /// Reads the format of hosts(5). Lines that are not understood (an address with a zone, garbage) are left out: half a file is better than none.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut by_name: HashMap<String, Vec<IpAddr>> = HashMap::new();
        for line in text.trim_start_matches('\u{feff}').lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else { continue };
            for name in words {
                let addresses = by_name.entry(name.trim_end_matches('.').to_ascii_lowercase()).or_default();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        Self { by_name }
    }

    /// The addresses of a name, in the order of the file.
    #[must_use]
    pub fn addresses(&self, name: &str) -> Option<&[IpAddr]> {
        self.by_name.get(name).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_usual_file_is_understood() {
        let hosts = Hosts::parse(
            "\u{feff}127.0.0.1\tlocalhost\n# 1.1.1.1 no\n::1 localhost ip6-localhost # yes\n10.0.0.1 DB.Example. db\n\n10.0.0.1 db\n10.0.0.2   db\nfe80::1%lo0 zone\nnonsense x\n9.9.9.9\n",
        );
        let v4 = |a, b, c, d| IpAddr::from([a, b, c, d]);
        assert_eq!(hosts.addresses("localhost").unwrap(), [v4(127, 0, 0, 1), "::1".parse().unwrap()]);
        assert_eq!(hosts.addresses("db.example").unwrap(), [v4(10, 0, 0, 1)]);
        assert_eq!(hosts.addresses("db").unwrap(), [v4(10, 0, 0, 1), v4(10, 0, 0, 2)]);
        for absent in ["zone", "no", "x", "yes", ""] {
            assert_eq!(hosts.addresses(absent), None);
        }
    }
}
