//! What a site's handshakes may agree on: versions, suites, protocols. Sites that agree on all of it and ask for no certificate share one
//! configuration, and tickets are good within one policy only.
//!
//! The configuration is chosen by the name that the router read. That is as safe as if rustls had chosen it, because no certificate is
//! given out unless rustls reads the same name (`tls_config::expecting`).

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use common::config::{Handoff, Site, SiteAlpn, Terminator, TlsSuite, TlsVersion};
use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::CertificateRevocationListDer;

use crate::certificates::first_name;
use crate::client_auth;
use crate::settings::Settings;
use crate::tickets::{Keyring, Scope};

/// Where the bytes of a file come from: the disk at the start, what was handed over at a reload.
pub type Read<'a> = &'a dyn Fn(&Path) -> Result<Vec<u8>, String>;

/// The policy of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy<'a> {
    min_version: TlsVersion,
    suites: Option<&'a [TlsSuite]>,
    alpn: &'a [SiteAlpn],
    handoff: Handoff,
}

impl<'a> Policy<'a> {
    /// That of this site.
    #[must_use]
    pub fn of(site: &'a Site, terminator: &'a Terminator) -> Self {
        Self {
            min_version: site.min_version(terminator),
            suites: site.suites(terminator),
            alpn: &site.alpn,
            handoff: site.handoff.unwrap_or(terminator.handoff),
        }
    }

    /// How http-filter gets the plaintext.
    #[must_use]
    pub fn handoff(&self) -> Handoff {
        self.handoff
    }

    fn allows(&self, number: u16) -> bool {
        self.suites.is_none_or(|suites| suites.iter().any(|suite| suite.number() == number))
    }

    /// The provider with its suites only.
    #[must_use]
    pub fn provider(&self, all: &Arc<CryptoProvider>) -> Arc<CryptoProvider> {
        if self.suites.is_none() {
            return Arc::clone(all);
        }
        let mut provider = CryptoProvider::clone(all);
        provider.cipher_suites.retain(|suite| self.allows(u16::from(suite.suite())));
        Arc::new(provider)
    }

    /// The versions that are spoken: those that are allowed and have a suite. A client that could speak 1.3 is not led into a version in
    /// which nothing can be agreed on.
    #[must_use]
    pub fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let has = |tls13| TlsSuite::ALL.iter().any(|(suite, _, n)| suite.is_tls13() == tls13 && self.allows(*n));
        let new = has(true).then_some(&TLS13);
        let old = (self.min_version == TlsVersion::Tls12 && has(false)).then_some(&TLS12);
        new.into_iter().chain(old).collect()
    }

    /// What it is called beside its tickets: the same for every process and life that has the same policy. Who gets the plaintext is no
    /// part of it: a session has none.
    #[must_use]
    pub fn scope(&self) -> Scope {
        let mut numbers: Vec<u16> =
            TlsSuite::ALL.iter().map(|(.., number)| *number).filter(|number| self.allows(*number)).collect();
        numbers.sort_unstable();
        let alpn: Vec<&str> = self.alpn.iter().map(|protocol| protocol.as_str()).collect();
        let text = format!("1 {:?} {numbers:x?} {alpn:?}", self.min_version);
        let mut scope = Scope::default();
        scope.iter_mut().zip(digest(&SHA256, text.as_bytes()).as_ref()).for_each(|(slot, byte)| *slot = *byte);
        scope
    }
}

/// Contents of the files that are neither certificates nor keys of certificates.
#[derive(Debug, Default)]
pub struct Material {
    /// The keys of the file of ticket keys, if there is one, or what is wrong with it.
    pub tickets: Option<Result<Arc<Keyring>, String>>,
    /// By site: its revocation lists, or what is wrong with one.
    pub lists: Vec<Result<Vec<CertificateRevocationListDer<'static>>, String>>,
    /// What somebody should know.
    pub warnings: Vec<String>,
}

