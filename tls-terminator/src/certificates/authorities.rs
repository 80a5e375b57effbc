//! The authorities of client certificates, out of PEM.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::source::Read;

/// The authorities that may have signed client certificates.
///
/// # Errors
/// Which file is wrong, and how.
pub fn authorities(files: &[PathBuf], read: Read<'_>) -> Result<Arc<RootCertStore>, String> {
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
