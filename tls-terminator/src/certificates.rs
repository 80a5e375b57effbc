//! Reads every site's chains and keys before the sandbox closes: afterwards no file can be opened, which is the point. A
//! reload brings their contents with it.
//!
//! What has to be done while files can be read is done at once (PEM, dates, names, whether key and certificate belong
//! together); arithmetic waits until somebody needs it ([`lazy_key`]), so that thousands of pairs cost neither time at the start
//! nor memory. In the order of use: [`source`] → [`pem`] → [`pair`] (with [`der`], [`key_shape`], [`lazy_key`]) → [`ocsp`] →
//! [`store`]; [`expiry`] and [`tend`] watch over what is served, [`desk`] tells of it.
//!
//! **A pair that is not good** never takes another one along. Where a good one came from the same files before, that one is
//! *kept* and served on, and log, figures and `bulkhead status` say so until the files are good again. Where none did: `bulkhead
//! check`, and with it `bulkhead up`, refuses, and so does a reload that brings the site: somebody waits for the answer, and
//! nothing is served yet that could be lost. A process that *starts* (after a crash, after a boot under systemd) refuses only the
//! clients of that site, since the others must not pay for it; it refuses to start when nothing at all could be served.
//!
//! `--check` runs the same code, so what passes it can be served. Every complaint names the file and the site. It must never
//! print a byte of a key.

pub mod authorities;
pub mod der;
pub mod desk;
pub mod expiry;
pub mod key_shape;
pub mod lazy_key;
pub mod ocsp;
pub mod pair;
pub mod pem;
pub mod source;
pub mod store;
pub mod tend;

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use common::config::{CertificateFiles, Files, Site, Terminator};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;

use expiry::Age;
use lazy_key::KeyRing;
use pair::{Pair, Reading};
use source::Read;
use store::{Held, Known, Slot, Store};

/// What loading came to.
#[derive(Debug)]
pub struct Loaded {
    /// The pairs, by site in the order of the configuration.
    pub store: Arc<Store>,
    /// One entry per site: the authorities of client certificates where clients are asked for one, or what is wrong with them.
    pub authorities: Vec<Option<Result<Arc<RootCertStore>, String>>>,
    /// Pairs of which there is nothing to serve; see above who refuses for them.
    pub broken: Vec<String>,
    /// What clients may refuse, and pairs whose last good one is kept.
    pub warnings: Vec<String>,
}

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// `[[site]]`
    pub sites: &'a [Site],
    /// `[tls-terminator]`
    pub terminator: &'a Terminator,
    /// What has been served so far.
    pub so_far: Option<&'a Store>,
    /// So many new keys are parsed at once, [`ALL`], [`FEW`] or [`NONE`]; the others when somebody wants them.
    pub parse: u32,
}

/// For `--check`, which has time.
pub const ALL: u32 = u32::MAX;
/// For a reload: a renewed pair is known to the last bit before it takes the place of another; a thousand at once must not
/// hold connections up.
pub const FEW: u32 = 16;
/// For a start.
pub const NONE: u32 = 0;

/// Seconds since 1970.
#[must_use]
pub fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    i64::try_from(now).unwrap_or(i64::MAX)
}

/// Seconds of `tls-terminator.warn_before`.
#[must_use]
pub fn warn_before(terminator: &Terminator) -> i64 {
    i64::try_from(terminator.warn_before.as_secs()).unwrap_or(i64::MAX)
}

/// Loads the keys of all sites from their files and judges them.
pub fn load(order: Order<'_>, provider: &CryptoProvider) -> Loaded {
    load_by(order, provider, &source::from_disk)
}

/// The same from contents that somebody else has read.
pub fn load_from(order: Order<'_>, provider: &CryptoProvider, files: &Files) -> Loaded {
    load_by(order, provider, &|path: &Path| source::from_files(files, path))
}

fn load_by(order: Order<'_>, provider: &CryptoProvider, read: Read<'_>) -> Loaded {
    let most = order.terminator.ready_keys;
    let ring = order.so_far.map_or_else(|| KeyRing::new(most), |so_far| Arc::clone(&so_far.ring));
    let parse = Cell::new(order.parse);
    let reading = Reading { read, provider: provider.key_provider, ring: &ring, parse: &parse };
    let mut loading = Loading {
        known: order.so_far.map(Store::known).unwrap_or_default(),
        reading,
        now: now(),
        warn_before: warn_before(order.terminator),
        broken: Vec::new(),
        warnings: Vec::new(),
    };
    let slots = order.sites.iter().map(|site| loading.site(site)).collect();
    let Loading { broken, warnings, .. } = loading;
    let authorities = order.sites.iter().map(|site| {
        let auth = site.client_auth.as_ref()?;
        let read = authorities::authorities(&auth.authorities, read);
        Some(read.map_err(|text| format!("{text} ({})", label(site))))
    });
    let authorities = authorities.collect();
    Loaded { store: Arc::new(Store::new(ring, slots)), authorities, broken, warnings }
}

struct Loading<'a> {
    known: Known,
    reading: Reading<'a>,
    now: i64,
    warn_before: i64,
    broken: Vec<String>,
    warnings: Vec<String>,
}

