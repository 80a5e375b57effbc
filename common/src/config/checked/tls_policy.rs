//! What a handshake may agree on, and for whom: versions, suites, tickets, the guard of full handshakes (`[tls-terminator]` and
//! `[[site]]`), and what a client certificate must be and where its words go (`[[site]]`).

use crate::config::pattern::HeaderPattern;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A cipher suite, by its name in the registry of IANA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // the names say it
pub enum TlsSuite {
    Aes128GcmSha256,
    Aes256GcmSha384,
    Chacha20Poly1305Sha256,
    EcdheEcdsaAes128GcmSha256,
    EcdheEcdsaAes256GcmSha384,
    EcdheEcdsaChacha20Poly1305Sha256,
    EcdheRsaAes128GcmSha256,
    EcdheRsaAes256GcmSha384,
    EcdheRsaChacha20Poly1305Sha256,
}

impl TlsSuite {
    /// All of them, each with its name and its number.
    pub const ALL: [(TlsSuite, &'static str, u16); 9] = [
        (TlsSuite::Aes128GcmSha256, "TLS_AES_128_GCM_SHA256", 0x1301),
        (TlsSuite::Aes256GcmSha384, "TLS_AES_256_GCM_SHA384", 0x1302),
        (TlsSuite::Chacha20Poly1305Sha256, "TLS_CHACHA20_POLY1305_SHA256", 0x1303),
        (TlsSuite::EcdheEcdsaAes128GcmSha256, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", 0xc02b),
        (TlsSuite::EcdheEcdsaAes256GcmSha384, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", 0xc02c),
        (TlsSuite::EcdheEcdsaChacha20Poly1305Sha256, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", 0xcca9),
        (TlsSuite::EcdheRsaAes128GcmSha256, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 0xc02f),
        (TlsSuite::EcdheRsaAes256GcmSha384, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", 0xc030),
        (TlsSuite::EcdheRsaChacha20Poly1305Sha256, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", 0xcca8),
    ];

    /// Its number in the registry.
    #[must_use]
    pub fn number(self) -> u16 {
        Self::ALL.iter().find(|(own, ..)| *own == self).map_or(0, |(.., number)| *number)
    }

    /// Whether it belongs to TLS 1.3; the others belong to TLS 1.2.
    #[must_use]
    pub fn is_tls13(self) -> bool {
        self.number() >> 8 == 0x13
    }
}

/// `ticket_keys` and `ticket_lifetime`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tickets {
    /// The file with the keys; `None`: keys of each process alone, in memory.
    pub keys: Option<PathBuf>,
    /// How long a session can be resumed, 1 minute to 7 days (RFC 8446 §4.6.1).
    pub lifetime: Duration,
}

impl Default for Tickets {
    fn default() -> Self {
        Self { keys: None, lifetime: Duration::from_secs(12 * 3600) }
    }
}

/// `full_handshakes`: how many handshakes with a signature the clients of one network may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeRate {
    /// Per second, in the long run.
    pub per_second: NonZeroU32,
    /// At once.
    pub burst: NonZeroU32,
    /// Leading bits of an IPv4 address that make a network, 1..=32.
    pub v4_prefix: u8,
    /// The same of an IPv6 address, 1..=128.
    pub v6_prefix: u8,
}

/// `crl`, `crl_unknown` and `crl_expired` of a site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocation {
    /// Files with revocation lists, PEM or DER; empty: nothing is revoked.
    pub lists: Vec<PathBuf>,
    /// A certificate whose issuer has no list here is accepted all the same.
    pub accept_unknown: bool,
    /// A list that is out of date still counts.
    pub accept_expired: bool,
}

/// `allowed_names` of a site: the alternative names of which a client certificate must have one; empty: any.
pub type AllowedNames = Vec<HeaderPattern>;

/// `identity_headers` of a site: under which names the backend gets to know the client's certificate. Names are in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentityHeaders {
    /// The certificate itself (RFC 9440 `Client-Cert`).
    pub certificate: Option<Arc<str>>,
    /// The subject (RFC 4514).
    pub subject: Option<Arc<str>>,
    /// The issuer (RFC 4514).
    pub issuer: Option<Arc<str>>,
    /// The alternative names, `DNS:a.example, URI:…`.
    pub names: Option<Arc<str>>,
    /// The serial number, hexadecimal.
    pub serial: Option<Arc<str>>,
    /// SHA-256 of the certificate, hexadecimal.
    pub fingerprint: Option<Arc<str>>,
}

impl IdentityHeaders {
    /// Those that are set.
    pub fn all(&self) -> impl Iterator<Item = &Arc<str>> {
        [&self.certificate, &self.subject, &self.issuer, &self.names, &self.serial, &self.fingerprint]
            .into_iter()
            .flatten()
    }
}
