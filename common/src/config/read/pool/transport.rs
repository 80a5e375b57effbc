//! `protocol`, `[pool.tls]` and `[pool.h2]` of a pool.

use crate::config::checked::{PoolH2, PoolTls, TlsVersion, Transport};
use crate::config::ledger::NamedFile;
use crate::config::pattern::ServerAddress;
use crate::config::read::terminator::path;
use crate::config::tree::{Placed, Section};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where distributions keep the authorities they trust.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

pub(super) fn transport(section: &Section<'_>, base: &Path) -> Option<Transport> {
    // Whether HTTP/2, whether TLS, and whether the server may choose HTTP/1.1.
    let protocols = [
        ("http1", (false, false, false)),
        ("h2c", (true, false, false)),
        ("https", (false, true, false)),
        ("https-h2", (true, true, false)),
        ("https-auto", (true, true, true)),
    ];
    let protocol = section.choice("protocol", &protocols)?;
    let (h2, tls, or_http1) = protocol.value;
    // Read in any case, so that what is wrong in them is told.
    let (h2_keys, tls_keys) = (section.table("h2"), section.table("tls"));
    let (read_h2, read_tls) = (pool_h2(&h2_keys, or_http1), pool_tls(&tls_keys, base, tls));
    refuse_unused(
        section,
        "h2",
        h2,
        "`protocol` is not one of the HTTP/2 words (`h2c`, `https-h2`, `https-auto`)",
        &protocol,
    );
    refuse_unused(
        section,
        "tls",
        tls,
        "`protocol` is not one of the TLS words (`https`, `https-h2`, `https-auto`)",
        &protocol,
    );
    Some(Transport { h2: h2.then_some(read_h2), tls: tls.then_some(read_tls) })
}

/// A table that has no effect is a mistake: somebody believes that there is TLS.
fn refuse_unused<T>(section: &Section<'_>, name: &str, used: bool, why: &str, protocol: &Placed<T>) {
    if used || !section.has(name) {
        return;
    }
    let Some(key) = section.key(name) else { return };
    let error = section.ledger.error(key.path, format!("this table has no effect: {why}"));
    section.ledger.report(error.at(&section.span_of(name), "has no effect").and(&protocol.span, "of this pool"));
}

fn pool_h2(section: &Section<'_>, or_http1: bool) -> PoolH2 {
    let ping_interval = section.duration("ping_interval");
    PoolH2 {
        or_http1,
        max_streams: section.count("max_streams"),
        stream_window: section.count32("stream_window"),
        ping_interval: (!ping_interval.is_zero()).then_some(ping_interval),
        ping_deadline: section.duration("ping_deadline"),
    }
}

fn pool_tls(section: &Section<'_>, base: &Path, used: bool) -> PoolTls {
    let verify = section.choice("verify", &[("full", true), ("insecure-none", false)]);
    let ca = file(section, "ca", base, false);
    let verifies = verify.as_ref().is_none_or(|verify| verify.value);
    if let Some(verify) = verify.filter(|verify| !verify.value) {
        insecure(section, &verify, ca.is_some());
    }
    let server_name = section.text("server_name", server_name);
    let certificate = file(section, "client_certificate", base, false);
    let key = file(section, "client_key", base, true);
    for (name, other, alone) in [
        ("client_certificate", "client_key", certificate.is_some() && key.is_none()),
        ("client_key", "client_certificate", key.is_some() && certificate.is_none()),
    ] {
        if let (true, Some(known)) = (alone && !section.has(other), section.key(name)) {
            let error = section.ledger.error(known.path, format!("`{other}` must be given with it"));
            section.ledger.report(error.at(&section.span_of(name), format!("`{other}` is missing")));
        }
    }
    let versions = [("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];
    PoolTls {
        ca: verifies.then(|| ca.unwrap_or_else(|| bundle(section, used))),
        server_name: server_name.map(|placed| placed.value),
        client: certificate.zip(key),
        min_version: section.choice("min_version", &versions).map_or(TlsVersion::Tls13, |placed| placed.value),
    }
}

fn insecure(section: &Section<'_>, verify: &Placed<bool>, ca: bool) {
    let Some(key) = section.key("verify") else { return };
    let what =
        "the servers of this pool need not prove who they are: whoever is between can read and change everything";
    let warning = section.ledger.warning(key.path, what).at(&verify.span, "nothing is verified");
    section.ledger.report(warning.help("name the authority of the servers in `ca` instead"));
    if ca {
        let error = section.ledger.error("pool.tls.ca", "no authority is asked, because `verify` is \"insecure-none\"");
        section.ledger.report(error.at(&section.span_of("ca"), "has no effect").and(&verify.span, "because of this"));
    }
}

/// The bundle of this system; of one that has none the first place, so that the message names a path.
fn bundle(section: &Section<'_>, used: bool) -> PathBuf {
    let found = BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file());
    let path = found.unwrap_or_else(|| PathBuf::from(BUNDLES[0]));
    if used {
        note(section, "ca", &path, false, "ca");
    }
    path
}

fn file(section: &Section<'_>, name: &str, base: &Path, secret: bool) -> Option<PathBuf> {
    let placed = section.text(name, |text| path(text, base))?;
    note(section, name, &placed.value, secret, name);
    Some(placed.value)
}

fn note(section: &Section<'_>, name: &str, path: &Path, secret: bool, place: &str) {
    let Some(key) = section.key(name) else { return };
    let (path, span) = (path.to_owned(), section.span_of(place));
    section.ledger.files.borrow_mut().push(NamedFile { key: key.path, path, secret, span });
}

/// A host as it stands in an address, without port.
fn server_name(text: &str) -> Result<Arc<str>, String> {
    let bracketed = if text.contains(':') { format!("[{text}]:1") } else { format!("{text}:1") };
    let host = ServerAddress::parse(&bracketed).map_err(|_| "this is not a host name or address".to_owned())?.host;
    Ok(host.to_string().trim_matches(['[', ']']).into())
}
