//! The examples of the documentation are sound, and no damage to them ends in anything but an error.

use super::*;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const FULL: &str = include_str!("../../../../docs/examples/bulkhead.toml");
const MINIMAL: &str = include_str!("../../../../docs/examples/minimal.toml");
/// Whole tasks; `tests/e2e/examples.rs` starts them.
const TASKS: [&str; 3] = [
    include_str!("../../../../docs/examples/shop.toml"),
    include_str!("../../../../docs/examples/tenants.toml"),
    include_str!("../../../../docs/examples/api.toml"),
];

#[test]
fn the_examples_are_sound_with_their_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("certs")).unwrap();
    fs::create_dir(folder.path().join("pages")).unwrap();
    let secrets = ["certs/shop.pem", "certs/shop.key", "users", "countries.csv", "certs/partners.pem"];
    let tasks =
        ["api", "ann-shop", "bob", "carol"].map(|name| [format!("certs/{name}.pem"), format!("certs/{name}.key")]);
    let pages = ["pages/error.html", "pages/maintenance.html"];
    for name in secrets.into_iter().chain(pages).chain(tasks.iter().flatten().map(String::as_str)) {
        let path = folder.path().join(name);
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    for text in [FULL, MINIMAL].into_iter().chain(TASKS) {
        let path = folder.path().join("bulkhead.toml");
        fs::write(&path, text).unwrap();
        match Text::read(&path).and_then(|text| text.parse_with(NamedFiles::Required)) {
            Ok((_, warnings)) => assert!(warnings.is_empty(), "{}", warnings[0]),
            Err(errors) => panic!("{errors}"),
        }
    }
}

#[test]
fn the_full_example_means_what_it_says() {
    let (config, _) = sound(FULL);
    assert_eq!(config.sni_router.listen.len(), 3);
    assert_eq!(config.sni_router.listen[0].descriptor_name(), "listen-https");
    assert_eq!(config.sni_router.otherwise.not_tls, NotTls::Redirect);
    assert!(config.sni_router.access[1].observe && !config.sni_router.access[0].observe);
    assert_eq!(config.routes.iter().map(|r| &*r.name).collect::<Vec<_>>(), ["mail", "acme", "shop", "retired"]);
    assert_eq!(config.routes[1].action, RouteAction::Passthrough("acme".into()));
    assert_eq!(config.routes[3].action, RouteAction::Refuse(Refusal::Alert));
    assert_eq!(config.pool("mail").unwrap().servers[1].weight, 2);
    assert_eq!(config.sites[0].alpn, [SiteAlpn::H2, SiteAlpn::Http11]);
    assert_eq!(config.http_filter.max_body, Some(16 << 20));
    assert_eq!(config.http_filter.access.len(), 6);
    assert!(config.forward_proxy.require_user);
    assert!(config.forward_proxy.access[1].conditions.ports.as_ref().unwrap().contains(8500));
    assert!(config.passthrough_relay.outward.allow.contains("10.20.0.1".parse().unwrap()));
}

/// Everything that can be done with a result: nothing of it may panic.
fn use_up(loaded: Loaded) {
    match loaded {
        Ok((config, warnings)) => {
            warnings.iter().for_each(|warning| drop(warning.render(true)));
            drop(config.needed());
        }
        Err(errors) => {
            assert!(!errors.errors().is_empty());
            drop((errors.render(false), errors.render(true)));
            assert!(errors.errors().iter().all(|error| error.position() >= (1, 1)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_bytes_never_panic(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<char>(), 0_u8..4), 1..6)
    ) {
        let mut text: Vec<char> = FULL.chars().collect();
        for (at, c, how) in changes {
            if text.is_empty() {
                break;
            }
            let at = at.index(text.len());
            match how {
                0 => { text.remove(at); }
                1 => text.insert(at, c),
                2 => text[at] = c,
                _ => text.truncate(at.max(1)),
            }
        }
        use_up(parse(&text.into_iter().collect::<String>()));
    }

    #[test]
    fn moved_values_never_panic(swaps in proptest::collection::vec((any::<proptest::sample::Index>(), any::<proptest::sample::Index>(), any::<bool>()), 1..6)) {
        // Whole values and whole lines change places: sound TOML, wrong meaning.
        let mut lines: Vec<String> = FULL.lines().map(str::to_owned).collect();
        for (a, b, whole) in swaps {
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            if whole {
                lines.swap(a, b);
            } else if let (Some((key, _)), Some((_, value))) = (lines[a].clone().split_once('='), lines[b].clone().split_once('=')) {
                lines[a] = format!("{key}={value}");
            }
        }
        use_up(parse(&lines.join("\n")));
    }

    #[test]
    fn any_text_never_panics(text in "\\PC{0,200}") {
        use_up(parse(&text));
    }
}

#[test]
fn odd_texts_never_panic() {
    for text in [
        "",
        "\u{feff}",
        "\u{feff}x = 1",
        "\r\n",
        "x = 1\r\ny = 2\r\n",
        "a = \"ü\u{0301}\"\tb",
        "[[[",
        "\"\" = 1",
        "log = {}\nlog.level = 1",
    ] {
        use_up(parse(text));
    }
    use_up(parse(&"[".repeat(50_000)));
    use_up(parse(&format!("x = {}", "[".repeat(50_000))));
    use_up(parse(&"[[pool]]\n".repeat(5_000)));
}
