//! Which network lies in which country: a file of lines `network,country`, of up to some 500,000 of them, kept as sorted ranges
//! that do not overlap. Finding an address is one binary search.

use std::collections::HashSet;
use std::net::IpAddr;

use common::config::Country;
use ipnet::IpNet;

/// Most lines that are read.
pub const MAX_LINES: usize = 2_000_000;

/// Ranges of both families with their countries.
#[derive(Debug, Clone, Default)]
pub struct Countries {
    v4: Vec<(u32, u32, Country)>,
    v6: Vec<(u128, u128, Country)>,
    codes: HashSet<Country>,
}

impl Countries {
    /// Reads the file. Empty lines and lines that begin with `#` are skipped, and so is a first line that is a heading.
    ///
    /// # Errors
    /// What is wrong with which line, or that there is no network at all.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text =
            std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8 text after byte {}", error.valid_up_to()))?;
        let (mut v4, mut v6, mut codes) = (Vec::new(), Vec::new(), HashSet::new());
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            let heading = number == 0 && line.to_ascii_lowercase().starts_with("network");
            if line.is_empty() || line.starts_with('#') || heading {
                continue;
            }
            if number >= MAX_LINES {
                return Err(format!("more than {MAX_LINES} lines"));
            }
            let (network, country) = line_of(line).map_err(|why| format!("line {}: {why}", number + 1))?;
            codes.insert(country);
            match (network.network(), network.broadcast()) {
                (IpAddr::V4(from), IpAddr::V4(to)) => v4.push((from.to_bits(), to.to_bits(), country)),
                (IpAddr::V6(from), IpAddr::V6(to)) => v6.push((from.to_bits(), to.to_bits(), country)),
                _ => {}
            }
        }
        if codes.is_empty() {
            return Err(
                "there is no network in it; lines `network,country` were expected, `192.0.2.0/24,DE`".to_owned()
            );
        }
        Ok(Self { v4: flatten(v4), v6: flatten(v6), codes })
    }

    /// The country of an address.
    #[must_use]
    pub fn of(&self, address: IpAddr) -> Option<Country> {
        match address.to_canonical() {
            IpAddr::V4(a) => find(&self.v4, a.to_bits()),
            IpAddr::V6(a) => find(&self.v6, a.to_bits()),
        }
    }

    /// Whether some network lies in this country.
    #[must_use]
    pub fn has(&self, country: Country) -> bool {
        self.codes.contains(&country)
    }
}

fn line_of(line: &str) -> Result<(IpNet, Country), String> {
    let mut fields = line.split(',').map(|field| field.trim().trim_matches('"'));
    let (network, country) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
    let parsed = network.parse::<IpNet>().or_else(|_| network.parse::<IpAddr>().map(IpNet::from));
    let parsed = parsed.map_err(|_| format!("`{network}` is not a network"))?;
    Ok((parsed.trunc(), Country::parse(country)?))
}

/// Whole numbers as addresses are.
trait Number: Ord + Copy {
    fn next(self) -> Option<Self>;
    fn previous(self) -> Option<Self>;
}

impl Number for u32 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
    fn previous(self) -> Option<Self> {
        self.checked_sub(1)
    }
}

impl Number for u128 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
    fn previous(self) -> Option<Self> {
        self.checked_sub(1)
    }
}

/// Cuts ranges that lie within one another (networks never overlap otherwise) so that the smaller one decides where both hold.
/// Of two equal ones the later line decides.
fn flatten<T: Number>(mut ranges: Vec<(T, T, Country)>) -> Vec<(T, T, Country)> {
    ranges.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    let mut flat: Vec<(T, T, Country)> = Vec::with_capacity(ranges.len());
    // Ranges that are open, each within the one before; `at`: up to where the innermost is written already.
    let mut open: Vec<(T, Country)> = Vec::new();
    let mut at: Option<T> = None;
    for (from, to, country) in ranges {
        close(&mut open, &mut at, Some(from), &mut flat);
        if let (Some((_, outer)), Some(start), Some(end)) = (open.last(), at, from.previous())
            && start <= end
        {
            flat.push((start, end, *outer));
        }
        at = Some(from);
        open.push((to, country));
    }
    close(&mut open, &mut at, None, &mut flat);
    flat.dedup_by(|later, earlier| {
        let joins = earlier.2 == later.2 && earlier.1.next() == Some(later.0);
        if joins {
            earlier.1 = later.1;
        }
        joins
    });
    flat.shrink_to_fit();
    flat
}

