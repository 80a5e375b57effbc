//! Reads every site's chains and keys before the sandbox closes: afterwards no file can be opened, which is the point. A
//! reload brings their contents with it.
//!
//! `--check` runs the same code, so what passes it can be served. Every complaint names the file and the site. It must never
//! print a byte of a key.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use common::config::{CertificateFiles, Files, Site};
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore, SignatureAlgorithm};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::judge_chain;

/// Largest certificate or key file. A chain is a few KiB.
const MAX_FILE: usize = 1 << 20;
/// Longest chain; the whole of it goes into every handshake.
const MAX_CHAIN: usize = 16;

/// A site's keys with their chains, in the order in which they are tried.
pub type SiteKeys = Vec<Arc<CertifiedKey>>;

/// What loading came to.
#[derive(Debug, Default)]
pub struct Loaded {
    /// One entry per site, in the order of the configuration.
    pub sites: Vec<SiteKeys>,
    /// One entry per site: the authorities of client certificates, where clients are asked for one.
    pub authorities: Vec<Option<Arc<RootCertStore>>>,
    /// What cannot be served; not empty: do not start.
    pub errors: Vec<String>,
    /// What clients may refuse.
    pub warnings: Vec<String>,
}

/// Where bytes come from: the disk at the start, what was handed over at a reload.
type Read<'a> = &'a dyn Fn(&Path) -> Result<Vec<u8>, String>;

/// Loads the keys of all sites from their files and judges them.
pub fn load(sites: &[Site], provider: &CryptoProvider) -> Loaded {
    load_by(sites, provider, &read)
}

/// The same from contents that somebody else has read.
pub fn load_from(sites: &[Site], provider: &CryptoProvider, files: &Files) -> Loaded {
    load_by(sites, provider, &|path| {
        let bytes = files.get(path)?;
        if bytes.len() > MAX_FILE {
            return Err(too_large(path));
        }
        Ok(bytes.to_vec())
    })
}

fn load_by(sites: &[Site], provider: &CryptoProvider, read: Read<'_>) -> Loaded {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let mut loaded = Loaded::default();
    for site in sites {
        let mut keys = SiteKeys::new();
        for files in &site.certificates {
            match load_pair(files, provider, read) {
                Ok(pair) => {
                    let findings = judge_chain::judge(&pair.cert, &site.names, now);
                    let tell = |text: String| format!("{}: {text} ({})", files.certificate.display(), label(site));
                    loaded.errors.extend(findings.errors.into_iter().map(tell));
                    loaded.warnings.extend(findings.warnings.into_iter().map(tell));
                    keys.push(Arc::new(pair));
                }
                Err(text) => loaded.errors.push(format!("{text} ({})", label(site))),
            }
        }
        keys.sort_by_key(|pair| preference(pair.key.algorithm()));
        loaded.warnings.extend(twice(&keys).map(|text| format!("{text} ({})", label(site))));
        loaded.sites.push(keys);
        let authorities = site.client_auth.as_ref().map(|auth| authorities(&auth.authorities, read)).transpose();
        loaded.authorities.push(authorities.unwrap_or_else(|text| {
            loaded.errors.push(format!("{text} ({})", label(site)));
            None
        }));
    }
    loaded
}

/// How a site is called in a message.
fn label(site: &Site) -> String {
    let first = site.names.first().map_or("without a name", |name| name.as_str());
    format!("[[site]] {first}")
}

/// Cheap to sign with first; a client that cannot check it gets the next one.
fn preference(algorithm: SignatureAlgorithm) -> u8 {
    match algorithm {
        SignatureAlgorithm::ECDSA => 0,
        SignatureAlgorithm::ED25519 | SignatureAlgorithm::ED448 => 1,
        _ => 2,
    }
}

/// Several pairs in one site are for different kinds of key; the second of one kind would never be used. ECDSA curves count
/// as one kind: nearly every client checks all of them.
fn twice(keys: &[Arc<CertifiedKey>]) -> impl Iterator<Item = String> {
    let same = keys.windows(2).filter(|pair| {
        let mut algorithms = pair.iter().map(|key| key.key.algorithm());
        algorithms.next() == algorithms.next()
    });
    same.filter_map(|pair| pair.first()).map(|key| {
        format!("two certificates with a key of the kind {:?}: the second is hardly ever used", key.key.algorithm())
    })
}

