//! `packaging/third-party.txt`: the licences of what is linked into the programs, which ask to be handed on with them. Drawn from the
//! sources that cargo fetched; `BLESS=1` writes it. Versions are not in it, so that it changes when a licence does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::tree::{packages, root};

/// The one that packages are made for; others link a few libraries more or less, and cargo has fetched nothing for them.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";
/// The packages whose programs are installed.
const INSTALLED: [&str; 5] = ["bulkhead", "sni-router", "tls-terminator", "http-filter", "forward-proxy"];
/// How names of files with licences begin.
const FILES: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];
/// How the Apache License begins; its text is in every distribution already.
const APACHE: &str = "Apache License Version 2.0, January 2004";
/// Longest form of it, without blanks that do not count; what is longer says something else, too.
const APACHE_ALONE: usize = 12_000;

const HEAD: &str = "\
Bulkhead itself: MIT or Apache-2.0, as you choose (LICENSE-MIT, LICENSE-APACHE).

Its programs contain the following Rust libraries, and the C of those that bring some. Where a library may be taken under the MIT
licence, that is the one it was taken under. Drawn by a test: BLESS=1 cargo test -p tests --test rules licences
";

/// A library.
struct Library {
    name: String,
    licence: String,
    texts: Vec<String>,
}

fn libraries() -> Vec<Library> {
    let linked: BTreeSet<&String> = INSTALLED.iter().flat_map(|name| &packages()[*name].all).collect();
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", PLATFORM])
        .current_dir(root())
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let strangers = all["packages"].as_array().expect("a list").iter().filter(|package| !package["source"].is_null());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found: Vec<Library> = strangers
        .filter(|package| linked.contains(&text(&package["name"])))
        .map(|package| {
            let (name, licence) = (text(&package["name"]), text(&package["license"]));
            let folder = text(&package["manifest_path"]);
            let texts = texts(Path::new(&folder).parent().expect("a file lies in a folder"), &licence);
            Library { name, licence, texts }
        })
        .collect();
    found.sort_by(|one, other| (&one.name, &one.licence).cmp(&(&other.name, &other.licence)));
    found
}

/// The texts that a library brings, those of the licence that was chosen.
fn texts(folder: &Path, licence: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("cargo has fetched it").flatten();
    let names = entries.filter(|entry| entry.path().is_file()).map(|entry| entry.file_name().into_string().unwrap());
    let mut names: Vec<String> =
        names.filter(|name| FILES.iter().any(|start| name.to_uppercase().starts_with(start))).collect();
    names.sort();
    let choice = licence.contains("MIT") && !licence.contains("AND");
    let mit: Vec<String> = names.iter().filter(|name| name.to_uppercase().contains("MIT")).cloned().collect();
    let chosen = if choice && !mit.is_empty() { mit } else { names };
    let read = |name: String| String::from_utf8_lossy(&fs::read(folder.join(name)).expect("a file")).into_owned();
    chosen.into_iter().map(read).map(|text| shown(&text)).collect()
}

fn shown(text: &str) -> String {
    let squeezed = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if squeezed.starts_with(APACHE) && squeezed.len() < APACHE_ALONE {
        return "The Apache License, version 2.0: /usr/share/common-licenses/Apache-2.0, or LICENSE-APACHE in the source.\n".to_owned();
    }
    let lines = text.trim_matches(['\u{feff}', '\n', '\r']).lines().map(str::trim_end);
    lines.map(|line| format!("{line}\n")).collect()
}

/// Equal texts once, each behind the names of those who have it.
fn page() -> String {
    let libraries = libraries();
    assert!(libraries.len() > 100, "only {} libraries", libraries.len());
    let mut by_text: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    let mut page = HEAD.to_owned();
    for Library { name, licence, texts } in &libraries {
        let who = format!("{name} ({licence})");
        if texts.is_empty() {
            let _ = write!(page, "\n{who}: its package brings no text of its licence.\n");
        }
        for text in texts {
            let key = text.split_whitespace().collect::<Vec<_>>().join(" ");
            by_text.entry(key).or_insert_with(|| (text.clone(), BTreeSet::new())).1.insert(who.clone());
        }
    }
    let mut parts: Vec<(BTreeSet<String>, String)> = by_text.into_values().map(|(text, who)| (who, text)).collect();
    parts.sort();
    for (who, text) in parts {
        let who: Vec<String> = who.into_iter().collect();
        let _ = write!(page, "\n{}\n{}\n\n{text}", "=".repeat(80), who.join(", "));
    }
    page
}

#[test]
fn every_licence_is_handed_on() {
    if !cfg!(all(target_arch = "x86_64", target_env = "gnu")) {
        harness::needs::note("every_licence", PLATFORM);
        return;
    }
    let path = root().join("packaging/third-party.txt");
    let page = page();
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "packaging/third-party.txt is not what is linked; BLESS=1 writes it anew");
}