impl Material {
    /// Reads all of it.
    #[must_use]
    pub fn read(settings: &Settings, read: Read<'_>) -> Self {
        let mut material = Self::default();
        let tickets = &settings.terminator.tickets;
        if let Some(path) = &tickets.keys {
            let made = read(path).and_then(|text| {
                let ring = Keyring::from_file(&text, tickets.lifetime);
                ring.map_err(|error| format!("tls-terminator.ticket_keys: {}: {error}", path.display()))
            });
            material.tickets = Some(made.map(Arc::new));
        }
        for site in &settings.sites {
            let paths = site.client_auth.as_ref().map(|auth| &*auth.revocation.lists).unwrap_or_default();
            let lists = client_auth::lists(paths, read, &mut material.warnings);
            material.lists.push(lists.map_err(|error| format!("{error} ([[site]] {})", first_name(site))));
        }
        material
    }
}

/// Reads a file from the disk; before the sandbox closes.
///
/// # Errors
/// Why it cannot be read.
pub fn from_disk(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let cannot = |error| format!("{}: cannot read it: {error}", path.display());
    let mut bytes = Vec::new();
    let file = common::credentials::open(path).map_err(cannot)?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE {
        return Err(format!("{}: larger than {MAX_FILE} bytes", path.display()));
    }
    Ok(bytes)
}

/// Largest file: lists of large authorities have millions of entries.
const MAX_FILE: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    const BOTH: &[SiteAlpn] = &[SiteAlpn::H2, SiteAlpn::Http11];

    fn policy(min_version: TlsVersion, suites: Option<&[TlsSuite]>) -> Policy<'_> {
        Policy { min_version, suites, alpn: BOTH, handoff: Handoff::Relay }
    }

    #[test]
    fn a_version_without_a_suite_is_not_spoken() {
        use TlsSuite as S;
        let spoken = |min, suites| policy(min, suites).versions().iter().map(|v| v.version).collect::<Vec<_>>();
        let (new, old) = (rustls::ProtocolVersion::TLSv1_3, rustls::ProtocolVersion::TLSv1_2);
        assert_eq!(spoken(TlsVersion::Tls12, None), [new, old]);
        assert_eq!(spoken(TlsVersion::Tls13, None), [new]);
        assert_eq!(spoken(TlsVersion::Tls12, Some(&[S::Aes128GcmSha256])), [new]);
        assert_eq!(spoken(TlsVersion::Tls12, Some(&[S::EcdheRsaAes128GcmSha256])), [old]);
        assert_eq!(spoken(TlsVersion::Tls13, Some(&[S::EcdheRsaAes128GcmSha256])), []);
    }

    #[test]
    fn every_suite_that_can_be_named_is_there_and_no_other() {
        let all = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let numbers = |provider: &CryptoProvider| {
            let mut numbers: Vec<u16> = provider.cipher_suites.iter().map(|suite| suite.suite().into()).collect();
            numbers.sort_unstable();
            numbers
        };
        let mut named: Vec<u16> = TlsSuite::ALL.iter().map(|(.., number)| *number).collect();
        named.sort_unstable();
        assert_eq!(numbers(&all), named);
        let two = [TlsSuite::Chacha20Poly1305Sha256, TlsSuite::EcdheRsaAes256GcmSha384];
        assert_eq!(numbers(&policy(TlsVersion::Tls12, Some(&two)).provider(&all)), [0x1303, 0xc030]);
    }

    #[test]
    fn a_scope_is_the_policy_and_nothing_else() {
        let all: Vec<TlsSuite> = TlsSuite::ALL.iter().map(|(suite, ..)| *suite).collect();
        let reversed: Vec<TlsSuite> = all.iter().rev().copied().collect();
        let whole = policy(TlsVersion::Tls12, None).scope();
        assert_eq!(policy(TlsVersion::Tls12, Some(&all)).scope(), whole);
        assert_eq!(policy(TlsVersion::Tls12, Some(&reversed)).scope(), whole);
        assert_ne!(policy(TlsVersion::Tls13, None).scope(), whole);
        assert_ne!(policy(TlsVersion::Tls12, Some(&all[1..])).scope(), whole);
        let h1 = Policy { alpn: &[SiteAlpn::Http11], ..policy(TlsVersion::Tls12, None) };
        assert_ne!(h1.scope(), whole);
    }
}
