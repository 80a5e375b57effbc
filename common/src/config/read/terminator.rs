//! `[tls-terminator]` and `[[site]]`.

use super::{report_repeated, values};
use crate::config::checked::{CertificateFiles, Site, SiteAlpn, Terminator, TlsVersion};
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

pub(in crate::config) fn tls_terminator(section: &Section<'_>) -> Terminator {
    let versions = [("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];
    Terminator {
        instances: section.count("instances"),
        handshake_deadline: section.duration("handshake_deadline"),
        max_handshakes: section.count("max_handshakes"),
        max_connections: section.count("max_connections"),
        max_connections_per_address: section.count_up_to("max_connections_per_address", "max_connections"),
        idle_deadline: section.duration("idle_deadline"),
        min_version: section.choice("min_version", &versions).map_or(TlsVersion::Tls13, |placed| placed.value),
        max_unacknowledged: section.count("max_unacknowledged"),
    }
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
    let certificates =
        certificates.into_iter().zip(keys).map(|(certificate, key)| CertificateFiles { certificate, key }).collect();
    let names = names?;
    let line = section.ledger.line_of(&section.span);
    let own_names = names.iter().map(|placed| placed.value.clone()).collect();
    let site = Site { names: own_names, certificates, alpn: values(alpn?), line };
    Some(SiteDraft { site, names })
}

/// A list of files, noted so that they can be looked for later.
fn paths(section: &Section<'_>, key_name: &str, base: &Path, secret: bool) -> Option<Vec<PathBuf>> {
    let placed = section.texts(key_name, |text| path(text, base))?;
    if let Some(key) = section.key(key_name) {
        for one in &placed {
            let (path, span) = (one.value.clone(), one.span.clone());
            section.ledger.files.borrow_mut().push(NamedFile { key: key.path, path, secret, span });
        }
    }
    Some(values(placed))
}

/// The path of a file the configuration names, from the directory of the configuration.
pub(super) fn path(text: &str, base: &Path) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        return Err("this is not a path".to_owned());
    }
    Ok(base.join(text))
}
