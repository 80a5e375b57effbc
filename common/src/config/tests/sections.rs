//! Each section as the program gets it, the reference in step with the reader, and the page in step with the reference.

use super::*;
use crate::config::reference::{Kind, Preset, explain_key, keys};
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn the_reader_asks_for_exactly_the_keys_of_the_reference() {
    let text = include_str!("../../../../docs/examples/bulkhead.toml")
        .replace("no_sni = \"refuse\"", "no_sni = { passthrough = \"mail\" }")
        .replace("unknown_name = \"refuse\"", "unknown_name = { terminate = true }")
        .replace("not_tls = \"redirect\"", "not_tls = { passthrough = \"mail\" }");
    let ledger = new_ledger("b.toml", text);
    assert!(judge(&ledger, Path::new("/")).is_some());
    let asked = ledger.asked.borrow();
    let known: BTreeSet<&str> = keys().map(|key| key.path).collect();
    let forgotten: Vec<_> = known.difference(&asked.iter().copied().collect()).copied().collect();
    assert!(forgotten.is_empty(), "in the reference, and never read: {forgotten:?}");
    assert_eq!(known.len(), keys().count(), "a key stands twice in the reference");
}

#[test]
fn every_entry_of_the_reference_is_whole() {
    for key in keys() {
        assert!(!key.short.is_empty() && key.short.ends_with('.'), "{}: {}", key.path, key.short);
        assert!(key.long.is_empty() || key.long.ends_with(['.', ')']), "{}: {}", key.path, key.long);
        assert!(key.parent().is_empty() || reference::find(key.parent()).is_some(), "{} has no parent", key.path);
        if let Preset::Value(value) = key.preset {
            assert!(toml::de::DeValue::parse(value).is_ok(), "{}: {value} is not TOML", key.path);
        }
    }
}

/// The defaults of the reference are what the reader gives (it reads them from there; this would catch a reader that
/// does not), and writing all of them down changes nothing.
#[test]
fn the_defaults_are_the_real_ones() {
    let written: String = keys()
        .filter(|key| matches!(key.kind, Kind::Table))
        .filter(|key| reference::find(key.parent()).is_none_or(|parent| !matches!(parent.kind, Kind::Tables)))
        .map(|table| {
            let lines: String = reference::keys_of(table.path)
                .filter_map(|key| match key.preset {
                    Preset::Value(value) => Some(format!("{} = {value}\n", key.last())),
                    _ => None,
                })
                .collect();
            format!("[{}]\n{lines}\n", table.path)
        })
        .collect();
    // Behind it, so that every table stands in the same line as without.
    let (with_defaults, _) = sound(&format!("{BASE}\n{written}"));
    let (without, _) = sound(BASE);
    assert_eq!(with_defaults, without);

    let config = Config::default();
    assert_eq!(config.bulkhead.runtime_dir, Path::new("/run/bulkhead"));
    assert_eq!(config.bulkhead.sandbox, SandboxMode::BestEffort);
    assert_eq!((config.log.level, config.log.format, config.log.access), (LogLevel::Info, LogFormat::Text, true));
    assert_eq!((config.log.sample, config.log.slow), (1, Some(Duration::from_secs(5))));
    assert_eq!((config.log.fields, config.metrics.listen), (AccessFields::default(), None));
    assert_eq!(config.http_filter.observe.request_id, RequestIdPolicy::Backend);
    let router = &config.sni_router;
    assert_eq!((router.client_hello_limit, router.max_hellos, router.max_hellos_per_address), (65_536, 8192, 64));
    assert_eq!(router.connection_rate.map(|rate| (rate.per_second.get(), rate.burst.get())), Some((200, 400)));
    assert_eq!(router.otherwise.not_tls, NotTls::Refuse);
    assert_eq!(config.passthrough_relay.idle_deadline, Duration::from_secs(600));
    assert_eq!(config.tls_terminator.min_version, TlsVersion::Tls12);
    assert_eq!(config.http_filter.max_body, None);
    assert_eq!((config.http_filter.path, config.http_filter.access_default), (PathPolicy::Normalise, Action::Allow));
    assert_eq!(config.forward_proxy.ports.ranges(), [(80, 80), (443, 443)]);
    assert!(!config.forward_proxy.require_user && config.needed().is_empty());
}

#[test]
fn zero_switches_off_where_it_says_so() {
    let text =
        format!("{BASE}eject_after = 0\n[sni-router]\nconnection_rate = 0\n[passthrough-relay]\nsplice_pipes = 0\n");
    let (config, _) = sound(&text);
    assert_eq!((config.sni_router.connection_rate, config.pools[0].eject), (None, None));
    assert_eq!(config.passthrough_relay.splice_pipes, 0);
}

#[test]
fn only_what_has_work_is_needed() {
    let names = |text: &str| sound(text).0.needed().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(BASE), ["passthrough-relay", "sni-router"]);
    let proxy = "[[forward-proxy.listen]]\nname = \"out\"\naddress = \"127.0.0.1:3128\"\n";
    assert_eq!(names(proxy), ["passthrough-relay", "forward-proxy"]);
    let http = "[[sni-router.listen]]\nname = \"h\"\naddress = \"127.0.0.1:80\"\nprotocol = \"http\"\n[[http-filter.route]]\nname = \"a\"\npool = \"p\"\n[[pool]]\nname = \"p\"\nservers = \"a:1\"\n";
    assert_eq!(names(http), ["passthrough-relay", "http-filter", "sni-router"]);
    let refuse_all = "[[sni-router.listen]]\nname = \"https\"\naddress = \"127.0.0.1:443\"\n";
    assert_eq!(names(refuse_all), ["sni-router"]);
    let all = include_str!("../../../../docs/examples/bulkhead.toml");
    assert_eq!(names(all), ["passthrough-relay", "http-filter", "tls-terminator", "forward-proxy", "sni-router"]);
    let (config, _) = sound(&format!("[sni-router]\ninstances = 3\n{BASE}"));
    assert_eq!(config.needed(), [("passthrough-relay", 1), ("sni-router", 3)]);
}

#[test]
fn keys_can_be_explained() {
    let text = explain_key("sni-router.client_hello_limit").unwrap();
    assert!(text.contains("4KiB to 1MiB") && text.contains("default: \"64KiB\""), "{text}");
    assert!(explain_key("[[route]]").unwrap().contains("server_names"));
    assert!(
        explain_key("sni-router.client_helo_limit")
            .unwrap_err()
            .contains("did you mean `sni-router.client_hello_limit`")
    );
}

#[test]
fn the_page_is_in_step() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let rendered = reference::render_markdown();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&page, &rendered).unwrap();
    }
    let committed = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        committed == rendered,
        "docs/configuration.md is not what the reference says; run BLESS=1 cargo test -p common config"
    );
}
