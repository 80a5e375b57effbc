//! Judges a certificate chain as a careful administrator would: order, dates, names. Pure: DER, names and a time in, findings
//! out. Clients are the ones who *verify* a chain (RFC 5280 §6); this only finds what would surprise its owner.

use crate::certificates::der::{Der, tag, without_zeros};
use common::config::NamePattern;
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// Names of the leaf that a warning lists before it says "and so on".
const MAX_LISTED_NAMES: usize = 8;
/// What a certificate that must not be used without an OCSP response says (RFC 7633 §4, `status_request` in RFC 6066 §8).
const TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";
const STATUS_REQUEST: &[u8] = &[5];

/// What was found. Errors make the chain unusable, warnings do not. What time does to it is another matter
/// ([`crate::certificates::expiry`]).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The chain must not be served.
    pub errors: Vec<String>,
    /// It is served, and some or all clients will refuse it.
    pub warnings: Vec<String>,
    /// What is good to know of the leaf.
    pub leaf: Leaf,
    /// One per certificate, leaf first.
    pub lives: Vec<Life>,
}

/// What is good to know of the leaf.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Leaf {
    /// Its number (RFC 5280 §4.1.2.2), without zeros in front.
    pub serial: Box<[u8]>,
    /// The DER of its issuer's name.
    pub issuer: Box<[u8]>,
    /// Its key (`subjectPublicKey`), without the count of unused bits.
    pub key: Box<[u8]>,
    /// The key of the next certificate in the chain, likewise; empty: it stands alone.
    pub issuer_key: Box<[u8]>,
    /// Clients that know the extension refuse it without an OCSP response.
    pub must_staple: bool,
}

/// From when to when a certificate is valid, both in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// `certificate 1 ('CN=shop.example')`
    pub which: Box<str>,
    /// The first second.
    pub from: i64,
    /// The last.
    pub until: i64,
}

