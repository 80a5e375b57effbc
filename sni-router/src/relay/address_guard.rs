//! May a stranger make us connect to this address? Pure: an address in, a verdict out.
//!
//! A forward proxy stands inside the network and connects for people outside it, so it must not become their way in (SSRF). The check is made on the
//! *address that is about to be connected to*, never on a name, so a name that changes its answer between check and connect gains nothing.
//!
//! Follows the IANA special-purpose registries (RFC 6890 and successors) plus what they do not list: forms of IPv6 that carry an IPv4 address
//! (RFC 4291 §2.5.5, RFC 6052, RFC 3056, RFC 4380, RFC 5214), the deprecated site-local prefix, and addresses on which clouds serve credentials.
//! It cannot know a NAT64 prefix that a network made up for itself inside global space: list such a prefix under `deny`.
//!
//! It must never answer "public" for something it does not know: outside 2000::/3 everything is refused.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// A unicast address of the public internet.
    Public,
    /// 127.0.0.0/8, ::1.
    Loopback,
    /// 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 (RFC 1918).
    Private,
    /// 169.254.0.0/16 (where clouds serve instance metadata), fe80::/10.
    LinkLocal,
    /// 100.64.0.0/10 (RFC 6598).
    CarrierGradeNat,
    /// 224.0.0.0/4, ff00::/8.
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// 0.0.0.0/8 ("this network": Linux connects 0.0.0.0 to itself) and ::.
    Unspecified,
    /// 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, 2001:db8::/32, 3fff::/20.
    Documentation,
    /// 198.18.0.0/15, 2001:2::/48.
    Benchmarking,
    /// 192.0.0.0/24, 240.0.0.0/4 and all IPv6 that nobody has been given.
    Reserved,
    /// fc00::/7 (RFC 4193).
    UniqueLocal,
    /// fec0::/10, deprecated but still routed by some (RFC 3879).
    SiteLocal,
    /// A tunnel or translation to an IPv4 address: 6to4, Teredo, ISATAP, local NAT64, IPv4-compatible.
    Transition,
    /// A public address on which a cloud serves its inside (Azure's 168.63.129.16).
    CloudInternal,
    /// An address of this very machine (found by asking the kernel which source address it would use).
    OwnAddress,
}

impl AddressClass {
    /// Words for a message.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Loopback => "a loopback address",
            Self::Private => "a private address (RFC 1918)",
            Self::LinkLocal => "a link-local address",
            Self::CarrierGradeNat => "a carrier-grade NAT address (RFC 6598)",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "the broadcast address",
            Self::Unspecified => "an unspecified address",
            Self::Documentation => "a documentation address",
            Self::Benchmarking => "a benchmarking address",
            Self::Reserved => "a reserved address",
            Self::UniqueLocal => "a unique local address (RFC 4193)",
            Self::SiteLocal => "a site-local address",
            Self::Transition => "a tunnel or translation address",
            Self::CloudInternal => "an internal address of a cloud provider",
            Self::OwnAddress => "an address of this machine",
        }
    }

    /// Nothing can listen there, or it is another way to write "this machine": no exception opens these.
    fn never(self) -> bool {
        matches!(self, Self::Unspecified | Self::Multicast | Self::Broadcast)
    }
}

/// The way in which an IPv6 address carries an IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Embedding {
    /// ::ffff:0:0/96: the kernel connects by IPv4.
    Mapped,
    /// ::/96, deprecated.
    Compatible,
    /// ::ffff:0:0:0/96 (RFC 2765).
    Translated,
    /// 64:ff9b::/96 (RFC 6052).
    Nat64,
    /// 2002::/16 (RFC 3056).
    SixToFour,
    /// 2001::/32 (RFC 4380): the client's address, stored inverted.
    Teredo,
    /// Interface identifier 0:5efe or 200:5efe (RFC 5214).
    Isatap,
}