/// The authorities that may have signed client certificates.
fn authorities(files: &[PathBuf], read: Read<'_>) -> Result<Arc<RootCertStore>, String> {
    let mut store = RootCertStore::empty();
    for path in files {
        let pem = read(path)?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let certificates = certificates.map_err(|error| format!("{}: not valid PEM: {error}", path.display()))?;
        if certificates.is_empty() {
            return Err(format!(
                "{}: no certificate in it; authorities of clients in PEM were expected",
                path.display()
            ));
        }
        for (place, certificate) in certificates.into_iter().enumerate() {
            let tell = |error| format!("{}: certificate {} is no authority: {error}", path.display(), place + 1);
            store.add(certificate).map_err(tell)?;
        }
    }
    Ok(Arc::new(store))
}

fn load_pair(files: &CertificateFiles, provider: &CryptoProvider, read: Read<'_>) -> Result<CertifiedKey, String> {
    let chain = read_chain(&files.certificate, read)?;
    let key = read_key(&files.key, read)?;
    let key = provider.key_provider.load_private_key(key).map_err(|error| {
        format!(
            "{}: the key cannot be used: {error}; wanted: RSA (2048 to 8192 bits), ECDSA P-256/384/521 or Ed25519",
            files.key.display()
        )
    })?;
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(pair),
        Err(rustls::Error::InconsistentKeys(_)) => Err(mismatch(files, pair)),
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

fn read_chain(path: &Path, read: Read<'_>) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|error| format!("{}: not valid PEM: {error}", path.display()))?;
    match chain.len() {
        0 => Err(format!("{}: {}", path.display(), no_certificate(&pem))),
        1..=MAX_CHAIN => Ok(chain),
        more => Err(format!("{}: {more} certificates, at most {MAX_CHAIN} make a chain", path.display())),
    }
}

fn no_certificate(pem: &[u8]) -> &'static str {
    if pem.iter().all(u8::is_ascii_whitespace) {
        "the file is empty; a PEM certificate chain was expected"
    } else if contains(pem, b"PRIVATE KEY-----") {
        "this is a key, not a certificate: are `certificate` and `key` the wrong way round?"
    } else if pem.first() == Some(&0x30) {
        "this seems to be DER; PEM was expected (openssl x509 -inform der -in FILE)"
    } else {
        "no certificate in it; a line '-----BEGIN CERTIFICATE-----' was expected"
    }
}

fn read_key(path: &Path, read: Read<'_>) -> Result<PrivateKeyDer<'static>, String> {
    let pem = read(path)?;
    if contains(&pem, b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || contains(&pem, b"Proc-Type: 4,ENCRYPTED") {
        return Err(format!(
            "{}: the key is protected by a password, which nobody could type in at a restart; decrypt it (openssl pkey -in FILE) and let its mode protect it",
            path.display()
        ));
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
        rustls_pki_types::pem::Error::NoItemsFound => format!("{}: {}", path.display(), no_key(&pem)),
        // The error's own text could quote the file.
        _ => format!("{}: not valid PEM: a line is damaged or missing", path.display()),
    })
}

fn no_key(pem: &[u8]) -> &'static str {
    if pem.iter().all(u8::is_ascii_whitespace) {
        "the file is empty; a PEM private key was expected"
    } else if contains(pem, b"-----BEGIN CERTIFICATE-----") {
        "this is a certificate, not a key: are `certificate` and `key` the wrong way round?"
    } else if pem.first() == Some(&0x30) {
        "this seems to be DER; PEM was expected (openssl pkey -inform der -in FILE)"
    } else {
        "no private key in it; a line '-----BEGIN PRIVATE KEY-----' was expected"
    }
}

/// Reads a file of bounded size.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let file =
        common::credentials::open(path).map_err(|error| format!("{}: cannot open it: {error}", path.display()))?;
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("{}: cannot read it: {error}", path.display()))?;
    if bytes.len() > MAX_FILE {
        return Err(too_large(path));
    }
    Ok(bytes)
}

fn too_large(path: &Path) -> String {
    format!("{}: larger than {MAX_FILE} bytes, so hardly a certificate or key", path.display())
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
#[path = "certificates/tests.rs"]
mod tests;
