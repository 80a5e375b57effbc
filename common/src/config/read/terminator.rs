//! `[tls-terminator]` and `[[site]]`.

use super::{report_repeated, tls_policy, values};
use crate::config::checked::{CertificateFiles, ClientAuth, Handoff, Site, SiteAlpn, Terminator, TlsVersion};
use crate::config::ledger::NamedFile;
use crate::config::pattern::NamePattern;
use crate::config::scalar::{Fault, pick, wrong_type};
use crate::config::tree::{Placed, Section};
use std::path::{Path, PathBuf};
use toml::de::DeValue;

/// A site, and where its names stand.
pub(in crate::config) struct SiteDraft {
    pub(in crate::config) site: Site,
    pub(in crate::config) names: Vec<Placed<NamePattern>>,
}

pub(in crate::config) fn tls_terminator(section: &Section<'_>, base: &Path) -> Terminator {
    Terminator {
        instances: section.count("instances"),
        handshake_deadline: section.duration("handshake_deadline"),
        max_handshakes: section.count("max_handshakes"),
        max_connections: section.count("max_connections"),
        max_connections_per_address: section.count_up_to("max_connections_per_address", "max_connections"),
        idle_deadline: section.duration("idle_deadline"),
        min_version: tls_policy::min_version(section).unwrap_or(TlsVersion::Tls13),
        ready_keys: section.count("ready_keys"),
        watch: section.flag("watch").unwrap_or(true),
        warn_before: section.duration("warn_before"),
        suites: tls_policy::suites(section),
        tickets: tls_policy::tickets(section, base),
        full_handshakes: tls_policy::full_handshakes(section),
        handoff: handoff(section).unwrap_or(Handoff::Secrets),
        max_unacknowledged: section.count("max_unacknowledged"),
    }
}

fn handoff(section: &Section<'_>) -> Option<Handoff> {
    let words = [("secrets", Handoff::Secrets), ("relay", Handoff::Relay)];
    section.choice("handoff", &words).map(|placed| placed.value)
}

pub(in crate::config) fn site(section: &Section<'_>, base: &Path) -> Option<SiteDraft> {
    let names = section.texts("names", NamePattern::parse);
    report_repeated(section, "names", names.as_deref().unwrap_or_default(), "name");
    let certificates = paths(section, "certificate", base, false);
    let keys = paths(section, "key", base, true);
    let protocols = [("h2", SiteAlpn::H2), ("http/1.1", SiteAlpn::Http11)];
    let alpn = section.list("alpn", |_, found, _| match found {
        DeValue::String(text) => pick(text, &protocols),
        other => Err(wrong_type(other, "a text in quotes")) as Result<SiteAlpn, Fault>,
    });
    report_repeated(section, "alpn", alpn.as_deref().unwrap_or_default(), "protocol");
    let (certificates, keys) = (certificates?, keys?);
    if certificates.len() != keys.len()
        && !section.ledger.blames("site")
        && let Some(key) = section.key("key")
    {
        let (c, k) = (certificates.len(), keys.len());
        let error = section
            .ledger
            .error(key.path, "every certificate needs a key of its own, in the same order")
            .at(&section.span_of("key"), format!("{k} here"))
            .and(&section.span_of("certificate"), format!("{c} here"));
        section.ledger.report(error);
    }
    let responses = ocsp(section, base, certificates.len());
    let pairs = certificates.into_iter().zip(keys).zip(responses);
    let certificates = pairs.map(|((certificate, key), ocsp)| CertificateFiles { certificate, key, ocsp }).collect();
    let client_auth = tls_policy::client_auth(section, base, client_auth(section, base));
    let (min_version, suites) = (tls_policy::min_version(section), tls_policy::suites(section));
    let names = names?;
    let line = section.ledger.line_of(&section.span);
    let site = Site {
        names: names.iter().map(|placed| placed.value.clone()).collect(),
        certificates,
        alpn: values(alpn?),
        handoff: handoff(section),
        client_auth,
        min_version,
        suites,
        line,
    };
    Some(SiteDraft { site, names })
}

/// `ocsp`: a file or nothing for each of the certificates.
fn ocsp(section: &Section<'_>, base: &Path, certificates: usize) -> Vec<Option<PathBuf>> {
    let read = |text: &str| if text.is_empty() { Ok(None) } else { path(text, base).map(Some) };
    let placed = section.texts("ocsp", read).unwrap_or_default();
    let Some(key) = section.key("ocsp") else { return Vec::new() };
    if !placed.is_empty() && placed.len() != certificates {
        let what = "as many as there are certificates, in the same order; `\"\"` stands for none";
        let error = section.ledger.error(key.path, what).at(&section.span_of("ocsp"), format!("{} here", placed.len()));
        section.ledger.report(error.and(&section.span_of("certificate"), format!("{certificates} here")));
    }
    for one in &placed {
        if let Some(path) = one.value.clone() {
            let span = one.span.clone();
            let file = NamedFile { key: key.path, path, secret: false, span };
            section.ledger.files.borrow_mut().push(file);
        }
    }
    let all = values(placed).into_iter().chain(std::iter::repeat(None));
    all.take(certificates).collect()
}

/// `client_auth` and `client_ca`, which need one another.
fn client_auth(section: &Section<'_>, base: &Path) -> Option<ClientAuth> {
    let words = [("none", None), ("request", Some(false)), ("require", Some(true))];
    let asked = section.choice("client_auth", &words);
    let authorities = paths(section, "client_ca", base, false);
    let required = asked.as_ref().and_then(|placed| placed.value);
    let report = |name: &str, what: &str, help: &str| {
        if let Some(key) = section.key(name) {
            let error = section.ledger.error(key.path, what).at(&section.span_of(name), "in this site").help(help);
            section.ledger.report(error);
        }
    };
    match (required, authorities) {
        (Some(required), Some(authorities)) => {
            return Some(ClientAuth { required, authorities, ..ClientAuth::default() });
        }
        (Some(_), None) if !section.has("client_ca") => {
            let help = "give `client_ca`, a PEM file with the authorities that sign them";
            report("client_auth", "nothing says whose client certificates are good", help);
        }
        (None, Some(_)) => {
            let help = "write `client_auth = \"require\"` or `\"request\"`, or leave `client_ca` out";
            report("client_ca", "clients are not asked for a certificate", help);
        }
        _ => {}
    }
    None
}

/// A list of files, noted so that they can be looked for later.
pub(super) fn paths(section: &Section<'_>, key_name: &str, base: &Path, secret: bool) -> Option<Vec<PathBuf>> {
    let placed = section.texts(key_name, |text| path(text, base))?;
    if let Some(key) = section.key(key_name) {
        for one in &placed {
            let (path, span) = (one.value.clone(), one.span.clone());
            section.ledger.files.borrow_mut().push(NamedFile { key: key.path, path, secret, span });
        }
    }
    Some(values(placed))
}

/// One file, noted likewise; no secret.
pub(super) fn noted_file(section: &Section<'_>, key_name: &str, base: &Path) -> Option<PathBuf> {
    let placed = section.text(key_name, |text| path(text, base))?;
    let (path, span) = (placed.value.clone(), placed.span);
    let key = section.key(key_name)?.path;
    section.ledger.files.borrow_mut().push(NamedFile { key, path, secret: false, span });
    Some(placed.value)
}

/// The path of a file the configuration names, from the directory of the configuration.
pub(super) fn path(text: &str, base: &Path) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        return Err("this is not a path".to_owned());
    }
    Ok(base.join(text))
}
