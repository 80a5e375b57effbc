//! Whose client certificates are good: signed by the site's authorities, not revoked, with one of the names that may come in.
//!
//! RFC 5280 §6 (path), §5 and §6.3 (revocation lists) are webpki's work; RFC 5280 §4.2.1.6 names are compared here, after everything else
//! was found good. What is refused ends the handshake with the alert that fits: `certificate_revoked`, `unknown_ca` (nothing is known of
//! its revocation), `access_denied` (a good certificate whose names may not come in). It must never accept what it could not judge.

use std::path::PathBuf;
use std::sync::Arc;

use common::config::{AllowedNames, ClientAuth};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::client_identity::identity;
use crate::policy::Read;
use crate::under_way;

/// First byte of every DER structure that is a list.
const SEQUENCE: u8 = 0x30;

/// Reads revocation lists, PEM or DER. Lists that are out of date go into `warnings`.
///
/// # Errors
/// Which file cannot be used, and why.
pub fn lists(
    paths: &[PathBuf],
    read: Read<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let mut all = Vec::new();
    for path in paths {
        let shown = path.display();
        let bytes = read(path).map_err(|error| format!("site.crl: {error}"))?;
        let found: Vec<CertificateRevocationListDer<'static>> = if bytes.first() == Some(&SEQUENCE) {
            vec![bytes.into()]
        } else {
            let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
            found.map_err(|error| format!("site.crl: {shown}: not valid PEM: {error}"))?
        };
        if found.is_empty() {
            return Err(format!(
                "site.crl: {shown}: no revocation list in it; a line '-----BEGIN X509 CRL-----' or DER was expected"
            ));
        }
        for list in &found {
            let (_, parsed) = CertificateRevocationList::from_der(list)
                .map_err(|error| format!("site.crl: {shown}: this is no revocation list: {error}"))?;
            if let Some(until) = parsed.next_update().filter(|until| until.timestamp() < seconds_now()) {
                warnings
                    .push(format!("site.crl: {shown}: the list of '{}' is out of date since {until}", parsed.issuer()));
            }
        }
        all.extend(found);
    }
    Ok(all)
}

fn seconds_now() -> i64 {
    i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX)
}

/// The judge of one site's client certificates.
///
/// # Errors
/// Why there can be none.
pub fn verifier(
    auth: &ClientAuth,
    authorities: &Arc<RootCertStore>,
    lists: Vec<CertificateRevocationListDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let revocation = &auth.revocation;
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(authorities), Arc::clone(provider));
    if !auth.required {
        builder = builder.allow_unauthenticated();
    }
    builder = builder.with_crls(lists);
    if revocation.accept_unknown {
        builder = builder.allow_unknown_revocation_status();
    }
    if !revocation.accept_expired {
        builder = builder.enforce_revocation_expiration();
    }
    let inner = builder.build().map_err(|error| format!("client_ca or crl: {error}"))?;
    Ok(Arc::new(Judge { inner, allowed: auth.allowed_names.clone() }))
}

/// webpki's verifier, and then ours.
#[derive(Debug)]
struct Judge {
    inner: Arc<dyn ClientCertVerifier>,
    allowed: AllowedNames,
}

/// Whether one of a certificate's alternative names (`DNS:ada.example`) may come in.
pub fn may_come_in(allowed: &AllowedNames, names: &[Box<str>]) -> bool {
    allowed.is_empty()
        || names
            .iter()
            .filter_map(|name| name.split_once(':'))
            .any(|(kind, name)| allowed.iter().any(|own| *own.name == *kind && own.value.matches(name.as_bytes())))
}

/// What is only said of a certificate that an authority of the site has signed: whose it is may be told then.
fn told_of_a_signed_one(error: &Error) -> bool {
    use CertificateError as E;
    let Error::InvalidCertificate(error) = error else { return false };
    matches!(
        error,
        E::Revoked | E::UnknownRevocationStatus | E::ExpiredRevocationList | E::ExpiredRevocationListContext { .. }
    )
}

impl ClientCertVerifier for Judge {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verdict = self.inner.verify_client_cert(end_entity, intermediates, now);
        let identity = match &verdict {
            Ok(_) if self.allowed.is_empty() => return verdict,
            Err(error) if !told_of_a_signed_one(error) => return verdict,
            _ => identity(end_entity).ok(),
        };
        // A certificate whose names cannot be read has none that may come in.
        if verdict.is_ok() && identity.as_ref().is_some_and(|identity| may_come_in(&self.allowed, &identity.names)) {
            return verdict;
        }
        if let Some(identity) = identity {
            under_way::current(|handshake| handshake.refuses(identity.subject));
        }
        verdict.and(Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
