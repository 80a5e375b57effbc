//! Several pools by weight. What is drawn is a point on a line as long as all weights together; each pool owns its piece of it. With a key
//! the point is a hash of the key, so it stays while the weights stay, and a change of weights moves only those between two pieces.

use std::net::IpAddr;
use std::sync::Arc;

use common::config::{self, SplitBy};
use common_access::fields::cookies;
use http::header::{COOKIE, HeaderMap};

/// Shares, ready to be drawn from.
#[derive(Debug)]
pub struct Split {
    /// Number of a pool, and the first point behind its piece.
    pieces: Box<[(usize, u64)]>,
    total: u64,
    by: SplitBy,
    seed: u64,
}

impl Split {
    /// From the configuration; `number` knows the pools. Routes with different names split independently of one another.
    ///
    /// # Errors
    /// A pool that `number` does not know, or no weight at all.
    pub fn new(
        own: &config::Split,
        route: &str,
        number: impl Fn(&Arc<str>) -> Result<usize, String>,
    ) -> Result<Self, String> {
        let mut total = 0;
        let mut pieces = Vec::new();
        for (pool, weight) in own.shares.iter().filter(|(_, weight)| *weight > 0) {
            total += u64::from(*weight);
            pieces.push((number(pool)?, total));
        }
        if total == 0 {
            return Err("no pool of `split` has a weight".to_owned());
        }
        Ok(Self { pieces: pieces.into(), total, by: own.by.clone(), seed: hash(0, route.as_bytes()) })
    }

    /// The pool for one request. `random` is asked only where no key decides.
    pub fn choose(&self, client: IpAddr, headers: &HeaderMap, random: impl Fn() -> u64) -> usize {
        let key = match &self.by {
            SplitBy::Random => None,
            SplitBy::Client => Some(self.of_client(client)),
            SplitBy::Header(name) => {
                let value = headers.get(&**name).map(|value| hash(self.seed, value.as_bytes()));
                Some(value.unwrap_or_else(|| self.of_client(client)))
            }
            SplitBy::Cookie(name) => {
                let mut all = headers.get_all(COOKIE).iter().flat_map(|line| cookies(line.as_bytes()));
                let value = all.find(|(own, _)| *own == name.as_bytes()).map(|(_, value)| hash(self.seed, value));
                Some(value.unwrap_or_else(|| self.of_client(client)))
            }
        };
        let point = key.unwrap_or_else(random) % self.total;
        let piece = self.pieces.iter().find(|(_, end)| point < *end).or(self.pieces.last());
        piece.map_or(0, |(pool, _)| *pool)
    }

    /// All weights together.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Pools and their weights.
    pub fn shares(&self) -> impl Iterator<Item = (usize, u64)> {
        let mut begin = 0;
        self.pieces.iter().map(move |(pool, end)| (*pool, end - std::mem::replace(&mut begin, *end)))
    }

    fn of_client(&self, client: IpAddr) -> u64 {
        match client.to_canonical() {
            IpAddr::V4(four) => hash(self.seed, &four.octets()),
            IpAddr::V6(six) => hash(self.seed, &six.octets()),
        }
    }
}

/// FNV-1a with a finisher that spreads short keys over all bits. Not against attackers: who chooses a key chooses a pool, and may.
fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let folded = bytes
        .iter()
        .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    finish(folded)
}

/// The finisher of SplitMix64.
pub fn finish(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
