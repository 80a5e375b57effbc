//! The certificates at work: by site, each pair with its state. Handshakes read it, reloads build the next one out of it, and
//! time takes staples away that are out of date.
//!
//! A pair can be put in while handshakes go on ([`Store::replace`]); that is how a staple that is out of date goes, and how an
//! ACME client would bring a certificate. A challenge certificate (tls-alpn-01, RFC 8737) would stand beside the pairs of its
//! site in [`Slot`], chosen when the client offers nothing but `acme-tls/1`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use common::config::CertificateFiles;
use rustls::SignatureScheme;
use rustls::sign::CertifiedKey;

use super::expiry::date;
use super::lazy_key::KeyRing;
use super::pair::Pair;
use crate::choose_certificate::{SiteIndex, choose_key};

/// The pairs of all sites, in the order of the configuration.
#[derive(Debug)]
pub struct Store {
    /// The keys that are ready to sign.
    pub ring: Arc<KeyRing>,
    slots: RwLock<Vec<Slot>>,
}

/// The pairs of one site.
#[derive(Debug, Clone, Default)]
pub struct Slot {
    /// The site's first name.
    pub site: Box<str>,
    /// In the order of the configuration.
    pub held: Vec<Held>,
    /// What can be served, in the order in which it is tried.
    ready: Vec<Arc<Pair>>,
}

/// One pair of a site, whatever has become of it.
#[derive(Debug, Clone)]
pub struct Held {
    /// Where it comes from.
    pub files: CertificateFiles,
    /// What is served; `None`: nothing good has come so far.
    pub pair: Option<Arc<Pair>>,
    /// What is wrong with the files as they are now. With a pair: the last good one is kept.
    pub fault: Option<Arc<str>>,
    /// Why there is no staple although the site names one.
    pub unstapled: Option<Arc<str>>,
}

impl Held {
    /// Whether the last good pair is served instead of what the files hold.
    pub fn is_kept(&self) -> bool {
        self.pair.is_some() && self.fault.is_some()
    }
}

impl Slot {
    /// Of these pairs.
    pub fn new(site: Box<str>, held: Vec<Held>) -> Self {
        let mut slot = Self { site, held, ready: Vec::new() };
        slot.make_ready();
        slot
    }

    /// Several pairs in one site are for different kinds of key: cheap to sign with first.
    fn make_ready(&mut self) {
        self.ready = self.held.iter().filter_map(|held| held.pair.clone()).collect();
        self.ready.sort_by_key(|pair| pair.key.kind().preference());
    }
}

impl Store {
    /// Of these sites.
    pub fn new(ring: Arc<KeyRing>, slots: Vec<Slot>) -> Self {
        Self { ring, slots: RwLock::new(slots) }
    }

    /// The pair of a site for a client that can check these signatures. `None`: the site has none at all.
    pub fn choose(&self, site: SiteIndex, offered: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let can_sign = |pair: &Arc<Pair>, offered: &[_]| pair.key.can_sign(offered);
        self.read(|slots| {
            let chosen = choose_key(&slots.get(site)?.ready, can_sign, offered);
            chosen.map(|pair| Arc::clone(&pair.certified))
        })
    }

    /// Whether a site has anything to show.
    pub fn serves(&self, site: SiteIndex) -> bool {
        self.read(|slots| slots.get(site).is_some_and(|slot| !slot.ready.is_empty()))
    }

    /// All of them, for whoever only looks.
    pub fn read<R>(&self, look: impl FnOnce(&[Slot]) -> R) -> R {
        look(&self.slots.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The pair at a place of a site becomes what `change` makes of it. Handshakes that have chosen already are not touched.
    pub fn replace(&self, site: SiteIndex, place: usize, change: impl FnOnce(&mut Held)) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = slots.get_mut(site) else { return };
        let Some(held) = slot.held.get_mut(place) else { return };
        change(held);
        slot.make_ready();
    }

    /// What to tell of pairs that have taken the place of others.
    pub fn renewed_since(&self, before: &Store) -> Vec<String> {
        let known = before.known();
        let mut told = Vec::new();
        self.read(|slots| {
            for slot in slots {
                for held in slot.held.iter().filter(|held| held.fault.is_none()) {
                    let (Some(pair), Some(old)) = (&held.pair, known.get(&slot.site, &held.files)) else { continue };
                    let same = old.pair.as_ref().is_some_and(|old| Arc::ptr_eq(&old.key, &pair.key));
                    if !same {
                        let (file, end) = (held.files.certificate.display(), date(pair.end()));
                        told.push(format!("{file}: a new certificate is served ([[site]] {}), until {end}", slot.site));
                    }
                }
            }
        });
        told
    }

    /// Everything that is held, for whoever builds the next store.
    pub fn known(&self) -> Known {
        let of =
            |slot: &Slot| slot.held.iter().map(|held| (key(&slot.site, &held.files), held.clone())).collect::<Vec<_>>();
        Known(self.read(|slots| slots.iter().flat_map(of).collect()))
    }
}

/// What was held, by site and files.
#[derive(Debug, Default)]
pub struct Known(HashMap<Key, Held>);

type Key = (Box<str>, PathBuf, PathBuf);

/// The OCSP file of a pair may come, go and move without the pair becoming another one.
fn key(site: &str, files: &CertificateFiles) -> Key {
    (site.into(), files.certificate.clone(), files.key.clone())
}

impl Known {
    /// What is held for these files by the site of this first name.
    pub fn get(&self, site: &str, files: &CertificateFiles) -> Option<&Held> {
        self.0.get(&key(site, files))
    }
}
