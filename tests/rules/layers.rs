//! Layers and walls, read off what cargo links: so "the router and the relay contain no TLS and no HTTP code" is a fact.

use crate::tree::{Package, linked_anywhere, packages};

/// The packages that carry traffic. None may import another.
const COMPONENTS: [&str; 4] = ["sni-router", "tls-terminator", "http-filter", "forward-proxy"];

/// Crates with a wall around them: who may have them *linked in*, directly or through others.
const WALLS: [(&str, &[&str]); 8] = [
    ("rustls", &["tls-terminator", "http-filter", "demo", "tests"]),
    ("tokio-rustls", &["tls-terminator", "http-filter", "demo", "tests"]),
    ("aws-lc-rs", &["tls-terminator", "http-filter", "tls-record", "demo", "tests"]),
    ("rcgen", &["demo", "tests"]),
    ("hyper", &["common-http", "http-filter", "forward-proxy", "demo"]),
    ("h2", &["common-http", "http-filter", "forward-proxy", "demo", "tests"]),
    ("http", &["common-http", "http-filter", "forward-proxy", "demo", "tests"]),
    ("hickory-resolver", &["sni-router"]),
];

/// Crates that only one package may *name*; others get them through it.
const NAMED_BY: [(&str, &[&str]); 6] = [
    ("bincode", &["common"]),
    ("seccompiler", &["common"]),
    ("landlock", &["common"]),
    ("libc", &["common"]),
    ("toml", &["common"]),
    ("annotate-snippets", &["common"]),
];

/// Crates nobody may have: a second cryptographic provider, and a library outside Rust's rules.
const NOBODY: [&str; 5] = ["ring", "openssl", "openssl-sys", "native-tls", "async-std"];

fn own(package: &Package) -> Vec<&str> {
    package.direct.iter().filter(|name| packages().contains_key(*name)).map(String::as_str).collect()
}

#[test]
fn common_imports_no_component_and_components_import_common_only() {
    for package in packages().values() {
        let allowed: &[&str] = match package.name.as_str() {
            "common" | "demo" | "seclang" | "tls-record" => &[],
            "common-access" | "bulkhead" => &["common"],
            "tests" => &["common", "seclang"],
            // For the last words to a client whom no http-filter takes; everything else there is rustls.
            "tls-terminator" => &["common", "tls-record"],
            "common-http" | "sni-router" => &["common", "common-access"],
            "http-filter" => &["common", "common-access", "common-http", "seclang", "tls-record"],
            "forward-proxy" => &["common", "common-access", "common-http"],
            other => panic!("{other} has no place in the layers; give it one here and in ARCHITECTURE.md"),
        };
        for name in own(package) {
            assert!(allowed.contains(&name), "{} imports {name}, but may import {allowed:?}", package.name);
        }
    }
}

#[test]
fn the_front_door_links_no_component() {
    let packages = packages();
    for name in COMPONENTS.into_iter().chain(["common-http", "demo", "tests"]) {
        assert!(!packages["bulkhead"].all.contains(name), "the front door links {name}");
    }
}

#[test]
fn third_party_walls_hold() {
    for package in packages().values() {
        for (name, allowed) in WALLS {
            let may = allowed.contains(&package.name.as_str());
            assert!(may || !package.all.contains(name), "{} has {name} linked in; only {allowed:?} may", package.name);
        }
        for (name, allowed) in NAMED_BY {
            let may = allowed.contains(&package.name.as_str());
            assert!(may || !package.direct.contains(name), "{} names {name}; only {allowed:?} may", package.name);
        }
    }
    let anywhere = linked_anywhere();
    for name in NOBODY {
        assert!(!anywhere.contains(name), "{name} is linked in; `cargo tree -i {name}` says by whom");
    }
}

#[test]
fn the_walls_stand_around_something() {
    // A misspelt name would be a wall around nothing.
    let packages = packages();
    let known = |name: &str| packages.values().any(|package| package.all.contains(name));
    for (name, _) in WALLS.iter().chain(&NAMED_BY) {
        assert!(known(name), "nobody uses {name}; take its wall down");
    }
}
