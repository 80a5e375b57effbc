//! Whole rule sets load: CRS 4 from `../shared/crs` (or `$BULKHEAD_CRS`), CRS 3.3 from Debian's package where it is installed.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};

use seclang::{RuleSet, Settings, Source};

/// The folder with CRS 4, if it is there. Says so if not: these tests must not fail where it is absent.
fn crs4() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/crs");
    let found = std::env::var_os("BULKHEAD_CRS").map_or(beside, PathBuf::from);
    if found.join("rules").is_dir() {
        return Some(found);
    }
    eprintln!("skipped: {} is not there; set BULKHEAD_CRS", found.display());
    None
}

fn show(errors: &[seclang::LoadError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn crs_4_loads() {
    let Some(folder) = crs4() else { return };
    let sources = [Source::Path(folder.join("crs-setup.conf.example")), Source::Path(folder.join("rules/*.conf"))];
    let rules = RuleSet::load(&sources, Settings::default()).unwrap_or_else(|errors| panic!("{}", show(&errors)));
    assert!(rules.len() > 600, "{}", rules.len());
    assert!(rules.ids().any(|id| id == 942_100));
    assert_eq!(show(rules.notes()), "");
}

#[test]
fn crs_3_3_of_debian_loads() {
    let root = std::env::var_os("BULKHEAD_CRS33").map_or(PathBuf::from("/"), PathBuf::from);
    let rules = root.join("usr/share/modsecurity-crs/rules");
    if !rules.is_dir() {
        eprintln!(
            "skipped: {} is not there; install modsecurity-crs or unpack it and set BULKHEAD_CRS33",
            rules.display()
        );
        return;
    }
    let setup = root.join("etc/modsecurity/crs/crs-setup.conf");
    let rules = RuleSet::load(&[Source::Path(setup), Source::Path(rules.join("*.conf"))], Settings::default());
    let rules = rules.unwrap_or_else(|errors| panic!("{}", show(&errors)));
    assert!(rules.len() > 500, "{}", rules.len());
    // @geoLookup, @rbl, and the back-reference of 942130.
    assert_eq!(rules.notes().len(), 3, "{}", show(rules.notes()));
}
