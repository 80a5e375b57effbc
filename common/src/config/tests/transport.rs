//! `protocol`, `[pool.tls]` and `[pool.h2]` of a pool.

use super::*;
use crate::config::checked::{Pool, TlsVersion};
use crate::process::Process;
use std::time::Duration;

/// A file whose pool `app` has these keys.
fn with_pool(keys: &str) -> String {
    format!(
        "[[sni-router.listen]]\nname = \"h\"\naddress = \"127.0.0.1:80\"\nprotocol = \"http\"\n[[http-filter.route]]\nname = \"a\"\npool = \"app\"\n\
         [[pool]]\nname = \"app\"\nservers = \"127.0.0.1:81\"\n{keys}"
    )
}

fn pool(keys: &str) -> (Pool, Config) {
    let (config, _) = sound(&with_pool(keys));
    (config.pool("app").unwrap().clone(), config)
}

#[test]
fn each_protocol_has_what_it_needs() {
    for (word, h2, tls) in [
        ("http1", false, false),
        ("h2c", true, false),
        ("https", false, true),
        ("https-h2", true, true),
        ("https-auto", true, true),
    ] {
        let (pool, _) = pool(&format!("protocol = \"{word}\"\n"));
        assert_eq!((pool.transport.h2.is_some(), pool.transport.tls.is_some()), (h2, tls), "{word}");
        assert_eq!(pool.transport.h2.is_some_and(|h2| h2.or_http1), word == "https-auto");
    }
    assert_eq!(pool("").0.transport, pool("protocol = \"http1\"\n").0.transport);
    fails(&with_pool("protocol = \"h2\"\n"), "\"h2\"", &["`pool.protocol`", "did you mean"]);
}

#[test]
fn verification_is_the_default_with_the_bundle_of_the_system_and_one_file_takes_its_place() {
    let (pool_, config) = pool("protocol = \"https\"\n");
    let tls = pool_.transport.tls.unwrap();
    let bundle = tls.ca.unwrap();
    assert!(bundle.is_absolute() && tls.min_version == TlsVersion::Tls12 && tls.client.is_none());
    let noted = config.files.iter().find(|file| file.path == bundle).unwrap();
    assert!(noted.key == "pool.tls.ca" && noted.is_for(Process::HttpFilter) && !noted.secret);
    let keys = "protocol = \"https\"\n[pool.tls]\nca = \"own.pem\"\nserver_name = \"In.Example\"\nmin_version = \"1.3\"\n\
                client_certificate = \"me.pem\"\nclient_key = \"me.key\"\n";
    let (pool_, config) = pool(keys);
    let tls = pool_.transport.tls.unwrap();
    assert_eq!(tls.ca.as_deref(), Some(Path::new("/etc/b/own.pem")));
    assert_eq!((tls.server_name.as_deref(), tls.min_version), (Some("in.example"), TlsVersion::Tls13));
    assert_eq!(tls.client, Some(("/etc/b/me.pem".into(), "/etc/b/me.key".into())));
    assert!(config.files.iter().any(|file| file.secret && file.key == "pool.tls.client_key"));
    // Plain pools name no file.
    assert!(pool("").1.files.is_empty());
}

#[test]
fn switching_verification_off_is_a_warning_and_contradictions_are_errors() {
    let off = "protocol = \"https\"\n[pool.tls]\nverify = \"insecure-none\"\n";
    warns(&with_pool(off), "insecure-none", &["need not prove who they are", "nothing is verified"]);
    assert_eq!(pool(off).0.transport.tls.unwrap().ca, None);
    fails(&with_pool(&format!("{off}ca = \"x.pem\"\n")), "ca =", &["no authority is asked"]);
    let alone = "protocol = \"https\"\n[pool.tls]\nclient_certificate = \"me.pem\"\n";
    fails(&with_pool(alone), "client_certificate", &["`client_key` must be given with it"]);
    fails(&with_pool("[pool.tls]\nca = \"x.pem\"\n"), "[pool.tls]", &["this table has no effect"]);
    fails(&with_pool("protocol = \"https\"\n[pool.h2]\n"), "[pool.h2]", &["this table has no effect"]);
    let name = "protocol = \"https\"\n[pool.tls]\nserver_name = \"a b\"\n";
    fails(&with_pool(name), "server_name", &["not a host name or address"]);
}

#[test]
fn http2_has_limits() {
    let h2 = pool("protocol = \"h2c\"\n").0.transport.h2.unwrap();
    assert_eq!((h2.max_streams, h2.stream_window), (100, 128 << 10));
    assert_eq!((h2.ping_interval, h2.ping_deadline), (Some(Duration::from_secs(360)), Duration::from_secs(20)));
    let never = pool("protocol = \"h2c\"\n[pool.h2]\nping_interval = \"0s\"\n");
    assert_eq!(never.0.transport.h2.unwrap().ping_interval, None);
}
