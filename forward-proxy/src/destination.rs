//! Where a client wants to go, read strictly (RFC 9110 §9.3.6 for CONNECT, RFC 9112 §3.2.2 for absolute-form targets).
//!
//! Pure: bytes in, destination or reason out. Only plain spellings pass, because a destination that two programs read
//! differently is a way around every rule: `127.1`, `0x7f.1`, `2130706433`, zone identifiers, user information and
//! non-ASCII names are refused, never repaired. What a *name* resolves to is judged by passthrough-relay, on the address
//! it connects to; this file must never resolve anything.

use std::fmt;
use std::net::IpAddr;

use common::config::Host;
use common_http::host::{Authority, HostError};

/// A host and a port, in the one form that rules, logs and the relay see.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Name in lower case without root dot, or address (an IPv4 address in IPv6 clothes is the IPv4 address).
    pub host: Host,
    /// TCP port, never 0.
    pub port: u16,
}

/// Why a text is no destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadDestination {
    /// The host or the port in it.
    #[error("{0}")]
    Host(HostError),
    /// CONNECT must name its port.
    #[error("CONNECT must name a port (host:port)")]
    NoPort,
    /// `1.2.3.4.`: names may end in the root dot, addresses may not.
    #[error("an address must not end with a dot")]
    DotAfterAddress,
    /// A label that begins or ends with `-` (RFC 1123 §2.1).
    #[error("a label of the host begins or ends with a hyphen")]
    Hyphen,
}

impl Destination {
    /// The target of CONNECT: `host:port`, both present.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_connect(target: &[u8]) -> Result<Self, BadDestination> {
        Self::read(target, None)
    }

    /// The authority of an absolute-form target; without a port it is `default_port`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_authority(authority: &[u8], default_port: u16) -> Result<Self, BadDestination> {
        Self::read(authority, Some(default_port))
    }

    fn read(text: &[u8], default_port: Option<u16>) -> Result<Self, BadDestination> {
        let authority = Authority::parse(text).map_err(BadDestination::Host)?;
        let port = authority.port.or(default_port).ok_or(BadDestination::NoPort)?;
        if let Some(address) = authority.address {
            let without_port = text.split(|byte| *byte == b':').next().unwrap_or(text);
            if address.is_ipv4() && without_port.ends_with(b".") {
                return Err(BadDestination::DotAfterAddress);
            }
            return Ok(Self { host: Host::Ip(address.to_canonical()), port });
        }
        let name = authority.host();
        if name.split('.').any(|label| label.starts_with('-') || label.ends_with('-')) {
            return Err(BadDestination::Hyphen);
        }
        Ok(Self { host: Host::Name(name.as_ref().into()), port })
    }

    /// The host as the relay is asked for it: a name, or an address without brackets.
    #[must_use]
    pub fn host_text(&self) -> String {
        match &self.host {
            Host::Name(name) => name.as_ref().to_owned(),
            Host::Ip(address) => address.to_string(),
        }
    }

    /// The address, if the client wrote one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self.host {
            Host::Ip(address) => Some(address),
            Host::Name(_) => None,
        }
    }
}

impl fmt::Display for Destination {
    /// `host:port`, an IPv6 address in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn connect(text: &str) -> Result<String, BadDestination> {
        Destination::of_connect(text.as_bytes()).map(|destination| destination.to_string())
    }

    #[test]
    fn plain_spellings_become_one_form() {
        for (text, form) in [
            ("Example.COM:443", "example.com:443"),
            ("example.com.:443", "example.com:443"),
            ("a_b.example:1", "a_b.example:1"),
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("[2001:DB8:0::1]:443", "[2001:db8::1]:443"),
            ("[::ffff:10.0.0.1]:443", "10.0.0.1:443"),
            ("[::ffff:a00:1]:443", "10.0.0.1:443"),
            ("localhost:65535", "localhost:65535"),
        ] {
            assert_eq!(connect(text).as_deref(), Ok(form), "{text}");
        }
        let plain = Destination::of_authority(b"Example.com", 80).unwrap();
        assert_eq!((plain.to_string().as_str(), plain.address()), ("example.com:80", None));
        let six = Destination::of_authority(b"[2001:db8::1]", 80).unwrap();
        assert_eq!((six.to_string().as_str(), six.host_text().as_str()), ("[2001:db8::1]:80", "2001:db8::1"));
    }

    #[test]
    fn whatever_has_a_second_reading_is_refused() {
        use BadDestination::{DotAfterAddress, Host, Hyphen, NoPort};
        use HostError::{BadAddress, BadName, BadPort, Empty, UserInfo};
        for (text, error) in [
            ("example.com", NoPort),
            ("[::1]", NoPort),
            ("", Host(Empty)),
            (":443", Host(Empty)),
            ("example.com:", Host(BadPort)),
            ("example.com:0", Host(BadPort)),
            ("example.com:65536", Host(BadPort)),
            ("example.com:+80", Host(BadPort)),
            ("example.com:80:80", Host(BadPort)),
            ("::1:443", Host(BadPort)),
            ("user@example.com:443", Host(UserInfo)),
            ("user:pw@example.com:443", Host(UserInfo)),
            ("example.com:443@127.0.0.1:80", Host(UserInfo)),
            ("127.1:443", Host(BadAddress)),
            ("127.0.1:443", Host(BadAddress)),
            ("2130706433:443", Host(BadAddress)),
            ("0x7f.1:443", Host(BadAddress)),
            ("0x7f000001:443", Host(BadAddress)),
            ("0X7F.0.0.1:443", Host(BadAddress)),
            ("017700000001:443", Host(BadAddress)),
            ("0177.0.0.1:443", Host(BadAddress)),
            ("127.0.0.01:443", Host(BadAddress)),
            ("127.0.0.1.:443", DotAfterAddress),
            ("1.2.3.4.5:443", Host(BadAddress)),
            ("256.0.0.1:443", Host(BadAddress)),
            ("example.1:443", Host(BadAddress)),
            ("[fe80::1%eth0]:443", Host(BadAddress)),
            ("[fe80::1%25eth0]:443", Host(BadAddress)),
            ("[127.0.0.1]:443", Host(BadAddress)),
            ("[::1:443", Host(BadAddress)),
            ("[v1.x]:443", Host(BadAddress)),
            ("ex\u{e4}mple.com:443", Host(BadName)),
            ("\u{ff11}27.0.0.1:443", Host(BadName)),
            ("127\u{3002}0.0.1:443", Host(BadName)),
            ("a..b:443", Host(BadName)),
            ("a%2eb:443", Host(BadName)),
            ("a b:443", Host(BadName)),
            ("a/b:443", Host(BadName)),
            ("-a.example:443", Hyphen),
            ("a-.example:443", Hyphen),
        ] {
            assert_eq!(connect(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_what_passes_is_plain(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(destination) = Destination::of_connect(&bytes) {
                prop_assert!(destination.port > 0);
                let again = Destination::of_connect(destination.to_string().as_bytes());
                prop_assert_eq!(again, Ok(destination));
            }
        }

        #[test]
        fn what_looks_like_a_number_is_an_address_or_nothing(text in "(0x)?[0-9a-f]{1,10}(\\.(0x)?[0-9]{1,4}){0,4}\\.?") {
            if let Ok(destination) = Destination::of_authority(text.as_bytes(), 80) {
                let last = text.trim_end_matches('.').rsplit('.').next().unwrap_or_default().to_owned();
                let number = last.bytes().all(|b| b.is_ascii_digit())
                    || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
                prop_assert_eq!(number, destination.address().is_some(), "{}", text);
            }
        }
    }
}
