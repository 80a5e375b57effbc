//! How rustls is set up: the provider in one function, one `ServerConfig` per list of protocols, certificates by name.
//!
//! TLS 1.2 and 1.3; X25519MLKEM768 preferred (the order that `prefer-post-quantum` gives); of the suites the one that the
//! client prefers, since only the client knows whether it has AES in hardware; tickets with keys of this process. Early data
//! stays off: it can be replayed, and nobody behind this process could tell. A site that asks clients for certificates has a
//! configuration of its own without tickets: every connection is verified anew, and none is resumed past a new list of authorities.

use std::cell::RefCell;
use std::sync::Arc;

use common::config::{ClientAuth, Handoff, SiteAlpn, TlsVersion};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use crate::certificates::Loaded;
use crate::certificates::store::Store;
use crate::choose_certificate::{Names, SiteIndex};
use crate::secrets::Catcher;
use crate::settings::Settings;

/// The one place that says which cryptography is used.
pub fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

/// Everything a handshake needs, by site.
#[derive(Debug)]
pub struct Sites {
    ticketer: Arc<dyn ProducesTickets>,
    resolver: Arc<Resolver>,
    /// By site; sites with the same protocols that ask for no client certificate share one.
    configs: Vec<Arc<ServerConfig>>,
}

impl Sites {
    /// Builds the configurations. `Err` is one sentence for the log.
    pub fn new(settings: &Settings, loaded: Loaded) -> Result<Self, String> {
        let ticketer = aws_lc_rs::Ticketer::new().map_err(|error| format!("cannot make ticket keys: {error}"))?;
        Self::build(settings, loaded, ticketer)
    }

    /// The same for a reload: tickets that these have given out stay good. (Sites that ask for client certificates give out none,
    /// so no ticket stands for a certificate that somebody would not believe any more.)
    pub fn succeed(&self, settings: &Settings, loaded: Loaded) -> Result<Self, String> {
        Self::build(settings, loaded, Arc::clone(&self.ticketer))
    }

    fn build(settings: &Settings, loaded: Loaded, ticketer: Arc<dyn ProducesTickets>) -> Result<Self, String> {
        let Loaded { store, authorities, .. } = loaded;
        let names = Names::new(&settings.sites, settings.strangers)?;
        let resolver = Arc::new(Resolver { names, store });
        let provider = Arc::new(provider());
        let versions: &[&rustls::SupportedProtocolVersion] = match settings.terminator.min_version {
            TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            TlsVersion::Tls13 => &[&rustls::version::TLS13],
        };
        let mut made: Vec<(&[SiteAlpn], Handoff, Arc<ServerConfig>)> = Vec::new();
        let mut configs = Vec::with_capacity(settings.sites.len());
        for (site, authorities) in settings.sites.iter().zip(authorities) {
            let handoff = site.handoff.unwrap_or(settings.terminator.handoff);
            let alike =
                |alpn: &[SiteAlpn], other: Handoff| alpn == site.alpn && other == handoff && authorities.is_none();
            let shared = made.iter().find(|(alpn, handoff, _)| alike(alpn, *handoff));
            if let Some((.., config)) = shared {
                configs.push(Arc::clone(config));
                continue;
            }
            let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
            let builder = builder.with_protocol_versions(versions).map_err(|error| error.to_string())?;
            let builder = match (&site.client_auth, &authorities) {
                (None, _) => builder.with_no_client_auth(),
                (Some(auth), Some(authorities)) => {
                    builder.with_client_cert_verifier(verifier(auth, authorities, &provider)?)
                }
                (Some(_), None) => return Err("a site asks for client certificates without authorities".to_owned()),
            };
            let mut config = builder.with_cert_resolver(Arc::clone(&resolver) as Arc<dyn ResolvesServerCert>);
            config.alpn_protocols = site.alpn.iter().map(|protocol| protocol.as_str().into()).collect();
            if authorities.is_none() {
                config.ticketer = Arc::clone(&ticketer);
            } else {
                config.send_tls13_tickets = 0;
            }
            config.session_storage = Arc::new(NoServerSessionStorage {}); // tickets serve every client of today
            config.max_early_data_size = 0;
            if handoff == Handoff::Secrets {
                (config.enable_secret_extraction, config.key_log) = (true, Arc::new(Catcher));
            }
            let config = Arc::new(config);
            if authorities.is_none() {
                made.push((&site.alpn, handoff, Arc::clone(&config)));
            }
            configs.push(config);
        }
        Ok(Self { ticketer, resolver, configs })
    }

    /// The place of the site for the name that the router read, among those it was made from.
    pub fn site_for(&self, name: Option<&str>) -> Option<SiteIndex> {
        self.resolver.names.choose(name)
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

fn verifier(
    auth: &ClientAuth,
    authorities: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(authorities), Arc::clone(provider));
    let builder = if auth.required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| format!("client_ca: {error}"))
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
