//! A certificate authority that lives as long as the test program, and leaves signed by it on demand.

use std::sync::OnceLock;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SignatureAlgorithm,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// A certificate and the key to it.
#[derive(Debug, Clone)]
pub struct Signed {
    /// As text.
    pub pem: String,
    /// PKCS #8, as text.
    pub key_pem: String,
    /// As it travels in a handshake.
    pub der: CertificateDer<'static>,
}

impl Signed {
    /// The key for rustls.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).expect("rcgen writes PEM")
    }
}

fn authority() -> &'static CertifiedIssuer<'static, KeyPair> {
    static AUTHORITY: OnceLock<CertifiedIssuer<'static, KeyPair>> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, "Bulkhead test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("randomness");
        CertifiedIssuer::self_signed(params, key).expect("a plain certificate")
    })
}

/// The authority as text, for `curl --cacert`.
pub fn authority_pem() -> String {
    authority().pem()
}

/// The authority for rustls.
pub fn authority_der() -> CertificateDer<'static> {
    authority().der().clone()
}

/// Another authority, which nothing of a world trusts.
fn stranger() -> &'static CertifiedIssuer<'static, KeyPair> {
    static STRANGER: OnceLock<CertifiedIssuer<'static, KeyPair>> = OnceLock::new();
    STRANGER.get_or_init(|| {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, "Somebody else's CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("randomness");
        CertifiedIssuer::self_signed(params, key).expect("a plain certificate")
    })
}

/// A client's certificate: common name, unit, alternative names (DNS), and whether the test authority signs it.
pub fn client(name: &str, unit: &str, names: &[&str], trusted: bool) -> Signed {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names are names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationalUnitName, unit);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("randomness");
    let issuer = if trusted { authority() } else { stranger() };
    let certificate = params.signed_by(&key, issuer).expect("a plain certificate");
    Signed { pem: certificate.pem(), key_pem: key.serialize_pem(), der: certificate.der().clone() }
}

/// A certificate for these names, with a key on P-256.
pub fn sign(names: &[&str]) -> Signed {
    sign_as(names, &PKCS_ECDSA_P256_SHA256)
}

/// A certificate for these names, with another kind of key.
pub fn sign_as(names: &[&str], kind: &'static SignatureAlgorithm) -> Signed {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let params = CertificateParams::new(names).expect("names are names");
    let key = KeyPair::generate_for(kind).expect("randomness");
    let certificate = params.signed_by(&key, authority()).expect("a plain certificate");
    Signed { pem: certificate.pem(), key_pem: key.serialize_pem(), der: certificate.der().clone() }
}
