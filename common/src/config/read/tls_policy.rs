//! What a handshake may agree on: further keys of `[tls-terminator]` and `[[site]]`.

use super::access::alternative_name;
use super::terminator::{path, paths};
use super::{report_repeated, values};
use crate::config::checked::{
    AllowedNames, ClientAuth, HandshakeRate, IdentityHeaders, Revocation, Tickets, TlsSuite, TlsVersion,
};
use crate::config::ledger::NamedFile;
use crate::config::scalar::{Fault, pick, wrong_type};
use crate::config::tree::Section;
use crate::config::value;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use toml::de::DeValue;

pub(super) const VERSIONS: [(&str, TlsVersion); 2] = [("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];

/// `suites`; `None`: absent.
pub(super) fn suites(section: &Section<'_>) -> Option<Vec<TlsSuite>> {
    let words: Vec<(&str, TlsSuite)> = TlsSuite::ALL.iter().map(|(suite, name, _)| (*name, *suite)).collect();
    let placed = section.list("suites", |_, found, _| match found {
        DeValue::String(text) => pick(text, &words),
        other => Err(wrong_type(other, "a text in quotes")) as Result<TlsSuite, Fault>,
    })?;
    report_repeated(section, "suites", &placed, "suite");
    Some(values(placed))
}

/// A site's own `min_version`.
pub(super) fn min_version(section: &Section<'_>) -> Option<TlsVersion> {
    section.choice("min_version", &VERSIONS).map(|placed| placed.value)
}

pub(super) fn tickets(section: &Section<'_>, base: &Path) -> Tickets {
    let keys = section.text("ticket_keys", |text| path(text, base));
    if let (Some(placed), Some(key)) = (&keys, section.key("ticket_keys")) {
        let (path, span) = (placed.value.clone(), placed.span.clone());
        section.ledger.files.borrow_mut().push(NamedFile { key: key.path, path, secret: true, span });
    }
    Tickets { keys: keys.map(|placed| placed.value), lifetime: section.duration("ticket_lifetime") }
}

pub(super) fn full_handshakes(section: &Section<'_>) -> Option<HandshakeRate> {
    let bits = |key| u8::try_from(section.count(key)).unwrap_or(u8::MAX);
    let (v4_prefix, v6_prefix) = (bits("full_handshake_v4_prefix"), bits("full_handshake_v6_prefix"));
    let burst = NonZeroU32::new(section.count32("full_handshake_burst"));
    let rate = NonZeroU32::new(section.count32("full_handshake_rate"));
    rate.zip(burst).map(|(per_second, burst)| HandshakeRate { per_second, burst, v4_prefix, v6_prefix })
}

/// Keys of a site that mean something only where clients are asked for a certificate.
const OF_CLIENT_AUTH: [&str; 5] = ["crl", "crl_unknown", "crl_expired", "allowed_names", "identity_headers"];

/// What else holds for client certificates of a site that asks for them. `None` for a site that does not; then none of these keys may
/// stand there.
pub(super) fn client_auth(section: &Section<'_>, base: &Path, auth: Option<ClientAuth>) -> Option<ClientAuth> {
    let lenient =
        |name| section.choice(name, &[("refuse", false), ("accept", true)]).is_some_and(|placed| placed.value);
    let lists = paths(section, "crl", base, false).unwrap_or_default();
    let (accept_unknown, accept_expired) = (lenient("crl_unknown"), lenient("crl_expired"));
    let allowed = section.texts("allowed_names", alternative_name).unwrap_or_default();
    report_repeated(section, "allowed_names", &allowed, "name");
    let allowed_names: AllowedNames = values(allowed);
    let identity_headers = identity_headers(&section.table("identity_headers"));
    if let Some(auth) = auth {
        for name in ["crl_unknown", "crl_expired"].into_iter().filter(|_| lists.is_empty()) {
            complain(section, name, "there is no revocation list", "give `crl`, or leave this out");
        }
        let revocation = Revocation { lists, accept_unknown, accept_expired };
        return Some(ClientAuth { revocation, allowed_names, identity_headers, ..auth });
    }
    for name in OF_CLIENT_AUTH.into_iter().filter(|_| !section.ledger.blames("site.client")) {
        let help = "write `client_auth = \"require\"` or `\"request\"`, or leave this out";
        complain(section, name, "clients are not asked for a certificate", help);
    }
    None
}

/// Reports a key that stands where it means nothing.
fn complain(section: &Section<'_>, name: &str, what: &str, help: &str) {
    if let Some(key) = section.key(name).filter(|_| section.has(name)) {
        let error = section.ledger.error(key.path, what).at(&section.span_of(name), "in this site").help(help);
        section.ledger.report(error);
    }
}

fn identity_headers(section: &Section<'_>) -> IdentityHeaders {
    let mut seen = Vec::new();
    let mut field = |name: &str| {
        let placed = section.text(name, field_name)?;
        seen.push(placed.clone());
        Some(placed.value)
    };
    let headers = IdentityHeaders {
        certificate: field("certificate"),
        subject: field("subject"),
        issuer: field("issuer"),
        names: field("names"),
        serial: field("serial"),
        fingerprint: field("fingerprint"),
    };
    report_repeated(section, "certificate", &seen, "field");
    headers
}

/// Fields that say how a message is framed, where it goes or who sends it: their words are not ours to give away.
const NOT_THESE: [&str; 12] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn field_name(text: &str) -> Result<Arc<str>, String> {
    let lower = text.to_ascii_lowercase();
    if lower.is_empty() || lower.len() > 64 || !lower.bytes().all(value::is_token_byte) {
        return Err(format!("{text:?} is not the name of a header field"));
    }
    if NOT_THESE.contains(&&*lower) || lower.starts_with("x-forwarded-") {
        return Err(format!("`{text}` has a meaning of its own; the usual names are `Client-Cert` and `X-Client-…`"));
    }
    Ok(lower.into())
}