/// The IPv4 address that an IPv6 address carries, and how. Networks that only *might* carry one (64:ff9b:1::/48) are not taken apart.
#[must_use]
pub fn embedded_v4(ip: Ipv6Addr) -> Option<(Embedding, Ipv4Addr)> {
    let low = v4(ip.segments()[6], ip.segments()[7]);
    match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] => Some((Embedding::Mapped, low)),
        [0, 0, 0, 0, 0xffff, 0, ..] => Some((Embedding::Translated, low)),
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => Some((Embedding::Compatible, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some((Embedding::Nat64, low)),
        [0x2002, high, rest, ..] => Some((Embedding::SixToFour, v4(high, rest))),
        [0x2001, 0, _, _, _, _, high, rest] => Some((Embedding::Teredo, v4(!high, !rest))),
        [_, _, _, _, 0 | 0x0200, 0x5efe, ..] => Some((Embedding::Isatap, low)),
        _ => None,
    }
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

/// What kind of place an address is. An address that carries an IPv4 address which is not public is of that address's class, whatever the form.
#[must_use]
pub fn classify(ip: IpAddr) -> AddressClass {
    match ip {
        IpAddr::V4(ip) => classify_v4(ip),
        IpAddr::V6(ip) => classify_v6(ip),
    }
}

fn classify_v4(ip: Ipv4Addr) -> AddressClass {
    match ip.octets() {
        [0, ..] => AddressClass::Unspecified,
        [127, ..] => AddressClass::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressClass::Private,
        [169, 254, ..] => AddressClass::LinkLocal,
        [100, 64..=127, ..] => AddressClass::CarrierGradeNat,
        [192, 0, 0, _] => AddressClass::Reserved,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => AddressClass::Documentation,
        [192, 88, 99, _] => AddressClass::Transition, // the 6to4 relay anycast prefix, deprecated by RFC 7526
        [198, 18..=19, ..] => AddressClass::Benchmarking,
        [168, 63, 129, 16] => AddressClass::CloudInternal,
        [224..=239, ..] => AddressClass::Multicast,
        [255, 255, 255, 255] => AddressClass::Broadcast,
        [240..=255, ..] => AddressClass::Reserved,
        _ => AddressClass::Public,
    }
}

fn classify_v6(ip: Ipv6Addr) -> AddressClass {
    if let Some((embedding, inner)) = embedded_v4(ip) {
        if ip.is_loopback() {
            return AddressClass::Loopback;
        }
        match (embedding, classify_v4(inner)) {
            (Embedding::Mapped | Embedding::Nat64, class) => return class,
            (Embedding::Isatap, _) => {} // an ordinary prefix may be worse than a tunnel: see below
            (_, AddressClass::Public) => return AddressClass::Transition,
            (_, class) => return class,
        }
    }
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        [0x64, 0xff9b, 1, ..] => AddressClass::Transition, // RFC 8215: translates to wherever the local network likes
        [0xfc00..=0xfdff, ..] => AddressClass::UniqueLocal,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        [0xfec0..=0xfeff, ..] => AddressClass::SiteLocal,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => AddressClass::Documentation,
        [0x2001, 2, 0, ..] => AddressClass::Benchmarking,
        [0x2001, 0..=0x01ff, ..] => AddressClass::Reserved, // 2001::/23, IETF protocol assignments
        segments => match embedded_v4(ip) {
            Some((Embedding::Isatap, inner)) => match classify_v4(inner) {
                AddressClass::Public => AddressClass::Transition,
                class => class,
            },
            _ if segments[0] & 0xe000 == 0x2000 => AddressClass::Public,
            _ => AddressClass::Reserved,
        },
    }
}

/// The rule of one caller: everything public, plus and minus what the configuration says.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Networks that are open although they are not public. Matched against the address as it is connected to (mapped ones as IPv4), so `10.0.0.0/8`
    /// does not open a NAT64 or 6to4 form of it. Opens neither multicast, broadcast and unspecified addresses nor `own_listeners`.
    pub allow: Vec<IpNet>,
    /// Networks that are closed although they are public or allowed. Matched against the address *and* against an IPv4 address inside it.
    pub deny: Vec<IpNet>,
    /// Where this proxy itself listens. Never reachable, whatever `allow` says: a proxy that calls itself is a loop and a way round its own rules.
    /// A wildcard address stands for loopback; for the machine's other addresses see [`Guard::check_source`].
    pub own_listeners: Vec<SocketAddr>,
}

