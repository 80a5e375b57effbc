//! Which users have a number in our user namespace (user_namespaces(7), `/proc/self/uid_map`). The others all appear as one,
//! so that asking who a peer is says nothing.

/// Ranges of user ids, as `(first, how many)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserMap(Vec<(u32, u32)>);

impl UserMap {
    /// That of this process. Where it cannot be read, everybody is taken to have a number: the stricter answer.
    #[must_use]
    pub fn own() -> Self {
        std::fs::read_to_string("/proc/self/uid_map").map_or(Self(vec![(0, u32::MAX)]), |text| Self::parse(&text))
    }

    /// Lines of three numbers: id inside, id outside, how many.
    fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let mut numbers = line.split_whitespace().map(|number| number.parse::<u32>().ok());
            let (first, _, count) = (numbers.next()??, numbers.next()??, numbers.next()??);
            Some((first, count))
        };
        Self(text.lines().filter_map(line).collect())
    }

    /// Whether this id exists here.
    #[must_use]
    pub fn contains(&self, id: u32) -> bool {
        self.0.iter().any(|(first, count)| id.checked_sub(*first).is_some_and(|distance| distance < *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_namespace_maps_everybody_and_a_unit_maps_two() {
        let all = UserMap::parse("         0          0 4294967295\n");
        assert!(all.contains(0) && all.contains(65_534) && all.contains(997));
        let unit = UserMap::parse("         0          0          1\n       997        997          1\n");
        assert!(unit.contains(0) && unit.contains(997));
        assert!(!unit.contains(996) && !unit.contains(998) && !unit.contains(65_534));
        assert!(!UserMap::parse("garbage\n1 x 2\n").contains(1));
    }
}
