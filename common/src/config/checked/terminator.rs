//! The sections of termination: `[tls-terminator]` and `[[site]]`.

use super::tls_policy::{AllowedNames, HandshakeRate, IdentityHeaders, Revocation, Tickets, TlsSuite};
use crate::config::pattern::NamePattern;
use std::path::PathBuf;
use std::time::Duration;

/// `[tls-terminator]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminator {
    /// How many processes `bulkhead up` starts, 1..=64.
    pub instances: usize,
    /// Time for a handshake, from the moment the socket is received.
    pub handshake_deadline: Duration,
    /// Handshakes at once.
    pub max_handshakes: usize,
    /// Connections at once, in all.
    pub max_connections: usize,
    /// The same per IPv4 address or IPv6 /64.
    pub max_connections_per_address: usize,
    /// A connection on which no byte moves either way for so long is closed.
    pub idle_deadline: Duration,
    /// Oldest version that is accepted.
    pub min_version: TlsVersion,
    /// Private keys that are kept ready to sign.
    pub ready_keys: usize,
    /// Whether the launcher renews certificates when their files change.
    pub watch: bool,
    /// A certificate that ends within this time is warned about.
    pub warn_before: Duration,
    /// Suites that are accepted; `None`: all.
    pub suites: Option<Vec<TlsSuite>>,
    /// Keys and lifetime of session tickets.
    pub tickets: Tickets,
    /// Bounds the signatures that the clients of one network cause; `None`: nothing does.
    pub full_handshakes: Option<HandshakeRate>,
    /// How http-filter gets the plaintext, where a site says nothing else.
    pub handoff: Handoff,
    /// Hand-overs in flight per receiving instance.
    pub max_unacknowledged: usize,
}

/// `handoff` of the section and of a site
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handoff {
    /// The client's socket and the traffic secrets (TLS 1.2: keys) of its connection.
    Secrets,
    /// tls-terminator stays in between.
    Relay,
}

/// `tls-terminator.min_version`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // the names say it
pub enum TlsVersion {
    Tls12,
    Tls13,
}

/// `[[site]]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// At least one; no name is in two sites.
    pub names: Vec<NamePattern>,
    /// At least one pair; several are for different key types (RSA beside ECDSA). They could be read at check time.
    pub certificates: Vec<CertificateFiles>,
    /// In the order of preference; at least one.
    pub alpn: Vec<SiteAlpn>,
    /// `None`: as the section says.
    pub handoff: Option<Handoff>,
    /// Whether clients are asked for a certificate; `None`: they are not.
    pub client_auth: Option<ClientAuth>,
    /// Oldest version that is accepted; `None`: as everywhere.
    pub min_version: Option<TlsVersion>,
    /// Suites that are accepted; `None`: as everywhere.
    pub suites: Option<Vec<TlsSuite>>,
    /// 1-based line of the file in which the site begins.
    pub line: usize,
}

impl Site {
    /// Oldest version that is accepted for its names.
    #[must_use]
    pub fn min_version(&self, terminator: &Terminator) -> TlsVersion {
        self.min_version.unwrap_or(terminator.min_version)
    }

    /// Suites that are accepted for its names; `None`: all.
    #[must_use]
    pub fn suites<'a>(&'a self, terminator: &'a Terminator) -> Option<&'a [TlsSuite]> {
        self.suites.as_deref().or(terminator.suites.as_deref())
    }
}

/// `client_auth` of a site, with what belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientAuth {
    /// A client without a certificate is turned away. One whose certificate is not sound always is.
    pub required: bool,
    /// PEM files with the authorities that may have signed it; at least one.
    pub authorities: Vec<PathBuf>,
    /// What is revoked.
    pub revocation: Revocation,
    /// Of which names it must have one; empty: any.
    pub allowed_names: AllowedNames,
    /// What the backend is told.
    pub identity_headers: IdentityHeaders,
}

/// One certificate chain and its private key. A relative path in the file is taken from the directory of the file and
/// stands here with that directory in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM chain, leaf first.
    pub certificate: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
    /// OCSP response in DER that is stapled.
    pub ocsp: Option<PathBuf>,
}

/// `alpn` of a site: what http-filter speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum SiteAlpn {
    H2,
    Http11,
}

impl SiteAlpn {
    /// The protocol's name in a ClientHello (RFC 7301 §6).
    pub fn as_str(self) -> &'static str {
        match self {
            SiteAlpn::H2 => "h2",
            SiteAlpn::Http11 => "http/1.1",
        }
    }
}
