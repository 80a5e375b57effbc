//! How rustls is set up: the provider in one function, one `ServerConfig` per policy, certificates by name.
//!
//! TLS 1.2 and 1.3; X25519MLKEM768 preferred (the order that `prefer-post-quantum` gives); of the suites the one that the
//! client prefers, since only the client knows whether it has AES in hardware; tickets by [`crate::tickets`]. Early data
//! stays off: it can be replayed, and nobody behind this process could tell. A site that asks clients for certificates has a
//! configuration of its own without tickets: every connection is verified anew, and none is resumed past a new list of authorities.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::config::{Handoff, Site};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificates::Loaded;
use crate::certificates::store::Store;
use crate::choose_certificate::{Names, SiteIndex};
use crate::handshake_rate::GuardedKeys;
use crate::last_good::{Broken, ClientJudge, Trouble};
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
    /// The file that they should be from.
    ticket_file: Option<PathBuf>,
    resolver: Arc<Resolver>,
    /// By site; sites with the same policy that ask for no client certificate share one. `None`: nobody could judge its clients.
    configs: Vec<Option<Arc<ServerConfig>>>,
    /// Those that ask for client certificates.
    judges: Vec<ClientJudge>,
    /// By site: whether backends are handed client certificates.
    hand_on: Vec<bool>,
}

/// Configurations, and what somebody should know of them; or what speaks against them.
pub type Made = Result<(Sites, Vec<String>), Vec<String>>;

impl Sites {
    /// Builds the configurations.
    ///
    /// # Errors
    /// What `broken` does not put up with, one sentence each.
    pub fn new(
        settings: &Settings,
        loaded: Loaded,
        mut material: Material,
        broken: Broken,
        before: Option<&Self>,
    ) -> Made {
        let mut trouble = Trouble { broken, before, errors: Vec::new(), warnings: Vec::new() };
        let tickets = trouble.ticket_keys(settings, material.tickets.take());
        let made = Self::build(settings, loaded, material, tickets, &mut trouble);
        match made {
            Err(error) => Err(trouble.errors.into_iter().chain([error]).collect()),
            Ok(_) if !trouble.errors.is_empty() => Err(trouble.errors),
            Ok(sites) => Ok((sites, trouble.warnings)),
        }
    }

    fn build(
        settings: &Settings,
        loaded: Loaded,
        material: Material,
        tickets: Result<Arc<Keyring>, String>,
        trouble: &mut Trouble<'_>,
    ) -> Result<Self, String> {
        let (Loaded { store, authorities, .. }, tickets) = (loaded, tickets?);
        let names = Names::new(&settings.sites, settings.strangers)?;
        let resolver = Arc::new(Resolver { names, store });
        let all = Arc::new(provider());
        let mut made: Vec<(Policy<'_>, Arc<ServerConfig>)> = Vec::new();
        let (mut configs, mut judges) = (Vec::with_capacity(settings.sites.len()), Vec::new());
        for ((site, authorities), lists) in settings.sites.iter().zip(authorities).zip(material.lists) {
            let policy = Policy::of(site, &settings.terminator);
            let shared = made.iter().find(|(own, _)| *own == policy && site.client_auth.is_none());
            if let Some((_, config)) = shared {
                configs.push(Some(Arc::clone(config)));
                continue;
            }
            let provider = policy.provider(&all);
            let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
            let builder = builder.with_protocol_versions(&policy.versions()).map_err(|error| error.to_string())?;
            let builder = match &site.client_auth {
                None => builder.with_no_client_auth(),
                Some(auth) => {
                    let judge = trouble.judge(site, auth, authorities, lists, &provider);
                    let verifier = judge.verifier.clone();
                    judges.push(judge);
                    let Some(verifier) = verifier else {
                        configs.push(None);
                        continue;
                    };
                    builder.with_client_cert_verifier(verifier)
                }
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
            configs.push(Some(config));
        }
        let wants =
            |site: &Site| site.client_auth.as_ref().is_some_and(|auth| auth.identity_headers.certificate.is_some());
        let hand_on = settings.sites.iter().map(wants).collect();
        let ticket_file = settings.terminator.tickets.keys.clone();
        Ok(Self { tickets, ticket_file, resolver, configs, judges, hand_on })
    }

    /// Whether clients of this site can be served.
    pub fn serves(&self, site: SiteIndex) -> bool {
        self.configs.get(site).is_some_and(Option::is_some) && self.resolver.store.serves(site)
    }

    /// The ticket keys, and the file that they should be from.
    pub(crate) fn tickets(&self) -> (&Arc<Keyring>, Option<&Path>) {
        (&self.tickets, self.ticket_file.as_deref())
    }

    /// Who judges the clients of sites that ask for certificates.
    pub(crate) fn judges(&self) -> &[ClientJudge] {
        &self.judges
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
        self.configs.get(site).cloned().flatten()
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