/// Why an address may not be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The address that would have been connected to.
    pub address: SocketAddr,
    /// What kind of place it is.
    pub class: AddressClass,
    /// Which rule refused it.
    pub why: Why,
}

/// The rule that refused an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Not public, and no exception is configured.
    Class,
    /// In the configured `deny` network.
    Denied(IpNet),
    /// One of our own listeners.
    OwnListener(SocketAddr),
    /// Port 0 is no port.
    PortZero,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        match self.why {
            Why::Class if self.class.never() => {
                write!(f, "{address} is {}: nothing can be reached there", self.class.describe())
            }
            Why::Class => write!(
                f,
                "{address} is {}: refused by default; list its network under `allow` if clients are meant to reach it",
                self.class.describe()
            ),
            Why::Denied(network) => write!(f, "{address} is in {network}, which the configuration denies"),
            Why::OwnListener(listener) => write!(f, "{address} is this proxy itself (it listens on {listener})"),
            Why::PortZero => write!(f, "{address}: port 0 cannot be connected to"),
        }
    }
}

impl std::error::Error for Refused {}

impl Guard {
    /// Judges the address that is about to be connected to.
    ///
    /// # Errors
    /// Says which rule refused it and what kind of place it is.
    pub fn check(&self, address: SocketAddr) -> Result<(), Refused> {
        let ip = address.ip().to_canonical();
        let class = classify(ip);
        let refused = |why| Err(Refused { address, class, why });
        if address.port() == 0 {
            return refused(Why::PortZero);
        }
        if class.never() {
            return refused(Why::Class);
        }
        if let Some(listener) = self.own_listeners.iter().find(|own| is_listener(**own, ip, address.port())) {
            return refused(Why::OwnListener(*listener));
        }
        if let Some(network) = self.denied(ip) {
            return refused(Why::Denied(network));
        }
        if class == AddressClass::Public || self.allow.iter().any(|network| network.contains(&ip)) {
            return Ok(());
        }
        refused(Why::Class)
    }

    /// Judges again with the source address that the kernel would use. If it *is* the destination, the destination is this machine: its services
    /// may trust connections from within, and its own listeners may hide behind a wildcard. Open only by `allow`, the listeners never.
    ///
    /// # Errors
    /// As [`Guard::check`], with [`AddressClass::OwnAddress`].
    pub fn check_source(&self, address: SocketAddr, source: IpAddr) -> Result<(), Refused> {
        let ip = address.ip().to_canonical();
        if source.to_canonical() != ip {
            return Ok(());
        }
        let refused = |why| Err(Refused { address, class: AddressClass::OwnAddress, why });
        let same_port = |own: &&SocketAddr| own.ip().to_canonical().is_unspecified() && own.port() == address.port();
        if let Some(listener) = self.own_listeners.iter().find(same_port) {
            return refused(Why::OwnListener(*listener));
        }
        if self.allow.iter().any(|network| network.contains(&ip)) { Ok(()) } else { refused(Why::Class) }
    }

    /// Whether [`Guard::check_source`] could still say no to an address that [`Guard::check`] has let through: not when its
    /// network is open and no wildcard listener of ours has that port.
    #[must_use]
    pub fn source_matters(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        let hidden_listener =
            |own: &SocketAddr| own.ip().to_canonical().is_unspecified() && own.port() == address.port();
        !self.allow.iter().any(|network| network.contains(&ip)) || self.own_listeners.iter().any(hidden_listener)
    }

    fn denied(&self, ip: IpAddr) -> Option<IpNet> {
        let inner = match ip {
            IpAddr::V6(ip) => embedded_v4(ip).map(|(_, inner)| IpAddr::V4(inner)),
            IpAddr::V4(_) => None,
        };
        self.deny
            .iter()
            .find(|network| network.contains(&ip) || inner.is_some_and(|inner| network.contains(&inner)))
            .copied()
    }
}

fn is_listener(own: SocketAddr, ip: IpAddr, port: u16) -> bool {
    let own_ip = own.ip().to_canonical();
    own.port() == port && (own_ip == ip || (own_ip.is_unspecified() && ip.is_loopback()))
}

#[cfg(test)]
mod tests;
