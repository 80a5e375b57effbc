//! What a private key is, without doing any arithmetic with it: its kind, and its public half where the file holds one (RSA
//! always does, RFC 8017 §A.1.2; EC keys nearly always, RFC 5915 §3; Ed25519 sometimes, RFC 5958 §2). So thousands of pairs are
//! told to belong together, or not, in microseconds each, before any of them is parsed. Pure; never prints a byte of a key.

use rustls::SignatureScheme as S;
use rustls_pki_types::PrivateKeyDer;

use super::der::{Der, tag};

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];

/// Kinds of keys that can be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum KeyKind {
    Rsa,
    P256,
    P384,
    P521,
    Ed25519,
}

impl KeyKind {
    /// Cheap to sign with first; a client that cannot check it gets the next one.
    pub fn preference(self) -> u8 {
        match self {
            Self::P256 | Self::P384 | Self::P521 => 0,
            Self::Ed25519 => 1,
            Self::Rsa => 2,
        }
    }

    /// ECDSA curves count as one kind: nearly every client checks all of them.
    pub fn family(self) -> &'static str {
        match self {
            Self::P256 | Self::P384 | Self::P521 => "ECDSA",
            Self::Ed25519 => "ED25519",
            Self::Rsa => "RSA",
        }
    }

    /// Whether such a key can sign with one of these (RFC 8446 §4.2.3). The key itself has the last word.
    pub fn can_sign(self, offered: &[S]) -> bool {
        let own: &[S] = match self {
            Self::Rsa => &[
                S::RSA_PSS_SHA256,
                S::RSA_PSS_SHA384,
                S::RSA_PSS_SHA512,
                S::RSA_PKCS1_SHA256,
                S::RSA_PKCS1_SHA384,
                S::RSA_PKCS1_SHA512,
            ],
            Self::P256 => &[S::ECDSA_NISTP256_SHA256],
            Self::P384 => &[S::ECDSA_NISTP384_SHA384],
            Self::P521 => &[S::ECDSA_NISTP521_SHA512],
            Self::Ed25519 => &[S::ED25519],
        };
        offered.iter().any(|scheme| own.contains(scheme))
    }
}

/// Whether a key belongs to a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belongs {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// The key has to be parsed to tell: its public half is not in the file, or the kind is not known here.
    Unknown,
}

/// A private key as it stands in its file.
#[derive(Clone, Copy)]
pub struct KeyShape<'k> {
    /// Which kind; `None`: not known here.
    pub kind: Option<KeyKind>,
    public: Option<Public<'k>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Public<'k> {
    /// Modulus and exponent, without zeros in front.
    Rsa(&'k [u8], &'k [u8]),
    /// A point.
    Bits(&'k [u8]),
}

impl<'k> KeyShape<'k> {
    /// Reads what can be read; what is damaged has no kind.
    pub fn of(key: &'k PrivateKeyDer<'_>) -> Self {
        let read = match key {
            PrivateKeyDer::Pkcs1(der) => rsa(der.secret_pkcs1_der()),
            PrivateKeyDer::Sec1(der) => ec(der.secret_sec1_der(), None),
            PrivateKeyDer::Pkcs8(der) => pkcs8(der.secret_pkcs8_der()),
            _ => None,
        };
        let (kind, public) = read.map_or((None, None), |(kind, public)| (Some(kind), public));
        Self { kind, public }
    }

    /// Whether it belongs to a certificate with this key (the `subjectPublicKey` of RFC 5280 §4.1.2.7, without its count of
    /// unused bits).
    pub fn belongs_to(&self, certified: &[u8]) -> Belongs {
        let Some(own) = self.public else { return Belongs::Unknown };
        let theirs = match own {
            Public::Bits(_) => Some(Public::Bits(certified)),
            Public::Rsa(..) => modulus_and_exponent(certified),
        };
        if theirs == Some(own) { Belongs::Yes } else { Belongs::No }
    }
}

type Read<'k> = Option<(KeyKind, Option<Public<'k>>)>;

fn modulus_and_exponent(bytes: &[u8]) -> Option<Public<'_>> {
    let mut key = Der::new(bytes).inside(tag::SEQUENCE)?;
    Some(Public::Rsa(key.unsigned()?, key.unsigned()?))
}

fn rsa(bytes: &[u8]) -> Read<'_> {
    let mut key = Der::new(bytes).inside(tag::SEQUENCE)?;
    let _version = key.unsigned()?;
    Some((KeyKind::Rsa, Some(Public::Rsa(key.unsigned()?, key.unsigned()?))))
}

