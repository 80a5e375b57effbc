//! Chains and keys out of PEM (RFC 7468), and what a file is when it is neither. Must never print a byte of a key.

use std::path::Path;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::source::Read;

/// Longest chain; the whole of it goes into every handshake.
const MAX_CHAIN: usize = 16;

/// The chain in a file, leaf first.
///
/// # Errors
/// What the file is instead.
pub fn read_chain(path: &Path, read: Read<'_>) -> Result<Vec<CertificateDer<'static>>, String> {
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

/// The private key in a file.
///
/// # Errors
/// What the file is instead; nothing of its contents.
pub fn read_key(path: &Path, read: Read<'_>) -> Result<PrivateKeyDer<'static>, String> {
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

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
