//! How rustls is set up: the provider in one function, one `ServerConfig` per policy, certificates by name.
//!
//! TLS 1.2 and 1.3; X25519MLKEM768 preferred (the order that `prefer-post-quantum` gives); of the suites the one that the
//! client prefers, since only the client knows whether it has AES in hardware; tickets by [`crate::tickets`]. Early data
//! stays off: it can be replayed, and nobody behind this process could tell. A site that asks clients for certificates has a
//! configuration of its own without tickets: every connection is verified anew, and none is resumed past a new list of authorities.

use std::cell::RefCell;
use std::sync::Arc;

use common::config::{Handoff, Site};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificates::Loaded;
use crate::certificates::store::Store;
use crate::choose_certificate::{Names, SiteIndex};
use crate::client_auth::verifier;
use crate::handshake_rate::GuardedKeys;
use crate::policy::{Material, Policy};
use crate::secrets::Catcher;
use crate::settings::Settings;
use crate::tickets::{Keyring, Ticketer};

/// The one place that says which cryptography is used.
pub fn provider() -> CryptoProvider {
    CryptoProvider { key_provider: &GuardedKeys, ..aws_lc_rs::default_provider() }
}

/// Everything a handshake needs, by site.
#[derive(Debug)]
pub struct Sites {
    tickets: Arc<Keyring>,
    resolver: Arc<Resolver>,
    /// By site; sites with the same policy that ask for no client certificate share one.
    configs: Vec<Arc<ServerConfig>>,
    /// By site: whether backends are handed client certificates.
    hand_on: Vec<bool>,
}

impl Sites {
    /// Builds the configurations. `Err` is one sentence for the log.
    pub fn new(settings: &Settings, loaded: Loaded, mut material: Material) -> Result<Self, String> {
        let tickets = match material.tickets.take() {
            Some(shared) => shared,
            None => Arc::new(Keyring::of_our_own(settings.terminator.tickets.lifetime)?),
        };
        Self::build(settings, loaded, material, tickets)
    }

    /// The same for a reload: tickets that these have given out stay good, if the keys are our own. (Sites that ask for client
    /// certificates give out none, so no ticket stands for a certificate that somebody would not believe any more.)
    pub fn succeed(&self, settings: &Settings, loaded: Loaded, mut material: Material) -> Result<Self, String> {
        if material.tickets.is_none() && self.tickets.stays(settings.terminator.tickets.lifetime) {
            material.tickets = Some(Arc::clone(&self.tickets));
        }
        Self::new(settings, loaded, material)
    }

    fn build(settings: &Settings, loaded: Loaded, material: Material, tickets: Arc<Keyring>) -> Result<Self, String> {
        let Loaded { store, authorities, .. } = loaded;
        let names = Names::new(&settings.sites, settings.strangers)?;
        let resolver = Arc::new(Resolver { names, store });
        let all = Arc::new(provider());
        let mut made: Vec<(Policy<'_>, Arc<ServerConfig>)> = Vec::new();
        let mut configs = Vec::with_capacity(settings.sites.len());
        for ((site, authorities), lists) in settings.sites.iter().zip(authorities).zip(material.lists) {
            let policy = Policy::of(site, &settings.terminator);
            let shared = made.iter().find(|(own, _)| *own == policy && site.client_auth.is_none());
            if let Some((_, config)) = shared {
                configs.push(Arc::clone(config));
                continue;
            }
            let provider = policy.provider(&all);
            let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
            let builder = builder.with_protocol_versions(&policy.versions()).map_err(|error| error.to_string())?;
            let builder = match (&site.client_auth, &authorities) {
                (None, _) => builder.with_no_client_auth(),
                (Some(auth), Some(authorities)) => {
                    builder.with_client_cert_verifier(verifier(auth, authorities, lists, &provider)?)
                }
                (Some(_), None) => return Err("a site asks for client certificates without authorities".to_owned()),
            };
            let mut config = builder.with_cert_resolver(Arc::clone(&resolver) as Arc<dyn ResolvesServerCert>);
            config.alpn_protocols = site.alpn.iter().map(|protocol| protocol.as_str().into()).collect();
            if site.client_auth.is_none() {
                config.ticketer = Arc::new(Ticketer::new(Arc::clone(&tickets), policy.scope()));
            } else {
                config.send_tls13_tickets = 0;
            }
            config.session_storage = Arc::new(NoServerSessionStorage {}); // tickets serve every client of today
            config.max_early_data_size = 0;
            if policy.handoff() == Handoff::Secrets {
                (config.enable_secret_extraction, config.key_log) = (true, Arc::new(Catcher));
            }
            let config = Arc::new(config);
            if site.client_auth.is_none() {
                made.push((policy, Arc::clone(&config)));
            }
            configs.push(config);
        }
        let wants =
            |site: &Site| site.client_auth.as_ref().is_some_and(|auth| auth.identity_headers.certificate.is_some());
        Ok(Self { tickets, resolver, configs, hand_on: settings.sites.iter().map(wants).collect() })
    }

    /// The place of the site for the name that the router read, among those it was made from.
    pub fn site_for(&self, name: Option<&str>) -> Option<SiteIndex> {
        self.resolver.names.choose(name)
    }

    /// Whether the backends of the name's site are handed client certificates.
    pub fn hands_certificates_on(&self, name: Option<&str>) -> bool {
        self.site_for(name).and_then(|site| self.hand_on.get(site)).is_some_and(|hands| *hands)
    }

    /// The certificates.
    pub fn store(&self) -> &Arc<Store> {
        &self.resolver.store
    }

    /// The configuration for the name that the router read; `None`: no site serves it, or its site has no good certificate.
    pub fn for_name(&self, name: Option<&str>) -> Option<Arc<ServerConfig>> {
        let site = self.resolver.names.choose(name)?;
        if !self.resolver.store.serves(site) {
            return None;
        }
        self.configs.get(site).cloned()
    }
}

thread_local! {
    /// The name that the router read in the hello that rustls reads now.
    static EXPECTED: RefCell<Option<Box<str>>> = const { RefCell::new(None) };
}

/// Runs one step of a handshake during which a certificate is given out only if rustls reads the same name in the hello as
/// the router did. Two parsers that disagree would let a client be routed by one name and served under another.
pub fn expecting<R>(name: Option<&str>, step: impl FnOnce() -> R) -> R {
    EXPECTED.with_borrow_mut(|expected| {
        if expected.as_deref() != name {
            *expected = name.map(Into::into);
        }
    });
    step()
}

#[derive(Debug)]
struct Resolver {
    names: Names,
    store: Arc<Store>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // rustls gives the name in lower case; the router drops a trailing dot.
        let name = hello.server_name().map(|name| name.strip_suffix('.').unwrap_or(name));
        if EXPECTED.with_borrow(|expected| expected.as_deref() != name) {
            tracing::debug!(server_name = name, "the router read another name in this hello");
            return None;
        }
        self.store.choose(self.names.choose(name)?, hello.signature_schemes())
    }
}
