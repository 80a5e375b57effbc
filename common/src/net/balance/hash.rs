//! Consistent hashing in the form of weighted rendezvous ("highest random weight", Thaler and Ravishankar 1998): every pair of key and
//! server has a distance, and the nearest server that may be used has the key.
//!
//! A server that goes takes only its own keys along, one that comes takes only those that are nearest to it, and a weight that grows only
//! attracts: nothing else moves, exactly. There is no ring to be kept, and the order of the servers does not matter. It costs one look at
//! every server, which for the at most 1,000 of a pool is microseconds.
//!
//! The values depend on nothing but their input: every instance of http-filter, and every start, sends a key to the same server. They
//! are no secret, and no protection against somebody who chooses keys.

use std::net::IpAddr;

/// Odd constant with well spread bits (2^64 / golden ratio).
pub(super) const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The number of a key (FNV-1a, then mixed).
#[must_use]
pub fn key(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// The number of a client: its IPv4 address, or the network of its IPv6 address (/64), inside which clients change addresses at will.
#[must_use]
pub fn address(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(four) => key(&four.octets()),
        IpAddr::V6(six) => key(six.octets().first_chunk::<8>().map_or(&[], |network| network)),
    }
}

/// Every bit of the input moves half of the bits of the output (the finisher of splitmix64).
#[must_use]
pub(super) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// How far a server is from a key: exponentially distributed with its weight as rate, so the shares follow the weights.
pub(super) fn distance(key: u64, server: u64, weight: u64) -> f64 {
    let bits = mix(key ^ server.rotate_left(32)) >> 11; // 53 bits fit a float exactly
    #[allow(clippy::cast_precision_loss)]
    let (unit, weight) = ((bits + 1) as f64 / (1_u64 << 53) as f64, weight.max(1) as f64);
    -unit.ln() / weight
}
