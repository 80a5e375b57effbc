//! JA4: a fingerprint of the client's TLS stack, for logs, access lists and bot rules.
//!
//! Follows FoxIO's description of JA4 for TLS over TCP: `t13d1516h2_8daaf6152771_e5627efa2ab1` is transport, version,
//! named or not, number of cipher suites, number of extensions, first ALPN protocol; a hash of the sorted suites; a
//! hash of the sorted extensions (without server_name and ALPN) with the signature algorithms as sent. GREASE counts
//! nowhere. It identifies software, not people, and any client can imitate another: never grant anything by it.

use super::ProtocolVersion;
use super::parse::extension;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

const LENGTH: usize = 36;
const HASH: usize = 12;
/// Where a part ends and the next begins.
const SEPARATORS: [usize; 2] = [10, 23];

/// A JA4 fingerprint: 36 ASCII characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ja4([u8; LENGTH]);

/// Text that has not the form of a JA4 fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a JA4 fingerprint has the form t13d1516h2_8daaf6152771_e5627efa2ab1: 10, 12 and 12 letters or digits")]
pub struct BadJa4;

/// What a fingerprint is made of; nothing in it is GREASE. The lists are sorted in place.
pub(super) struct Offer<'a> {
    pub(super) version: ProtocolVersion,
    pub(super) names_server: bool,
    pub(super) cipher_suites: &'a mut [u16],
    pub(super) extensions: &'a mut [u16],
    pub(super) first_protocol: Option<&'a [u8]>,
    pub(super) signature_algorithms: &'a [u16],
}

impl Ja4 {
    pub(super) fn compute(offer: Offer<'_>) -> Self {
        offer.cipher_suites.sort_unstable();
        offer.extensions.sort_unstable();
        let mut text = Text::default();
        text.push(b"t");
        text.push(&offer.version.ja4());
        text.push(if offer.names_server { b"d" } else { b"i" });
        text.push(&two_digits(offer.cipher_suites.len()));
        text.push(&two_digits(offer.extensions.len()));
        text.push(&ends_of(offer.first_protocol.unwrap_or_default()));
        text.push(b"_");
        text.push(&hash_of_suites(offer.cipher_suites));
        text.push(b"_");
        text.push(&hash_of_extensions(offer.extensions, offer.signature_algorithms));
        Self(text.bytes)
    }

    /// The fingerprint as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default() // always ASCII
    }
}

/// Where the fingerprint grows.
struct Text {
    bytes: [u8; LENGTH],
    filled: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [b'0'; LENGTH], filled: 0 }
    }
}

impl Text {
    fn push(&mut self, more: &[u8]) {
        for (slot, byte) in self.bytes.iter_mut().skip(self.filled).zip(more) {
            *slot = *byte;
        }
        self.filled += more.len();
    }
}

fn two_digits(count: usize) -> [u8; 2] {
    let count = u8::try_from(count.min(99)).unwrap_or(99);
    [b'0' + count / 10, b'0' + count % 10]
}

/// First and last character of the first ALPN protocol; of its hexadecimal form if one of them is no letter or digit.
fn ends_of(protocol: &[u8]) -> [u8; 2] {
    match (protocol.first(), protocol.last()) {
        (Some(first), Some(last)) if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() => [*first, *last],
        (Some(first), Some(last)) => [hex_digit(*first >> 4), hex_digit(*last)],
        _ => *b"00",
    }
}

fn hash_of_suites(sorted: &[u16]) -> [u8; HASH] {
    let mut listed = Vec::with_capacity(sorted.len() * 5);
    list(&mut listed, sorted.iter().copied());
    short_hash(&listed)
}

fn hash_of_extensions(sorted: &[u16], algorithms: &[u16]) -> [u8; HASH] {
    let mut listed = Vec::with_capacity((sorted.len() + algorithms.len()) * 5);
    let counted = |kind: &u16| !matches!(*kind, extension::SERVER_NAME | extension::ALPN);
    list(&mut listed, sorted.iter().copied().filter(counted));
    if !algorithms.is_empty() {
        listed.push(b'_');
        list(&mut listed, algorithms.iter().copied());
    }
    short_hash(&listed)
}

/// Four hexadecimal digits each, comma between.
fn list(out: &mut Vec<u8>, values: impl Iterator<Item = u16>) {
    for (position, value) in values.enumerate() {
        if position > 0 {
            out.push(b',');
        }
        out.extend(value.to_be_bytes().iter().flat_map(|byte| [hex_digit(byte >> 4), hex_digit(*byte)]));
    }
}

/// The first 12 hexadecimal digits of SHA-256; zeroes for nothing at all, so that a reader sees the difference.
fn short_hash(listed: &[u8]) -> [u8; HASH] {
    let mut out = [b'0'; HASH];
    if !listed.is_empty() {
        let digest = Sha256::digest(listed);
        for (pair, byte) in out.as_chunks_mut::<2>().0.iter_mut().zip(digest) {
            *pair = [hex_digit(byte >> 4), hex_digit(byte)];
        }
    }
    out
}

