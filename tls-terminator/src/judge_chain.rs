//! Judges a certificate chain as a careful administrator would: order, dates, names. Pure: DER, names and a time in, findings
//! out. Clients are the ones who *verify* a chain (RFC 5280 §6); this only finds what would surprise its owner.

use common::config::NamePattern;
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// Names of the leaf that a warning lists before it says "and so on".
const MAX_LISTED_NAMES: usize = 8;
/// A certificate that ends sooner than this is worth a warning, seconds.
const SOON: i64 = 7 * 24 * 3600;

/// What was found. Errors make the chain unusable, warnings do not.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The chain must not be served.
    pub errors: Vec<String>,
    /// It is served, and some or all clients will refuse it.
    pub warnings: Vec<String>,
}

/// Judges `chain`, leaf first, for a site that answers to `names`, at `now` (seconds since 1970).
pub fn judge(chain: &[CertificateDer<'_>], names: &[NamePattern], now: i64) -> Findings {
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
    for (index, certificate) in parsed.iter().enumerate() {
        judge_dates(index, certificate, now, &mut findings);
    }
    if let Some(leaf) = parsed.first() {
        judge_names(leaf, names, &mut findings);
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

fn judge_dates(index: usize, certificate: &X509Certificate<'_>, now: i64, findings: &mut Findings) {
    let validity = certificate.validity();
    let (from, until) = (validity.not_before, validity.not_after);
    let which = format!("certificate {} ('{}')", index + 1, certificate.subject());
    if now > until.timestamp() {
        findings.warnings.push(format!("{which} expired at {until}: clients will refuse it"));
    } else if now < from.timestamp() {
        findings
            .warnings
            .push(format!("{which} is not valid before {from}: clients will refuse it (is the clock right?)"));
    } else if until.timestamp() - now < SOON {
        findings.warnings.push(format!("{which} expires soon, at {until}"));
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

    const NOW: i64 = 1_800_000_000;

    #[test]
    fn a_sound_chain_raises_nothing_with_or_without_its_root() {
        let chain = chain("shop.example");
        for length in 1..=3 {
            assert_eq!(judge(&chain[..length], &names(&["shop.example"]), NOW), Findings::default());
        }
    }

    #[test]
    fn the_wrong_order_is_an_error_and_a_gap_a_warning() {
        let chain = chain("shop.example");
        let [leaf, middle, root] = [0, 1, 2].map(|at| chain[at].clone());
        let wanted = names(&["shop.example"]);
        for order in [vec![middle.clone(), leaf.clone()], vec![leaf.clone(), root.clone(), middle.clone()]] {
            let findings = judge(&order, &wanted, NOW);
            assert!(findings.errors.iter().any(|text| text.contains("wrong order")), "{findings:?}");
        }
        let findings = judge(&[leaf, root.clone()], &wanted, NOW);
        assert!(findings.errors.is_empty(), "{findings:?}");
        assert!(findings.warnings[0].contains("missing"), "{findings:?}");
        assert!(judge(&[middle, root], &wanted, NOW).errors[0].contains("authority"));
    }

    #[test]
    fn dates_are_warnings() {
        let key = KeyPair::generate().unwrap();
        let mut params = params("shop.example");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        let old = [params.self_signed(&key).unwrap().der().clone()];
        let says = |now| judge(&old, &names(&["shop.example"]), now).warnings.join("; ");
        assert!(says(NOW).contains("expired at"), "{}", says(NOW));
        assert!(says(1_500_000_000).contains("not valid before"));
        assert!(says(1_609_459_200 - 3600).contains("expires soon"));
        assert_eq!(says(1_590_000_000), "");
    }

    #[test]
    fn names_that_the_leaf_does_not_cover_are_warnings() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["shop.example".into(), "*.Shop.example".into()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let leaf = [params.self_signed(&key).unwrap().der().clone()];
        let sound = names(&["shop.example", "www.shop.example", "*.shop.example"]);
        assert_eq!(judge(&leaf, &sound, NOW).warnings, Vec::<String>::new());
        for bad in ["a.b.shop.example", "*.b.shop.example", "example", "*.example", "other.example"] {
            let findings = judge(&leaf, &names(&[bad]), NOW);
            assert!(
                findings.warnings[0].contains(bad) && findings.warnings[0].contains("*.shop.example"),
                "{findings:?}"
            );
        }
    }

    #[test]
    fn what_is_no_certificate_is_an_error() {
        let rubbish = CertificateDer::from(vec![0x30, 3, 1, 2, 3]);
        assert!(judge(&[rubbish], &[], NOW).errors[0].contains("not X.509"));
    }
}
