//! Judges a response of a certificate's authority about its revocation (OCSP, RFC 6960 §4.2.1), that a file brought and that
//! clients get with the certificate ("stapled", RFC 6066 §8). Pure: DER, the leaf's facts and a time in; a staple or a sentence out.
//!
//! Whether the signature is good is for clients to judge, who know the authority; here it matters that nothing is stapled that
//! speaks of another certificate, is out of date or says that the certificate is not good: clients would refuse the whole
//! connection, which they do not when nothing is stapled.

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

use super::der::{Der, tag, without_zeros};
use super::expiry::date;
use crate::judge_chain::Leaf;

const BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
const SHA1_OID: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
const SHA256_OID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
/// How far the authority's clock may be ahead of ours, seconds.
const SKEW: i64 = 300;
/// A response without `nextUpdate` says that there is always newer news (RFC 6960 §4.2.2.1); it is shown for so long, seconds.
const WITHOUT_END: i64 = 24 * 3600;

/// A response that may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staple {
    /// The whole response.
    pub der: Vec<u8>,
    /// The first and the last second of its validity, since 1970.
    pub from: i64,
    /// See `from`.
    pub until: i64,
}

impl Staple {
    /// Whether it may be shown now.
    #[must_use]
    pub fn is_fresh(&self, now: i64) -> bool {
        now <= self.until && self.from <= now.saturating_add(SKEW)
    }
}

/// Judges the contents of a file.
///
/// # Errors
/// Why it is not stapled, as the end of a sentence that begins with the file's name.
pub fn judge(der: &[u8], leaf: &Leaf, now: i64) -> Result<Staple, String> {
    if der.starts_with(b"-----") {
        return Err("this is PEM; an OCSP response is DER (openssl ocsp … -respout FILE)".to_owned());
    }
    let broken = || "this is no OCSP response in DER, or it is cut off".to_owned();
    let mut outer = Der::new(der);
    let mut response = outer.inside(tag::SEQUENCE).filter(|_| outer.is_empty()).ok_or_else(broken)?;
    match response.one(tag::ENUMERATED) {
        Some([0]) => {}
        Some([status]) => return Err(format!("the authority answered with an error: {}", words(*status))),
        _ => return Err(broken()),
    }
    let singles = singles(response).ok_or_else(broken)?;
    let said = about(singles, leaf).ok_or_else(broken)?;
    let Some(said) = said else {
        return Err(
            "the response is about another certificate: it is left from the one before, or of another site".into()
        );
    };
    match said.status {
        Status::Good => {}
        Status::Revoked => {
            return Err("the authority says that this certificate is REVOKED: clients will refuse it".into());
        }
        Status::Unknown => return Err("the authority says that it does not know this certificate".into()),
    }
    let until = said.until.unwrap_or_else(|| said.from.saturating_add(WITHOUT_END));
    let staple = Staple { der: der.to_vec(), from: said.from, until };
    match staple.is_fresh(now) {
        true => Ok(staple),
        false if now > until => Err(format!("the response is out of date since {}: fetch a new one", date(until))),
        false => Err(format!("the response begins at {} (is the clock right?)", date(said.from))),
    }
}

fn words(status: u8) -> &'static str {
    match status {
        1 => "malformedRequest",
        2 => "internalError",
        3 => "tryLater",
        5 => "sigRequired",
        6 => "unauthorized",
        _ => "an unknown one",
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Good,
    Revoked,
    Unknown,
}

struct Said {
    status: Status,
    from: i64,
    until: Option<i64>,
}

/// `ResponseBytes` → `BasicOCSPResponse` → `ResponseData` → the list of `SingleResponse`.
fn singles(mut response: Der<'_>) -> Option<Der<'_>> {
    let mut bytes = response.inside(tag::explicit(0))?.inside(tag::SEQUENCE)?;
    if bytes.one(tag::OID)? != BASIC {
        return None;
    }
    let mut basic = Der::new(bytes.one(tag::OCTET_STRING)?).inside(tag::SEQUENCE)?;
    let mut data = basic.inside(tag::SEQUENCE)?;
    let _version = data.one(tag::explicit(0));
    let (_responder, _) = data.any()?;
    data.one(tag::GENERALIZED_TIME)?;
    data.inside(tag::SEQUENCE)
}

/// `None`: this is not what the standard says. `Some(None)`: it does not speak of the leaf.
fn about(mut singles: Der<'_>, leaf: &Leaf) -> Option<Option<Said>> {
    while !singles.is_empty() {
        let mut single = singles.inside(tag::SEQUENCE)?;
        let id = single.inside(tag::SEQUENCE)?;
        let (status, _) = single.any()?;
        let from = time(single.one(tag::GENERALIZED_TIME)?)?;
        let until = match single.inside(tag::explicit(0)) {
            Some(mut next) => Some(time(next.one(tag::GENERALIZED_TIME)?)?),
            None => None,
        };
        if is_about(id, leaf)? {
            let status = match status {
                0x80 => Status::Good,
                0xa1 => Status::Revoked,
                _ => Status::Unknown,
            };
            return Some(Some(Said { status, from, until }));
        }
    }
    Some(None)
}

/// `CertID`: the serial number, and hashes of the issuer's name and key.
fn is_about(mut id: Der<'_>, leaf: &Leaf) -> Option<bool> {
    let algorithm = match id.inside(tag::SEQUENCE)?.one(tag::OID)? {
        SHA1_OID => Some(&SHA1_FOR_LEGACY_USE_ONLY),
        SHA256_OID => Some(&SHA256),
        _ => None,
    };
    let (name, key) = (id.one(tag::OCTET_STRING)?, id.one(tag::OCTET_STRING)?);
    let serial = without_zeros(id.one(tag::INTEGER)?);
    let same = |hash: &[u8], of: &[u8]| match algorithm {
        Some(algorithm) => hash == hash_of(algorithm, of).as_ref(),
        None => true, // not a hash we know: the number alone must do
    };
    let key_fits = leaf.issuer_key.is_empty() || same(key, &leaf.issuer_key);
    Some(serial == &*leaf.serial && same(name, &leaf.issuer) && key_fits)
}

fn hash_of(algorithm: &'static Algorithm, bytes: &[u8]) -> impl AsRef<[u8]> + use<> {
    digest(algorithm, bytes)
}

/// `YYYYMMDDHHMMSSZ` (RFC 5280 §4.1.2.5.2) as seconds since 1970.
fn time(text: &[u8]) -> Option<i64> {
    let digits =
        text.strip_suffix(b"Z").filter(|digits| digits.len() == 14 && digits.iter().all(u8::is_ascii_digit))?;
    let number = |from: usize, to: usize| {
        digits.get(from..to).map(|part| part.iter().fold(0_i64, |number, digit| number * 10 + i64::from(digit - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(8, 10)?, number(10, 12)?, number(12, 14)?);
    let possible = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    // Days by the calendar that begins in March, so that the leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day;
    possible.then_some((days - 719_469) * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
#[path = "ocsp_tests.rs"]
mod tests;
