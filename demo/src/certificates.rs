//! A small certificate authority for one demo, and the three certificates it signs.
//!
//! The authority may only sign names below `demo.test` (RFC 5280 §4.2.1.10) and its key is never written anywhere: it is
//! gone when this function returns, so trusting `ca.pem` by mistake afterwards lets nobody forge anything.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256,
};
use rustls_pki_types::CertificateDer;

/// Every name of the demo is below this one; `.test` never resolves (RFC 6761 §6.2).
pub const DOMAIN: &str = "demo.test";
/// Terminated, h1 and h2.
pub const WWW: &str = "www.demo.test";
/// Terminated too, with another certificate.
pub const API: &str = "api.demo.test";
/// Passed through to a backend that has its own certificate.
pub const SECURE: &str = "secure.demo.test";

/// A certificate and the key to it.
#[derive(Debug)]
pub struct Signed {
    /// As it travels in a handshake.
    pub der: CertificateDer<'static>,
    /// The same as text.
    pub pem: String,
    /// PKCS #8, as text. Secret.
    pub key_pem: String,
}

/// What [`make`] made.
#[derive(Debug)]
pub struct Certificates {
    /// The authority, as text.
    pub ca_pem: String,
    /// The authority, for our own clients.
    pub ca_der: CertificateDer<'static>,
    /// For [`WWW`].
    pub www: Signed,
    /// For [`API`].
    pub api: Signed,
    /// For [`SECURE`]; only the backend has it.
    pub secure: Signed,
}

/// Makes the authority and the three certificates.
///
/// # Errors
/// Only when the cryptographic library fails, for example for lack of randomness.
pub fn make() -> Result<Certificates, rcgen::Error> {
    let authority = authority()?;
    Ok(Certificates {
        ca_pem: authority.pem(),
        ca_der: authority.der().clone(),
        www: sign(WWW, &authority)?,
        api: sign(API, &authority)?,
        secure: sign(SECURE, &authority)?,
    })
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "Bulkhead demo CA, throw-away");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let below = GeneralSubtree::DnsName(DOMAIN.into());
    params.name_constraints = Some(NameConstraints { permitted_subtrees: vec![below], excluded_subtrees: Vec::new() });
    CertifiedIssuer::self_signed(params, KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)
}

fn sign(name: &str, authority: &CertifiedIssuer<'_, KeyPair>) -> Result<Signed, rcgen::Error> {
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.signed_by(&key, authority)?;
    Ok(Signed { der: certificate.der().clone(), pem: certificate.pem(), key_pem: key.serialize_pem() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls_pki_types::{ServerName, UnixTime};
    use std::sync::Arc;

    fn valid(made: &Certificates, certificate: &Signed, name: &'static str) -> bool {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.ca_der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let name = ServerName::try_from(name).unwrap();
        verifier.verify_server_cert(&certificate.der, &[], &name, &[], UnixTime::now()).is_ok()
    }

    #[test]
    fn each_is_valid_for_its_own_name_only() {
        let made = make().unwrap();
        assert!(valid(&made, &made.www, WWW) && valid(&made, &made.api, API) && valid(&made, &made.secure, SECURE));
        assert!(!valid(&made, &made.www, API) && !valid(&made, &made.secure, WWW));
    }

    #[test]
    fn the_authority_cannot_sign_foreign_names() {
        let made = make().unwrap();
        let foreign = sign("www.example.org", &authority().unwrap()).unwrap();
        assert!(!valid(&made, &foreign, "www.example.org"), "signed by another authority");
        let authority = authority().unwrap();
        let foreign = sign("www.example.org", &authority).unwrap();
        let made = Certificates { ca_der: authority.der().clone(), ..made };
        assert!(!valid(&made, &foreign, "www.example.org"), "outside the permitted names");
    }
}
