//! One certificate chain with its private key, judged. The key is not parsed for that, as long as its public half stands in its
//! file ([`super::key_shape`]).

use std::cell::Cell;
use std::sync::Arc;

use common::config::{CertificateFiles, NamePattern};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::expiry;
use super::key_shape::{Belongs, KeyKind, KeyShape};
use super::lazy_key::{KeyRing, LazyKey, Signing};
use super::ocsp::Staple;
use super::pem;
use super::source::Read;
use crate::judge_chain::{self, Leaf, Life};

/// A pair that can be served.
#[derive(Debug)]
pub struct Pair {
    /// What rustls is given; with a staple where there is one.
    pub certified: Arc<CertifiedKey>,
    /// Its key.
    pub key: Arc<LazyKey>,
    /// From when to when its certificates are valid, leaf first.
    pub lives: Vec<Life>,
    /// What clients may refuse, beside dates.
    pub warnings: Vec<String>,
    /// The first and the last second in which its staple may be shown.
    pub stapled: Option<(i64, i64)>,
    /// Clients may refuse it without a staple.
    pub must_staple: bool,
    /// The names it was judged for.
    names: Vec<NamePattern>,
}

/// How a pair is read.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// Where bytes come from.
    pub read: Read<'a>,
    /// Who parses keys.
    pub provider: &'static dyn rustls::crypto::KeyProvider,
    /// Where parsed keys live.
    pub ring: &'a Arc<KeyRing>,
    /// So many new keys are parsed at once, so that even one whose numbers are damaged is found; the others when wanted.
    pub parse: &'a Cell<u32>,
}

impl Pair {
    /// Reads and judges a pair for a site of these names; one that is `known` already and has not changed comes back.
    ///
    /// # Errors
    /// Everything that speaks against serving it.
    pub fn read(
        files: &CertificateFiles,
        names: &[NamePattern],
        known: Option<&Arc<Pair>>,
        reading: Reading<'_>,
    ) -> Result<Arc<Pair>, Vec<String>> {
        let one = |text: String| vec![text];
        let chain = pem::read_chain(&files.certificate, reading.read).map_err(one)?;
        let key = pem::read_key(&files.key, reading.read).map_err(one)?;
        if let Some(known) = known.filter(|known| known.is(&chain, &key, names)) {
            return Ok(Arc::clone(known));
        }
        let findings = judge_chain::judge(&chain, names);
        let tell = |text: String| format!("{}: {text}", files.certificate.display());
        if !findings.errors.is_empty() {
            return Err(findings.errors.into_iter().map(tell).collect());
        }
        let (kind, parsed) = fit(files, &chain, &key, &findings.leaf, reading).map_err(one)?;
        let key = LazyKey::new(key, kind, reading.provider, reading.ring);
        if parsed {
            key.note(false);
        }
        Ok(Arc::new(Self {
            certified: Arc::new(CertifiedKey::new(chain, Arc::new(Signing(Arc::clone(&key))))),
            key,
            lives: findings.lives,
            warnings: findings.warnings.into_iter().map(tell).collect(),
            stapled: None,
            must_staple: findings.leaf.must_staple,
            names: names.to_vec(),
        }))
    }

    fn is(&self, chain: &[CertificateDer<'_>], key: &PrivateKeyDer<'_>, names: &[NamePattern]) -> bool {
        self.certified.cert == chain && self.key.is(key) && self.names == names
    }

    /// The same pair with another staple, or with none.
    #[must_use]
    pub fn with(&self, staple: Option<Staple>) -> Arc<Self> {
        let stapled = staple.as_ref().map(|staple| (staple.from, staple.until));
        let mut certified = CertifiedKey::clone(&self.certified);
        certified.ocsp = staple.map(|staple| staple.der);
        Arc::new(Self {
            certified: Arc::new(certified),
            key: Arc::clone(&self.key),
            lives: self.lives.clone(),
            warnings: self.warnings.clone(),
            stapled,
            must_staple: self.must_staple,
            names: self.names.clone(),
        })
    }

    /// What an OCSP response must speak of.
    pub fn leaf(&self) -> Leaf {
        judge_chain::judge(&self.certified.cert, &[]).leaf
    }

    /// The last second of its validity.
    pub fn end(&self) -> i64 {
        expiry::end(&self.lives).unwrap_or(i64::MAX)
    }

    /// Parses the key, to be sure of it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(&self) -> Result<(), Error> {
        let parsed = CertifiedKey::new(self.certified.cert.clone(), self.key.parse()?);
        match parsed.keys_match() {
            Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(()),
            other => other,
        }
    }
}

/// Whether key and certificate belong together: which kind the key is, and whether it was parsed to find out.
fn fit(
    files: &CertificateFiles,
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
    leaf: &Leaf,
    reading: Reading<'_>,
) -> Result<(KeyKind, bool), String> {
    let shape = KeyShape::of(key);
    let left = reading.parse.get();
    reading.parse.set(left.saturating_sub(1));
    if let (Some(kind), Belongs::Yes, 0) = (shape.kind, shape.belongs_to(&leaf.key), left) {
        return Ok((kind, false));
    }
    let unusable = |why: &dyn std::fmt::Display| {
        format!(
            "{}: the key cannot be used: {why}; wanted: RSA (2048 to 8192 bits), ECDSA P-256/384/521 or Ed25519",
            files.key.display()
        )
    };
    let parsed = reading.provider.load_private_key(key.clone_key()).map_err(|error| unusable(&error))?;
    let pair = CertifiedKey::new(chain.to_vec(), parsed);
    match pair.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
            shape.kind.map(|kind| (kind, true)).ok_or_else(|| unusable(&"it is of another kind"))
        }
        Err(Error::InconsistentKeys(_)) => Err(mismatch(files, pair)),
        Err(error) => Err(format!("{}: the first certificate cannot be read: {error}", files.certificate.display())),
    }
}

/// Says more than "does not match" when the key fits another certificate of the chain.
fn mismatch(files: &CertificateFiles, mut pair: CertifiedKey) -> String {
    let (key, certificate) = (files.key.display(), files.certificate.display());
    for place in 2..=pair.cert.len() {
        pair.cert.rotate_left(1);
        if pair.keys_match().is_ok() {
            return format!(
                "{certificate}: the chain is in the wrong order: the key {key} belongs to certificate {place} of it, which must come first"
            );
        }
    }
    format!("{key}: this key does not belong to the certificate {certificate}")
}