/// Ends every open range that ends before `from`; `None`: all of them.
fn close<T: Number>(
    open: &mut Vec<(T, Country)>,
    at: &mut Option<T>,
    from: Option<T>,
    flat: &mut Vec<(T, T, Country)>,
) {
    while let Some((end, country)) = open.last().copied() {
        if from.is_some_and(|from| end >= from) {
            return;
        }
        open.pop();
        if let Some(start) = *at
            && start <= end
        {
            flat.push((start, end, country));
            *at = end.next();
        }
    }
}

fn find<T: Number>(ranges: &[(T, T, Country)], address: T) -> Option<Country> {
    let after = ranges.partition_point(|(from, _, _)| *from <= address);
    let (_, to, country) = after.checked_sub(1).and_then(|at| ranges.get(at))?;
    (address <= *to).then_some(*country)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn of(countries: &Countries, address: &str) -> String {
        countries.of(address.parse().unwrap()).map_or_else(String::new, |country| country.as_str().to_owned())
    }

    #[test]
    fn the_smaller_network_decides() {
        let file = b"network,country_iso_code\n# test\n10.0.0.0/8,DE\n10.1.0.0/16,fr\n10.1.2.0/24,AT\n\n2001:db8::/32,NL,x\n192.0.2.1,\"CH\"\n";
        let countries = Countries::parse(file).unwrap();
        for (address, country) in [
            ("10.0.0.0", "DE"),
            ("10.0.255.255", "DE"),
            ("10.1.0.0", "FR"),
            ("10.1.2.7", "AT"),
            ("10.1.3.0", "FR"),
            ("10.2.0.0", "DE"),
            ("10.255.255.255", "DE"),
            ("11.0.0.0", ""),
            ("::ffff:10.1.2.7", "AT"),
            ("2001:db8::1", "NL"),
            ("2001:db9::1", ""),
            ("192.0.2.1", "CH"),
            ("192.0.2.2", ""),
        ] {
            assert_eq!(of(&countries, address), country, "{address}");
        }
        assert!(countries.has(Country(*b"FR")) && !countries.has(Country(*b"US")));
    }

    #[test]
    fn a_line_that_says_nothing_is_named() {
        for (file, words) in [
            ("", "no network"),
            ("10.0.0.0/8,DE\n10.0.0.0/40,DE", "line 2: `10.0.0.0/40` is not a network"),
            ("10.0.0.0/8", "line 1: `` is not a country"),
            ("10.0.0.0/8,Germany", "`Germany` is not a country"),
        ] {
            let error = Countries::parse(file.as_bytes()).unwrap_err();
            assert!(error.contains(words), "{file}: {error}");
        }
        assert!(Countries::parse(&[b'#', 0xff]).is_err());
    }

    #[test]
    fn half_a_million_lines() {
        let mut file = String::new();
        for number in 0..500_000_u32 {
            let network = std::net::Ipv4Addr::from_bits(number << 8);
            file.push_str(&format!("{network}/24,{}\n", if number % 2 == 0 { "DE" } else { "FR" }));
        }
        let countries = Countries::parse(file.as_bytes()).unwrap();
        for number in [0_u32, 1, 77_777, 499_999] {
            let address = std::net::Ipv4Addr::from_bits((number << 8) + 255).to_string();
            assert_eq!(of(&countries, &address), if number % 2 == 0 { "DE" } else { "FR" }, "{address}");
        }
        assert_eq!(of(&countries, &std::net::Ipv4Addr::from_bits(500_000 << 8).to_string()), "");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn the_table_says_what_a_walk_through_the_file_says(
            lines in proptest::collection::vec((any::<u16>(), 16_u8..=32, 0_u8..4), 1..60),
            asked in proptest::collection::vec(any::<u16>(), 1..60),
        ) {
            let networks: Vec<(IpNet, Country)> = lines
                .iter()
                .map(|(low, length, country)| {
                    let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 | u32::from(*low));
                    (ipnet::Ipv4Net::new(address, *length).unwrap().trunc().into(), Country([b'A', b'A' + country]))
                })
                .collect();
            let file: String = networks.iter().map(|(n, c)| format!("{n},{}\n", c.as_str())).collect();
            let countries = Countries::parse(file.as_bytes()).unwrap();
            for low in asked {
                let address = IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 | u32::from(low)));
                let naive = networks.iter().filter(|(n, _)| n.contains(&address)).max_by_key(|(n, _)| n.prefix_len());
                prop_assert_eq!(countries.of(address), naive.map(|(_, country)| *country), "{}", address);
            }
        }
    }
}
