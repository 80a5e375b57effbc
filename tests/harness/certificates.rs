//! A certificate authority that lives as long as the test program, and leaves signed by it on demand.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, RevokedCertParams,
    SerialNumber, SignatureAlgorithm,
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
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
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
    signed(names, kind, |_| {})
}

/// A certificate for these names that was made 90 days ago and ends so many days and an hour from now, or so many ago.
pub fn sign_until(names: &[&str], days: i64) -> Signed {
    let day = |days: i64| Duration::from_secs(days.unsigned_abs() * 24 * 3600);
    let now = SystemTime::now() + Duration::from_secs(3600);
    signed(names, &PKCS_ECDSA_P256_SHA256, |params| {
        params.not_before = (now - day(90)).into();
        params.not_after = if days < 0 { now - day(days) } else { now + day(days) }.into();
    })
}

fn signed(names: &[&str], kind: &'static SignatureAlgorithm, change: impl FnOnce(&mut CertificateParams)) -> Signed {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names are names");
    change(&mut params);
    let key = KeyPair::generate_for(kind).expect("randomness");
    let certificate = params.signed_by(&key, authority()).expect("a plain certificate");
    Signed { pem: certificate.pem(), key_pem: key.serialize_pem(), der: certificate.der().clone() }
}

/// A client's certificate of the test authority, changed as the test wants.
pub fn client_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Signed {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    change(&mut params);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("randomness");
    let certificate = params.signed_by(&key, authority()).expect("a plain certificate");
    Signed { pem: certificate.pem(), key_pem: key.serialize_pem(), der: certificate.der().clone() }
}

/// A revocation list with these serial numbers, in PEM and DER: of the test authority or of a stranger, in date or out of it.
pub fn revocation_list(serials: &[u64], ours: bool, in_date: bool) -> (String, Vec<u8>) {
    let year = if in_date { 2090 } else { 2021 };
    let revoked = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: rcgen::date_time_ymd(2020, 2, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2020, 1, 1),
        next_update: rcgen::date_time_ymd(year, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let issuer = if ours { authority() } else { stranger() };
    let list = list.signed_by(issuer).expect("a plain list");
    (list.pem().expect("PEM"), list.der().to_vec())
}