/// The low four bits.
fn hex_digit(value: u8) -> u8 {
    match value & 0x0f {
        digit @ 0..=9 => b'0' + digit,
        letter => b'a' + letter - 10,
    }
}

impl TryFrom<String> for Ja4 {
    type Error = BadJa4;

    fn try_from(text: String) -> Result<Self, BadJa4> {
        text.parse()
    }
}

impl std::str::FromStr for Ja4 {
    type Err = BadJa4;

    fn from_str(text: &str) -> Result<Self, BadJa4> {
        let bytes = <[u8; LENGTH]>::try_from(text.as_bytes()).map_err(|_| BadJa4)?;
        let fits = |(at, byte): (usize, &u8)| match SEPARATORS.contains(&at) {
            true => *byte == b'_',
            false => byte.is_ascii_alphanumeric(),
        };
        if bytes.iter().enumerate().all(fits) { Ok(Self(bytes)) } else { Err(BadJa4) }
    }
}

impl From<Ja4> for String {
    fn from(ja4: Ja4) -> Self {
        ja4.as_str().to_owned()
    }
}

impl fmt::Display for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ja4({self})")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

    use super::*;

    // The example of the JA4 description, in the order a browser sent it.
    const SUITES: [u16; 15] = [
        0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f,
        0x0035,
    ];
    const EXTENSIONS: [u16; 16] = [
        0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b, 0xff01, 0x000b,
        0x000a, 0x0015,
    ];
    const ALGORITHMS: [u16; 8] = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];

    fn published(algorithms: &[u16]) -> Ja4 {
        Ja4::compute(Offer {
            version: ProtocolVersion::TLS1_3,
            names_server: true,
            cipher_suites: &mut SUITES.clone(),
            extensions: &mut EXTENSIONS.clone(),
            first_protocol: Some(b"h2"),
            signature_algorithms: algorithms,
        })
    }

    #[test]
    fn the_published_example() {
        assert_eq!(published(&ALGORITHMS).as_str(), "t13d1516h2_8daaf6152771_e5627efa2ab1");
    }

    #[test]
    fn the_published_example_without_signature_algorithms() {
        assert_eq!(published(&[]).as_str(), "t13d1516h2_8daaf6152771_6d807ffa2a79");
    }

    #[test]
    fn nothing_at_all() {
        let ja4 = Ja4::compute(Offer {
            version: ProtocolVersion(0x7f1c),
            names_server: false,
            cipher_suites: &mut [],
            extensions: &mut [],
            first_protocol: None,
            signature_algorithms: &[],
        });
        assert_eq!(ja4.as_str(), "t00i000000_000000000000_000000000000");
    }

    #[test]
    fn counts_stop_at_99() {
        let mut many: Vec<u16> = (0x4000..0x4000 + 150).collect();
        let ja4 = Ja4::compute(Offer {
            version: ProtocolVersion(0x0300),
            names_server: false,
            cipher_suites: &mut many.clone(),
            extensions: &mut many,
            first_protocol: Some(b"h"),
            signature_algorithms: &[],
        });
        assert!(ja4.as_str().starts_with("ts3i9999hh_"), "{ja4}");
    }

    #[test]
    fn published_forms_of_the_protocol() {
        let cases: [(&[u8], &[u8; 2]); 8] = [
            (b"", b"00"),
            (b"h2", b"h2"),
            (b"http/1.1", b"h1"),
            (&[0xab], b"ab"),
            (&[0xab, 0xcd], b"ad"),
            (&[0x30, 0xab], b"3b"),
            (&[0x30, 0x31, 0xab, 0xcd], b"3d"),
            (&[0x30, 0xab, 0xcd, 0x31], b"01"),
        ];
        for (protocol, expected) in cases {
            assert_eq!(&ends_of(protocol), expected, "{protocol:x?}");
        }
    }

    #[test]
    fn text_and_back_and_nothing_else() {
        let ja4 = published(&ALGORITHMS);
        assert_eq!(ja4.as_str().parse(), Ok(ja4));
        let json = serde_json::to_string(&ja4).unwrap();
        assert_eq!(serde_json::from_str::<Ja4>(&json).unwrap(), ja4);
        for bad in ["", "t13d1516h2_8daaf6152771_e5627efa2ab", "t13d1516h2-8daaf6152771-e5627efa2ab1"] {
            assert_eq!(bad.parse::<Ja4>(), Err(BadJa4));
        }
        assert!(serde_json::from_str::<Ja4>("\"t13d1516h2_8daaf6152771_e5627efa2ab\\n\"").is_err());
    }
}
