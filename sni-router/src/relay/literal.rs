//! Is this text an address or a name? Pure, and strict on purpose.
//!
//! Resolvers and URL libraries disagree about `0x7f.1`, `017700000001`, `2130706433` and `127.1`: some see a name, some see 127.0.0.1. A destination that
//! two programs read differently is a hole, so everything that *looks* like an address but is not written plainly is refused and never given to
//! the resolver. The test for "looks like" is the WHATWG one: a host whose last label is a number is an address (URL standard, "ends in a number").
//! Names follow RFC 1123 §2.1, with underscores because real networks use them; internationalised names must come as A-labels.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

/// The longest name, without its final dot (RFC 1035 §2.3.4).
pub const LONGEST_NAME: usize = 253;
/// The longest label.
pub const LONGEST_LABEL: usize = 63;

/// A destination as somebody wrote it, understood.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address in plain notation.
    Address(IpAddr),
    /// A name: lower case, ASCII, without a final dot.
    Name(String),
}

/// Why a text is no destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HostError {
    /// Nothing there.
    #[error("the host is empty")]
    Empty,
    /// Too long for a name.
    #[error("the host is longer than 253 bytes")]
    TooLong,
    /// `0x7f.1`, `127.1`, `2130706433`, `010.0.0.1`, `1.2.3.4.`, `1.2.3.4.5`, …
    #[error("the host looks like an IPv4 address but is not four decimal numbers without leading zeros")]
    OddAddress,
    /// Brackets without an IPv6 address inside, or text that only an IPv6 address could be.
    #[error("the host is not a valid IPv6 address")]
    BadV6,
    /// `fe80::1%eth0`: which interface we use is nobody else's business.
    #[error("the host has a zone identifier, which is not accepted")]
    Zone,
    /// A label is empty, longer than 63 bytes, or begins or ends with a hyphen.
    #[error("the host has an empty, overlong or badly hyphenated label")]
    BadLabel,
    /// A byte that no host name has.
    #[error("the host has a character that is not allowed in a host name")]
    BadCharacter,
}

/// Reads a host as it stands in a configuration, a CONNECT target or a URL: an IPv4 address, an IPv6 address with or without brackets, or a name.
///
/// # Errors
/// See [`HostError`]; the text is not repeated in the error because it comes from a stranger.
pub fn parse_host(text: &str) -> Result<Host, HostError> {
    if text.is_empty() {
        return Err(HostError::Empty);
    }
    if text.len() > LONGEST_NAME + 2 {
        return Err(HostError::TooLong); // room for a final dot; brackets need less
    }
    if let Some(inside) = text.strip_prefix('[') {
        let inside = inside.strip_suffix(']').ok_or(HostError::BadV6)?;
        return parse_v6(inside);
    }
    if text.contains(':') {
        return parse_v6(text);
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Address(address.into()));
    }
    parse_name(text)
}

fn parse_v6(text: &str) -> Result<Host, HostError> {
    if text.contains('%') {
        return Err(HostError::Zone);
    }
    text.parse::<Ipv6Addr>().map(|address| Host::Address(address.into())).map_err(|_| HostError::BadV6)
}

fn parse_name(text: &str) -> Result<Host, HostError> {
    if text.contains('%') {
        return Err(HostError::Zone);
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.len() > LONGEST_NAME {
        return Err(HostError::TooLong);
    }
    for label in name.split('.') {
        check_label(label)?;
    }
    if name.rsplit('.').next().is_some_and(is_number) {
        return Err(HostError::OddAddress);
    }
    Ok(Host::Name(name.to_ascii_lowercase()))
}

fn check_label(label: &str) -> Result<(), HostError> {
    if label.is_empty() || label.len() > LONGEST_LABEL || label.starts_with('-') || label.ends_with('-') {
        return Err(HostError::BadLabel);
    }
    if !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
        return Err(HostError::BadCharacter);
    }
    Ok(())
}