fn ec<'k>(bytes: &'k [u8], curve: Option<&'k [u8]>) -> Read<'k> {
    let mut key = Der::new(bytes).inside(tag::SEQUENCE)?;
    let _version = key.unsigned()?;
    let _secret = key.one(tag::OCTET_STRING)?;
    let named = key.inside(tag::explicit(0)).and_then(|mut named| named.one(tag::OID));
    let kind = match curve.or(named)? {
        P256 => KeyKind::P256,
        P384 => KeyKind::P384,
        P521 => KeyKind::P521,
        _ => return None,
    };
    let public = key.inside(tag::explicit(1)).and_then(|mut public| public.one(tag::BIT_STRING));
    Some((kind, public.and_then(whole_bytes).map(Public::Bits)))
}

fn pkcs8(bytes: &[u8]) -> Read<'_> {
    let mut key = Der::new(bytes).inside(tag::SEQUENCE)?;
    let _version = key.unsigned()?;
    let mut algorithm = key.inside(tag::SEQUENCE)?;
    let secret = |key: &mut Der<'_>| key.one(tag::OCTET_STRING).map(<[u8]>::len);
    match algorithm.one(tag::OID)? {
        RSA => rsa(key.one(tag::OCTET_STRING)?),
        EC => ec(key.one(tag::OCTET_STRING)?, algorithm.one(tag::OID)),
        ED25519 => {
            secret(&mut key)?;
            let _attributes = key.one(tag::explicit(0));
            let public = key.one(tag::implicit(1)).and_then(whole_bytes);
            Some((KeyKind::Ed25519, public.map(Public::Bits)))
        }
        _ => None,
    }
}

/// The contents of a bit string that ends with a byte.
fn whole_bytes(bits: &[u8]) -> Option<&[u8]> {
    match bits {
        [0, bytes @ ..] => Some(bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rcgen::{KeyPair, PublicKeyData, SignatureAlgorithm as Algorithm};
    use rustls_pki_types::PrivatePkcs8KeyDer;

    fn pair(algorithm: &'static Algorithm) -> (KeyPair, PrivateKeyDer<'static>) {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let der = PrivatePkcs8KeyDer::from(key.serialize_der());
        (key, der.into())
    }

    #[test]
    fn kinds_are_told_and_public_halves_compared() {
        for (algorithm, kind) in [
            (&rcgen::PKCS_RSA_SHA256, KeyKind::Rsa),
            (&rcgen::PKCS_ECDSA_P256_SHA256, KeyKind::P256),
            (&rcgen::PKCS_ECDSA_P384_SHA384, KeyKind::P384),
            (&rcgen::PKCS_ED25519, KeyKind::Ed25519),
        ] {
            let ((own, der), (other, _)) = (pair(algorithm), pair(algorithm));
            let shape = KeyShape::of(&der);
            assert_eq!(shape.kind, Some(kind));
            assert_ne!(shape.belongs_to(own.der_bytes()), Belongs::No, "{kind:?}");
            assert_ne!(shape.belongs_to(other.der_bytes()), Belongs::Yes, "{kind:?}");
            if kind != KeyKind::Ed25519 {
                assert_eq!(shape.belongs_to(own.der_bytes()), Belongs::Yes, "{kind:?}");
                assert_eq!(shape.belongs_to(other.der_bytes()), Belongs::No, "{kind:?}");
            }
        }
    }

    #[test]
    fn what_is_damaged_has_no_kind_and_no_opinion() {
        let (own, der) = pair(&rcgen::PKCS_ECDSA_P256_SHA256);
        let bytes = der.secret_der().to_vec();
        for end in 0..bytes.len() {
            let cut: PrivateKeyDer<'_> = PrivatePkcs8KeyDer::from(bytes.get(..end).unwrap().to_vec()).into();
            let shape = KeyShape::of(&cut);
            assert_eq!((shape.kind, shape.belongs_to(own.der_bytes())), (None, Belongs::Unknown), "{end}");
        }
    }

    #[test]
    fn a_kind_is_asked_only_for_what_it_can_sign() {
        assert!(KeyKind::Rsa.can_sign(&[S::ECDSA_NISTP256_SHA256, S::RSA_PSS_SHA256]));
        assert!(!KeyKind::Rsa.can_sign(&[S::ECDSA_NISTP256_SHA256, S::ED25519]));
        assert!(!KeyKind::P256.can_sign(&[S::ECDSA_NISTP384_SHA384]));
    }
}
