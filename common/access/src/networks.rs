//! A set of IP networks as sorted, merged ranges: a country file of a hundred thousand networks costs seventeen comparisons.

use std::net::IpAddr;

use ipnet::IpNet;

/// Networks of both families. IPv4 in IPv6 clothes (`::ffff:0:0/96`) counts as IPv4.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Networks {
    /// No network at all: asks nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether `address` lies in one of the networks.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(a) => find(&self.v4, a.to_bits()),
            IpAddr::V6(a) => find(&self.v6, a.to_bits()),
        }
    }
}

impl FromIterator<IpNet> for Networks {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        let mut set = Networks::default();
        for network in networks {
            match (network.network().to_canonical(), network.broadcast().to_canonical()) {
                (IpAddr::V4(from), IpAddr::V4(to)) => set.v4.push((from.to_bits(), to.to_bits())),
                (IpAddr::V6(from), IpAddr::V6(to)) => set.v6.push((from.to_bits(), to.to_bits())),
                // An IPv6 network wider than the mapped range but reaching into it (::/0 and its like).
                _ => {
                    if let IpNet::V6(wide) = network {
                        set.v6.push((wide.network().to_bits(), wide.broadcast().to_bits()));
                    }
                }
            }
        }
        set.v4 = merge(set.v4);
        set.v6 = merge(set.v6);
        set
    }
}

fn merge<T: Ord + Copy>(mut ranges: Vec<(T, T)>) -> Vec<(T, T)> {
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (from, to) in ranges {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

fn find<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    let after = ranges.partition_point(|(from, _)| *from <= address);
    after.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|(_, to)| address <= *to)
}
