//! A name that is safe to compare, to log and to hand to a resolver.
//!
//! RFC 1123 §2.1 and RFC 1035 §2.3.4 with what the Internet really uses: underscores, and hyphens wherever they
//! stand, are accepted; everything that could end a log line, a path or a C string is not. Kept in one form (lower
//! case, no final dot), so that equal names are equal bytes. It must never be built without the check, not even from
//! a message of another process.

use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::fmt;
use std::net::Ipv6Addr;

/// Bytes of a name at most, without the final dot.
pub const MAX_HOST_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// A hostname: lower case, no final dot, 1 to [`MAX_HOST_NAME`] bytes of letters, digits, `-`, `_` and single dots.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(Box<str>);

/// Why bytes are no hostname.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHostName {
    /// Nothing, or only a dot.
    #[error("it is empty")]
    Empty,
    /// RFC 1035 §2.3.4.
    #[error("it is longer than {MAX_HOST_NAME} bytes")]
    TooLong,
    /// A leading dot, or two dots in a row.
    #[error("it has an empty label (a dot at the start, or two in a row)")]
    EmptyLabel,
    /// RFC 1035 §2.3.4.
    #[error("it has a label longer than {MAX_LABEL} bytes")]
    LabelTooLong,
    /// Anything but letters, digits, `-`, `_` and dots.
    #[error("it holds byte {0:#04x} (allowed: letters, digits, '-', '_', '.'; write other scripts as xn--…)")]
    Byte(u8),
    /// An IPv4 or IPv6 address, or what some resolvers take for one (last label a number, as in `127.1`).
    #[error("it is an IP address")]
    Address,
}

impl HostName {
    /// Checks and normalises: lower case, one final dot dropped.
    ///
    /// # Errors
    /// [`BadHostName`] says which rule is broken.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadHostName> {
        let name = bytes.strip_suffix(b".").unwrap_or(bytes);
        if name.is_empty() {
            return Err(if bytes.is_empty() { BadHostName::Empty } else { BadHostName::EmptyLabel });
        }
        if name.len() > MAX_HOST_NAME {
            return Err(BadHostName::TooLong);
        }
        if is_ipv6(bytes) {
            return Err(BadHostName::Address);
        }
        let text = name.iter().map(|byte| allowed(*byte)).collect::<Result<String, _>>()?;
        let mut last = "";
        for label in text.split('.') {
            match label.len() {
                0 => return Err(BadHostName::EmptyLabel),
                1..=MAX_LABEL => last = label,
                _ => return Err(BadHostName::LabelTooLong),
            }
        }
        if is_number(last) {
            return Err(BadHostName::Address);
        }
        Ok(Self(text.into_boxed_str()))
    }

    /// The name in its one form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names above this one, nearest first: `b.c` and `c` for `a.b.c`.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(self.0.split_once('.'), |(_, rest)| rest.split_once('.')).map(|(_, rest)| rest)
    }
}

fn allowed(byte: u8) -> Result<char, BadHostName> {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => Ok(char::from(byte.to_ascii_lowercase())),
        other => Err(BadHostName::Byte(other)),
    }
}

/// With or without the brackets of a URL. (The longest form has 45 characters.)
fn is_ipv6(bytes: &[u8]) -> bool {
    let bare = bytes.strip_prefix(b"[").and_then(|inner| inner.strip_suffix(b"]")).unwrap_or(bytes);
    bare.contains(&b':') && std::str::from_utf8(bare).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// IPv4 in every spelling. No top-level domain is a number, but `inet_aton` reads `127.1` and `0x7f.1` as addresses.
fn is_number(label: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let hexadecimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits(label) || label.strip_prefix("0x").is_some_and(hexadecimal)
}

impl TryFrom<String> for HostName {
    type Error = BadHostName;

    fn try_from(text: String) -> Result<Self, BadHostName> {
        Self::parse(text.as_bytes())
    }
}

impl std::str::FromStr for HostName {
    type Err = BadHostName;

    fn from_str(text: &str) -> Result<Self, BadHostName> {
        Self::parse(text.as_bytes())
    }
}

impl From<HostName> for String {
    fn from(name: HostName) -> Self {
        name.0.into_string()
    }
}

/// Equal names are equal text and hash alike, so maps of names can be asked with text.
impl Borrow<str> for HostName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for HostName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn good_names_in_one_form() {
        let longest = format!("{}.{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61));
        for (given, kept) in [
            ("shop.test", "shop.test"),
            ("ShOp.TEST.", "shop.test"),
            ("localhost", "localhost"),
            ("_acme-challenge.shop.test", "_acme-challenge.shop.test"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("r3---sn-a.example", "r3---sn-a.example"),
            ("1.example", "1.example"),
            ("10.0.0.1.example", "10.0.0.1.example"),
            ("0xyz", "0xyz"),
            (longest.as_str(), longest.as_str()),
        ] {
            assert_eq!(HostName::parse(given.as_bytes()).map(String::from), Ok(kept.to_owned()), "{given}");
        }
    }

    #[test]
    fn bad_names_say_why() {
        use BadHostName::*;
        let long = [b'a'; 64];
        let too_long = "a.".repeat(127) + "a";
        let cases: [(&[u8], BadHostName); 22] = [
            (b"", Empty),
            (b".", EmptyLabel),
            (b".shop.test", EmptyLabel),
            (b"shop..test", EmptyLabel),
            (b"shop.test..", EmptyLabel),
            (b"shop\0.test", Byte(0)),
            (b"shop.test\r\n", Byte(b'\r')),
            (b"shop.test\n", Byte(b'\n')),
            (b"../etc/passwd", Byte(b'/')),
            (b"shop.test/x", Byte(b'/')),
            (b"*.shop.test", Byte(b'*')),
            (b"shop.test:443", Byte(b':')),
            (b"shop test", Byte(b' ')),
            ("bücher.example".as_bytes(), Byte(0xc3)),
            (&long, LabelTooLong),
            (too_long.as_bytes(), TooLong),
            (b"127.0.0.1", Address),
            (b"127.0.0.1.", Address),
            (b"127.1", Address),
            (b"0x7f.0x1", Address),
            (b"::1", Address),
            (b"[2001:db8::1]", Address),
        ];
        for (given, why) in cases {
            assert_eq!(HostName::parse(given), Err(why), "{}", String::from_utf8_lossy(given));
        }
    }

    #[test]
    fn ancestors_nearest_first() {
        let name: HostName = "a.b.c".parse().unwrap();
        assert_eq!(name.ancestors().collect::<Vec<_>>(), ["b.c", "c"]);
        assert_eq!("a".parse::<HostName>().unwrap().ancestors().count(), 0);
    }

    #[test]
    fn a_message_cannot_smuggle_a_bad_name() {
        let config = bincode::config::standard().with_limit::<1024>();
        let good: HostName = "Shop.test".parse().unwrap();
        let bytes = bincode::serde::encode_to_vec(&good, config).unwrap();
        let (back, _): (HostName, usize) = bincode::serde::decode_from_slice(&bytes, config).unwrap();
        assert_eq!(back, good);
        let evil = bincode::serde::encode_to_vec("shop.test\n", config).unwrap();
        assert!(bincode::serde::decode_from_slice::<HostName, _>(&evil, config).is_err());
    }
}
