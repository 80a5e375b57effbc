//! Files: each says why it exists, none is too long, none knows the machine it was written on.

use crate::tree::{files, read, rust_files};

/// Lines a file may have, tests at its end not counted.
const LONGEST: usize = 600;

/// Files that may be longer, each with its reason.
const LONGER: [(&str, &str); 0] = [];

fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs") || path.contains("/fuzz/")
}

#[test]
fn no_file_is_too_long() {
    for path in rust_files().filter(|path| !is_test(path)) {
        let text = read(path);
        let own = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default().lines().count();
        let allowed = LONGER.iter().any(|(longer, _)| *longer == path);
        assert!(own <= LONGEST || allowed, "{path} has {own} lines; {LONGEST} are allowed: divide it by task");
    }
    for (path, _) in LONGER {
        assert!(read(path).lines().count() > LONGEST, "{path} no longer needs its exception");
    }
}

#[test]
fn every_file_says_why_it_exists() {
    for path in rust_files() {
        let text = read(path);
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        assert!(first.starts_with("//! "), "{path} begins with {first:?} instead of saying why it exists (//!)");
        assert!(first.len() > 12, "{path}: {first:?} says nothing");
    }
}

#[test]
fn nothing_knows_this_machine() {
    // Put together here, so that this file does not contain them.
    let forbidden = [["/wo", "rk/"], ["/tmp", "/wt"], ["/ro", "ot/"], ["/fa", "rm/"]].map(|halves| halves.concat());
    for path in files() {
        let Ok(text) = std::fs::read_to_string(crate::tree::root().join(path)) else { continue };
        for word in &forbidden {
            let place = text.lines().position(|line| line.contains(word.as_str()));
            assert!(place.is_none(), "{path}:{}: {word} is a path of one machine", place.unwrap_or(0) + 1);
        }
    }
}

#[test]
fn crates_come_from_the_public_index_only() {
    let lock = read("Cargo.lock");
    for line in lock.lines().filter(|line| line.starts_with("source = ")) {
        let index = line.contains("registry+https://github.com/rust-lang/crates.io-index");
        assert!(index, "Cargo.lock: {line}: a source that others cannot reach");
    }
    let registry = ["registry", " = \""].concat();
    let sparse = ["sparse", "+http"].concat();
    for path in files().iter().filter(|path| path.ends_with(".toml") || path.ends_with(".md") || path.ends_with(".sh"))
    {
        let text = read(path);
        assert!(!text.contains(&sparse) && !text.contains(&registry), "{path} names a registry");
    }
}

#[test]
fn nothing_is_left_undone_in_words() {
    let marks = [["TO", "DO"], ["FIX", "ME"], ["XX", "X:"]].map(|halves| halves.concat());
    for path in rust_files() {
        let text = read(path);
        for mark in &marks {
            let place = text.lines().position(|line| line.contains(mark.as_str()));
            assert!(place.is_none(), "{path}:{}: {mark}: do it, or write an issue", place.unwrap_or(0) + 1);
        }
    }
}

#[test]
fn every_end_to_end_test_has_a_time_limit() {
    for path in rust_files().filter(|path| path.starts_with("tests/e2e/")) {
        let text = read(path);
        let (tests, limits) = (text.matches("#[test]").count(), text.matches("within(").count());
        assert!(limits >= tests, "{path}: {tests} tests, but only {limits} of them say within(seconds, …)");
    }
}

/// They panic when nobody reads any more: a closed terminal, a pipe whose reader has gone.
#[test]
fn no_process_panics_because_it_is_not_heard() {
    let macros = ["eprint", "print"].map(|name| [format!("{name}ln!("), format!("{name}!(")]).concat();
    let ours = |path: &&str| {
        path.contains("src/") && !is_test(path) && !path.starts_with("fuzz/") && !path.starts_with("benches/")
    };
    for path in rust_files().filter(ours) {
        let text = read(path);
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            let word = |name: &String| {
                line.split(name.as_str()).next().is_some_and(|before| {
                    before.len() < line.len() && !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
                })
            };
            assert!(!macros.iter().any(word), "{path}:{}: use common::complain", number + 1);
        }
    }
}
