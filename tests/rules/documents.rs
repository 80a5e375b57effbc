//! Documents speak of what exists: every path in back ticks and every link leads somewhere.

use std::path::Path;

use crate::tree::{files, read, root};

/// Documents that must be there.
const REQUIRED: [&str; 9] = [
    "README.md",
    "ARCHITECTURE.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "docs/configuration.md",
    "docs/threat-model.md",
    "docs/metrics.md",
];

/// What ends like this is meant as a file of the repository.
const KINDS: [&str; 7] = [".rs", ".toml", ".md", ".py", ".sh", ".service", ".socket"];

/// Files that exist only where Bulkhead runs.
const ELSEWHERE: [&str; 8] = [
    "bulkhead.toml",
    "target/",
    "bulkhead.socket",
    "my.toml",
    "config.toml",
    "rust-toolchain.toml",
    "clippy.toml",
    "FILE.toml",
];

fn documents() -> impl Iterator<Item = &'static str> {
    let top = ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"];
    let ours = move |path: &&str| top.contains(path) || (path.starts_with("docs/") && path.ends_with(".md"));
    files().iter().map(String::as_str).filter(ours)
}

/// The text without fenced blocks, where commands stand.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut kept = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// Whether these words in back ticks mean a file or folder of the repository.
fn is_path(words: &str) -> bool {
    let plain = words.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    if !plain || words.starts_with('/') || words.starts_with('-') || words.contains("//") || words.len() < 4 {
        return false;
    }
    if ELSEWHERE.iter().any(|elsewhere| words == *elsewhere || words.starts_with("target/")) {
        return false;
    }
    let first = words.split('/').next().unwrap_or_default();
    let inside = words.contains('/') && root().join(first).exists();
    inside || KINDS.iter().any(|kind| words.ends_with(kind) && words.len() > kind.len())
}

fn exists(document: &str, path: &str) -> bool {
    let beside = Path::new(document).parent().unwrap_or(Path::new(""));
    root().join(path).exists() || root().join(beside).join(path).exists()
}

#[test]
fn every_document_is_there() {
    let missing: Vec<&str> = REQUIRED.into_iter().filter(|path| !root().join(path).is_file()).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
    for path in REQUIRED {
        assert!(read(path).len() > 200, "{path} says nothing");
    }
}

#[test]
fn every_path_in_a_document_exists() {
    let (mut wrong, mut looked_at) = (Vec::new(), 0);
    for document in documents() {
        let text = prose(&read(document));
        for words in text.split('`').skip(1).step_by(2).filter(|words| is_path(words)) {
            looked_at += 1;
            if !exists(document, words) {
                wrong.push(format!("{document}: `{words}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "these do not exist: {wrong:#?}");
    assert!(looked_at > 30, "only {looked_at} paths were found: this test no longer sees what it should");
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    for document in documents() {
        let text = prose(&read(document));
        for link in text.split("](").skip(1) {
            let target = link.split(')').next().unwrap_or_default();
            let path = target.split('#').next().unwrap_or_default();
            let outside = target.contains("://") || target.starts_with("mailto:");
            if !outside && !path.is_empty() && !exists(document, path) {
                wrong.push(format!("{document}: {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "these lead nowhere: {wrong:#?}");
}

#[test]
fn the_change_log_knows_the_version() {
    let manifest = read("Cargo.toml");
    let line = manifest.lines().find(|line| line.starts_with("version = \"")).expect("a version");
    let version = line.trim_start_matches("version = ").trim_matches('"');
    let known = read("CHANGELOG.md").lines().any(|line| line.starts_with("## ") && line.contains(version));
    assert!(known, "CHANGELOG.md has no heading for {version}");
}