impl Loading<'_> {
    fn site(&mut self, site: &Site) -> Slot {
        let held: Vec<Held> = site.certificates.iter().map(|files| self.pair(site, files)).collect();
        let label = label(site);
        for pair in held.iter().filter_map(|held| held.pair.as_ref()) {
            self.warnings.extend(pair.warnings.iter().map(|text| format!("{text} ({label})")));
        }
        for (held, text) in held.iter().flat_map(|held| about_time(held, self.now, self.warn_before)) {
            self.warnings.push(format!("{}: {text} ({label})", held.files.certificate.display()));
        }
        self.warnings.extend(twice(&held).map(|text| format!("{text} ({label})")));
        Slot::new(first_name(site).into(), held)
    }

    fn pair(&mut self, site: &Site, files: &CertificateFiles) -> Held {
        let before = self.known.get(first_name(site), files);
        let last_good = before.and_then(|held| held.pair.as_ref());
        let read = Pair::read(files, &site.names, last_good, self.reading);
        let read = read.and_then(|pair| self.no_worse(files, pair, last_good));
        let (pair, fault) = match (read, last_good) {
            (Ok(pair), _) => (Some(pair), None),
            (Err(why), Some(last_good)) => {
                let why = why.join("; ");
                self.warnings.push(format!("{why} ({}); the last good pair is served on", label(site)));
                (Some(Arc::clone(last_good)), Some(why.into()))
            }
            (Err(why), None) => {
                let known = before.is_some_and(|held| held.fault.is_some());
                let all = why.iter().map(|why| format!("{why} ({})", label(site)));
                // What could not be served before, and cannot be served now, is no reason to refuse anything else.
                if known {
                    self.warnings.extend(all)
                } else {
                    self.broken.extend(all)
                }
                (None, Some(why.join("; ").into()))
            }
        };
        let (pair, unstapled) = self.staple(site, files, pair);
        Held { files: files.clone(), pair, fault, unstapled }
    }

    /// A pair that is out of date does not take the place of one that is not.
    fn no_worse(
        &self,
        files: &CertificateFiles,
        new: Arc<Pair>,
        old: Option<&Arc<Pair>>,
    ) -> Result<Arc<Pair>, Vec<String>> {
        let good = |pair: &Pair| {
            pair.lives.iter().all(|life| matches!(expiry::age(life, self.now, 0), Age::Good | Age::Ending))
        };
        match old {
            Some(old) if !Arc::ptr_eq(old, &new) && good(old) && !good(&new) => {
                let why = expiry::warnings(&new.lives, self.now, 0);
                Err(why.map(|why| format!("{}: {why}", files.certificate.display())).collect())
            }
            _ => Ok(new),
        }
    }

    /// The pair with the staple that belongs to it now, and why there is none.
    fn staple(
        &mut self,
        site: &Site,
        files: &CertificateFiles,
        pair: Option<Arc<Pair>>,
    ) -> (Option<Arc<Pair>>, Option<Arc<str>>) {
        let Some(pair) = pair else { return (None, None) };
        let Some(path) = &files.ocsp else {
            let bare = if pair.stapled.is_some() { pair.with(None) } else { pair };
            if bare.must_staple {
                let text = "clients may refuse this certificate without an OCSP response (must-staple): give `ocsp`";
                self.warnings.push(format!("{}: {text} ({})", files.certificate.display(), label(site)));
            }
            return (Some(bare), None);
        };
        let read = (self.reading.read)(path);
        let judged = read.and_then(|der| {
            let same = pair.certified.ocsp.as_ref() == Some(&der) && is_fresh(&pair, self.now);
            if same {
                return Ok(None);
            }
            let judged = ocsp::judge(&der, &pair.leaf(), self.now);
            judged.map(Some).map_err(|why| format!("{}: {why}", path.display()))
        });
        match judged {
            Ok(None) => (Some(pair), None),
            Ok(Some(staple)) => (Some(pair.with(Some(staple))), None),
            Err(why) => {
                // An older response of the same certificate that is still good is as good as before.
                let kept = is_fresh(&pair, self.now);
                let what = match (kept, pair.must_staple) {
                    (true, _) => "the last good response is stapled on",
                    (false, true) => {
                        "nothing is stapled, and clients may refuse this certificate without (must-staple)"
                    }
                    (false, false) => "nothing is stapled",
                };
                self.warnings.push(format!("{why} ({}); {what}", label(site)));
                let pair = if kept || pair.stapled.is_none() { pair } else { pair.with(None) };
                (Some(pair), Some(why.into()))
            }
        }
    }
}

/// Whether the staple of a pair may be shown.
fn is_fresh(pair: &Pair, now: i64) -> bool {
    pair.stapled.is_some_and(|(from, until)| ocsp::Staple { der: Vec::new(), from, until }.is_fresh(now))
}

/// What time has to say about a pair.
pub fn about_time(held: &Held, now: i64, warn_before: i64) -> impl Iterator<Item = (&Held, String)> {
    let pairs = held.pair.iter();
    pairs.flat_map(move |pair| expiry::warnings(&pair.lives, now, warn_before)).map(move |text| (held, text))
}

/// By which a site is known from one configuration to the next.
pub fn first_name(site: &Site) -> &str {
    site.names.first().map_or("without a name", |name| name.as_str())
}

/// How a site is called in a message.
fn label(site: &Site) -> String {
    format!("[[site]] {}", first_name(site))
}

/// Several pairs in one site are for different kinds of key; the second of one kind would never be used.
fn twice(held: &[Held]) -> impl Iterator<Item = String> {
    let families: Vec<&str> =
        held.iter().filter_map(|held| held.pair.as_ref()).map(|pair| pair.key.kind().family()).collect();
    let again =
        |at: usize| families.get(at).filter(|family| families.iter().take(at).any(|known| known == *family)).copied();
    let repeated: Vec<&str> = (0..families.len()).filter_map(again).collect();
    repeated
        .into_iter()
        .map(|family| format!("two certificates with a key of the kind {family}: the second is hardly ever used"))
}

#[cfg(test)]
#[path = "certificates/tests.rs"]
mod tests;
