//! Versions, suites, tickets and client certificates, as a user writes them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::{fails, sound, warns};
use crate::config::{TlsSuite, TlsVersion};
use crate::process::Process;
use std::path::Path;
use std::time::Duration;

/// A file with a site that has these keys, and a section of the terminator with those.
fn with(terminator: &str, site: &str) -> String {
    format!(
        r#"
[tls-terminator]
{terminator}
[[sni-router.listen]]
name = "https"
address = "127.0.0.1:8443"
[[route]]
name = "shop"
server_names = "shop.example"
terminate = true
[[http-filter.route]]
name = "all"
pool = "p"
[[pool]]
name = "p"
servers = "127.0.0.1:9443"
[[site]]
names = "shop.example"
certificate = "c.pem"
key = "k.pem"
{site}
"#
    )
}

const ASKS: &str = "client_auth = \"require\"\nclient_ca = \"ca.pem\"\n";

#[test]
fn a_site_has_versions_and_suites_of_its_own() {
    let suites = "suites = [\"TLS_AES_128_GCM_SHA256\", \"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\"]";
    let (config, _) = sound(&with("", &format!("min_version = \"1.3\"\n{suites}")));
    let site = &config.sites[0];
    assert_eq!(site.min_version(&config.tls_terminator), TlsVersion::Tls13);
    let wanted = [TlsSuite::Aes128GcmSha256, TlsSuite::EcdheRsaAes128GcmSha256];
    assert_eq!(site.suites(&config.tls_terminator).unwrap(), wanted);
    let (config, _) = sound(&with(suites, ""));
    assert_eq!(config.sites[0].suites(&config.tls_terminator).unwrap(), wanted);
    assert_eq!(config.sites[0].min_version(&config.tls_terminator), TlsVersion::Tls12);
    let old = "suites = \"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\"";
    sound(&with("", old));
    fails(&with("", &format!("min_version = \"1.3\"\n{old}")), "suites", &["shop.example", "TLS_AES_"]);
    fails(&with(&format!("min_version = \"1.3\"\n{old}"), ""), "suites", &["shop.example"]);
    fails(&with("", "suites = \"TLS_AES_128_GCM_SHA265\""), "suites", &["did you mean `TLS_AES_128_GCM_SHA256`"]);
    assert!(TlsSuite::ALL.iter().all(|(suite, name, number)| suite.number() == *number && name.starts_with("TLS_")));
}

#[test]
fn ticket_keys_are_a_secret_file_of_the_terminator() {
    let (config, warnings) = sound(&with("instances = 2\nticket_keys = \"tickets\"\nticket_lifetime = \"1h\"", ""));
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(config.tls_terminator.tickets.keys.as_deref(), Some(Path::new("/etc/b/tickets")));
    assert_eq!(config.tls_terminator.tickets.lifetime, Duration::from_secs(3600));
    let file = config.files.iter().find(|file| file.key == "tls-terminator.ticket_keys").unwrap();
    assert!(file.secret && file.is_for(Process::TlsTerminator) && !file.is_for(Process::HttpFilter));
    warns(&with("instances = 2", ""), "instances", &["ticket-keys rotate"]);
    fails(&with("ticket_lifetime = \"200h\"", ""), "ticket_lifetime", &["too large"]);
}

#[test]
fn the_guard_of_full_handshakes_can_be_set_and_switched_off() {
    let (config, _) =
        sound(&with("full_handshake_rate = 3\nfull_handshake_burst = 7\nfull_handshake_v4_prefix = 24", ""));
    let rate = config.tls_terminator.full_handshakes.unwrap();
    assert_eq!((rate.per_second.get(), rate.burst.get(), rate.v4_prefix, rate.v6_prefix), (3, 7, 24, 64));
    assert!(sound(&with("full_handshake_rate = 0", "")).0.tls_terminator.full_handshakes.is_none());
    fails(&with("full_handshake_v6_prefix = 0", ""), "v6_prefix", &["too small"]);
}

#[test]
fn client_certificates_have_lists_names_and_headers() {
    let more = "crl = [\"a.crl\"]\ncrl_expired = \"accept\"\nallowed_names = [\"DNS:*.staff.example\", \"email:a@b.example\"]\n\
                identity_headers = { certificate = \"Client-Cert\", subject = \"X-Client-Subject\" }";
    let (config, _) = sound(&with("", &format!("{ASKS}{more}")));
    let auth = config.sites[0].client_auth.as_ref().unwrap();
    assert_eq!(auth.revocation.lists, [Path::new("/etc/b/a.crl")]);
    assert!(auth.revocation.accept_expired && !auth.revocation.accept_unknown);
    assert_eq!(auth.allowed_names.len(), 2);
    let headers: Vec<&str> = auth.identity_headers.all().map(|name| &**name).collect();
    assert_eq!(headers, ["client-cert", "x-client-subject"]);
    assert!(config.files.iter().any(|file| file.key == "site.crl" && file.is_for(Process::TlsTerminator)));
    for key in more.lines() {
        let mark = key.split(' ').next().unwrap();
        fails(&with("", key), mark, &["not asked for a certificate"]);
    }
    for (bad, mark, words) in [
        ("crl_unknown = \"accept\"", "crl_unknown", "no revocation list"),
        ("allowed_names = \"ada\"", "allowed_names", "write `DNS:"),
        ("identity_headers = { subject = \"Host\" }", "identity_headers", "meaning of its own"),
        ("identity_headers = { subject = \"a b\" }", "identity_headers", "not the name of a header"),
        ("identity_headers = { subject = \"X-A\", issuer = \"x-a\" }", "identity_headers", "twice"),
        ("identity_headers = { subjekt = \"X-A\" }", "identity_headers", "did you mean `subject`"),
    ] {
        fails(&with("", &format!("{ASKS}{bad}")), mark, &[words]);
    }
}