/// Judges `chain`, leaf first, for a site that answers to `names`.
pub fn judge(chain: &[CertificateDer<'_>], names: &[NamePattern]) -> Findings {
    let mut findings = Findings::default();
    let mut parsed = Vec::with_capacity(chain.len());
    for (index, der) in chain.iter().enumerate() {
        match X509Certificate::from_der(der) {
            Ok(([], certificate)) => parsed.push(certificate),
            Ok(_) => findings.errors.push(format!("certificate {} has bytes behind its end", index + 1)),
            Err(error) => findings.errors.push(format!("certificate {} is not X.509: {error}", index + 1)),
        }
    }
    if !findings.errors.is_empty() {
        return findings;
    }
    judge_order(&parsed, &mut findings);
    findings.lives = parsed.iter().enumerate().map(|(index, certificate)| life(index, certificate)).collect();
    if let Some(leaf) = parsed.first() {
        judge_names(leaf, names, &mut findings);
        findings.leaf = facts(leaf, parsed.get(1));
    }
    findings
}

/// RFC 8446 §4.4.2: the leaf first, each following one should certify the one before. A root at the end is harmless.
fn judge_order(chain: &[X509Certificate<'_>], findings: &mut Findings) {
    let issues = |issuer: &X509Certificate<'_>, subject: &X509Certificate<'_>| {
        issuer.subject().as_raw() == subject.issuer().as_raw()
    };
    for (index, pair) in chain.windows(2).enumerate() {
        let [this, next] = pair else { continue };
        if issues(next, this) {
            continue;
        }
        let text = format!(
            "certificate {} of the chain ('{}') did not issue certificate {} ('{}', issued by '{}')",
            index + 2,
            next.subject(),
            index + 1,
            this.subject(),
            this.issuer()
        );
        let elsewhere = chain.iter().enumerate().any(|(at, other)| at != index && issues(other, this));
        if elsewhere || issues(this, next) {
            findings
                .errors
                .push(format!("{text}: the chain is in the wrong order, the leaf comes first, then its issuer"));
        } else {
            findings.warnings.push(format!("{text}: a certificate is missing or does not belong here"));
        }
    }
    if let [leaf, _, ..] = chain
        && leaf.is_ca()
    {
        findings.errors.push(format!(
            "the first certificate ('{}') is a certification authority: the leaf must come first",
            leaf.subject()
        ));
    }
}

fn life(index: usize, certificate: &X509Certificate<'_>) -> Life {
    let validity = certificate.validity();
    Life {
        which: format!("certificate {} ('{}')", index + 1, certificate.subject()).into(),
        from: validity.not_before.timestamp(),
        until: validity.not_after.timestamp(),
    }
}

fn facts(leaf: &X509Certificate<'_>, issuer: Option<&X509Certificate<'_>>) -> Leaf {
    let key = |of: &X509Certificate<'_>| of.public_key().subject_public_key.data.as_ref().into();
    // The value is a list of numbers, each below 256 so far.
    let asks = |value: &[u8]| {
        let mut der = Der::new(value);
        let mut features = der.inside(tag::SEQUENCE);
        std::iter::from_fn(|| features.as_mut()?.unsigned()).any(|feature| feature == STATUS_REQUEST)
    };
    let feature = leaf.extensions().iter().find(|extension| extension.oid.to_id_string() == TLS_FEATURE);
    Leaf {
        serial: without_zeros(leaf.raw_serial()).into(),
        issuer: leaf.issuer().as_raw().into(),
        key: key(leaf),
        issuer_key: issuer.map(key).unwrap_or_default(),
        must_staple: feature.is_some_and(|extension| asks(extension.value)),
    }
}

/// RFC 9525 §6.3: only the subjectAltName counts, a wildcard is the whole first label and stands for one label.
fn judge_names(leaf: &X509Certificate<'_>, names: &[NamePattern], findings: &mut Findings) {
    let alternative = leaf.subject_alternative_name().ok().flatten();
    let covered: Vec<String> = alternative
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| if let GeneralName::DNSName(text) = name { Some(text.to_ascii_lowercase()) } else { None })
        .collect();
    for name in names {
        if !covered.iter().any(|own| covers(own, name.as_str())) {
            let more = if covered.len() > MAX_LISTED_NAMES { ", and so on" } else { "" };
            let listed = match covered.as_slice() {
                [] => "none".to_owned(),
                some => some.iter().take(MAX_LISTED_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ") + more,
            };
            findings.warnings.push(format!(
                "the leaf does not cover {name}, clients that ask for it will refuse it (it covers: {listed})"
            ));
        }
    }
}

/// Whether a certificate's name covers a site's name or wildcard.
fn covers(own: &str, wanted: &str) -> bool {
    if own == wanted {
        return true;
    }
    match (own.strip_prefix("*."), wanted.split_once('.')) {
        (Some(suffix), Some((first, rest))) => first != "*" && suffix == rest,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params
    }

    /// Leaf, intermediate, root.
    fn chain(name: &str) -> Vec<CertificateDer<'static>> {
        let authority = |name: &str| {
            let mut params = params(name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let root = CertifiedIssuer::self_signed(authority("Root"), KeyPair::generate().unwrap()).unwrap();
        let middle = CertifiedIssuer::signed_by(authority("Middle"), KeyPair::generate().unwrap(), &root).unwrap();
        let leaf = params(name).signed_by(&KeyPair::generate().unwrap(), &middle).unwrap();
        vec![leaf.der().clone(), middle.der().clone(), root.der().clone()]
    }

    fn names(texts: &[&str]) -> Vec<NamePattern> {
        texts.iter().map(|text| NamePattern::parse(text).unwrap()).collect()
    }

    #[test]
    fn a_sound_chain_raises_nothing_with_or_without_its_root() {
        let chain = chain("shop.example");
        for length in 1..=3 {
            let findings = judge(&chain[..length], &names(&["shop.example"]));
            assert!(findings.errors.is_empty() && findings.warnings.is_empty(), "{findings:?}");
            assert_eq!(findings.lives.len(), length);
            assert_eq!(findings.leaf.issuer_key.is_empty(), length == 1);
        }
    }

    #[test]
    fn the_wrong_order_is_an_error_and_a_gap_a_warning() {
        let chain = chain("shop.example");
        let [leaf, middle, root] = [0, 1, 2].map(|at| chain[at].clone());
        let wanted = names(&["shop.example"]);
        for order in [vec![middle.clone(), leaf.clone()], vec![leaf.clone(), root.clone(), middle.clone()]] {
            let findings = judge(&order, &wanted);
            assert!(findings.errors.iter().any(|text| text.contains("wrong order")), "{findings:?}");
        }
        let findings = judge(&[leaf, root.clone()], &wanted);
        assert!(findings.errors.is_empty(), "{findings:?}");
        assert!(findings.warnings[0].contains("missing"), "{findings:?}");
        assert!(judge(&[middle, root], &wanted).errors[0].contains("authority"));
    }

    #[test]
    fn facts_of_the_leaf_are_read() {
        let key = KeyPair::generate().unwrap();
        let mut params = params("shop.example");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        params.serial_number = Some(vec![0x80, 1, 2].into());
        let read = |params: &CertificateParams| {
            judge(&[params.self_signed(&key).unwrap().der().clone()], &names(&["shop.example"]))
        };
        let findings = read(&params);
        assert_eq!((&*findings.leaf.serial, findings.leaf.must_staple), (&[0x80, 1, 2][..], false));
        assert_eq!(&*findings.leaf.key, rcgen::PublicKeyData::der_bytes(&key));
        let [life] = &findings.lives[..] else { panic!("{findings:?}") };
        assert_eq!((life.from, life.until), (1_577_836_800, 1_609_459_200));
        assert!(life.which.contains("certificate 1") && life.which.contains("shop.example"), "{life:?}");
        for (features, must_staple) in [(&[0x30, 3, 2, 1, 5][..], true), (&[0x30, 3, 2, 1, 17], false), (&[1], false)] {
            let oid = [1, 3, 6, 1, 5, 5, 7, 1, 24];
            params.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(&oid, features.to_vec())];
            assert_eq!(read(&params).leaf.must_staple, must_staple, "{features:?}");
        }
    }

    #[test]
    fn names_that_the_leaf_does_not_cover_are_warnings() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["shop.example".into(), "*.Shop.example".into()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let leaf = [params.self_signed(&key).unwrap().der().clone()];
        let sound = names(&["shop.example", "www.shop.example", "*.shop.example"]);
        assert_eq!(judge(&leaf, &sound).warnings, Vec::<String>::new());
        for bad in ["a.b.shop.example", "*.b.shop.example", "example", "*.example", "other.example"] {
            let findings = judge(&leaf, &names(&[bad]));
            assert!(
                findings.warnings[0].contains(bad) && findings.warnings[0].contains("*.shop.example"),
                "{findings:?}"
            );
        }
    }

    #[test]
    fn what_is_no_certificate_is_an_error() {
        let rubbish = CertificateDer::from(vec![0x30, 3, 1, 2, 3]);
        assert!(judge(&[rubbish], &[]).errors[0].contains("not X.509"));
    }
}