/// Decimal or octal digits, or `0x` and hexadecimal digits (or none: `0x` is zero to some).
fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hex {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_addresses_and_names_are_understood() {
        for text in [
            "127.0.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "::1",
            "[::1]",
            "::",
            "2001:DB8::1",
            "[::ffff:127.0.0.1]",
            "64:ff9b::1.2.3.4",
        ] {
            assert!(matches!(parse_host(text), Ok(Host::Address(_))), "{text}");
        }
        for (text, name) in [
            ("example.com", "example.com"),
            ("EXAMPLE.Com.", "example.com"),
            ("localhost", "localhost"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("_dmarc.example", "_dmarc.example"),
            ("1.2.3.4.example", "1.2.3.4.example"),
            ("3com", "3com"),
            ("0xg", "0xg"),
            ("1a.0b", "1a.0b"),
            ("a-b.c--d", "a-b.c--d"),
        ] {
            assert_eq!(parse_host(text), Ok(Host::Name(name.into())), "{text}");
        }
    }

    #[test]
    fn odd_spellings_of_addresses_are_neither_addresses_nor_names() {
        for text in [
            "0x7f.1",
            "0x7f000001",
            "0X7F000001",
            "0x7f.0x0.0x0.0x1",
            "0177.0.0.1",
            "017700000001",
            "2130706433",
            "127.1",
            "127.0.1",
            "127.0.0.01",
            "0127.0.0.1",
            "127.0.0.1.",
            "1.2.3.4.5",
            "256.1.1.1",
            "999.999.999.999",
            "4294967296",
            "0",
            "0x",
            "foo.0x",
            "foo.1",
            "a.b.0x1f",
            "1.2.3.08",
        ] {
            assert_eq!(parse_host(text), Err(HostError::OddAddress), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_by_its_name() {
        let long_label = "a".repeat(64);
        let long_name = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(62)].join(".");
        for (text, error) in [
            ("", HostError::Empty),
            ("fe80::1%eth0", HostError::Zone),
            ("[fe80::1%25eth0]", HostError::Zone),
            ("127.0.0.1%lo", HostError::Zone),
            ("%31%32%37.0.0.1", HostError::Zone),
            ("[127.0.0.1]", HostError::BadV6),
            ("[::1", HostError::BadV6),
            ("::1]", HostError::BadV6),
            ("[]", HostError::BadV6),
            ("::g", HostError::BadV6),
            ("1:2", HostError::BadV6),
            ("example.com:80", HostError::BadV6),
            (".", HostError::BadLabel),
            ("..", HostError::BadLabel),
            (".example", HostError::BadLabel),
            ("a..b", HostError::BadLabel),
            ("-a.b", HostError::BadLabel),
            ("a-.b", HostError::BadLabel),
            (&long_label, HostError::BadLabel),
            (&long_name, HostError::TooLong),
            ("a b", HostError::BadCharacter),
            ("a\0b", HostError::BadCharacter),
            ("a/b", HostError::BadCharacter),
            ("a@b", HostError::BadCharacter),
            ("a\r\nb", HostError::BadCharacter),
            ("bücher.example", HostError::BadCharacter),
            ("１２７.0.0.1", HostError::BadCharacter),
            ("127。0。0。1", HostError::BadCharacter),
            ("*.example", HostError::BadCharacter),
        ] {
            assert_eq!(parse_host(text), Err(error), "{text:?}");
        }
        assert_eq!(parse_host(&long_name[1..]), Ok(Host::Name(long_name[1..].into())), "253 bytes are just right");
    }

    proptest! {
        #[test]
        fn whatever_comes_in_a_name_that_comes_out_is_clean(text in ".{0,300}") {
            if let Ok(Host::Name(name)) = parse_host(&text) {
                prop_assert!(!name.is_empty() && name.len() <= LONGEST_NAME);
                prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b)));
                prop_assert!(name.parse::<IpAddr>().is_err());
                prop_assert_eq!(parse_host(&name), Ok(Host::Name(name.clone())));
            }
        }

        #[test]
        fn every_address_survives_the_round_trip(v4 in any::<u32>(), v6 in any::<u128>()) {
            let (v4, v6) = (IpAddr::from(Ipv4Addr::from(v4)), IpAddr::from(Ipv6Addr::from(v6)));
            prop_assert_eq!(parse_host(&v4.to_string()), Ok(Host::Address(v4)));
            prop_assert_eq!(parse_host(&format!("[{v6}]")), Ok(Host::Address(v6)));
        }

        #[test]
        fn numbers_alone_are_never_names(a in any::<u32>(), b in any::<u16>()) {
            for text in [a.to_string(), format!("{a:#x}"), format!("0{a:o}"), format!("127.{b}"), format!("{a}.{b}"), format!("0x7f.{b}")] {
                prop_assert!(!matches!(parse_host(&text), Ok(Host::Name(_))), "{}", text);
            }
        }
    }
}
