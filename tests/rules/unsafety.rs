//! `unsafe` stands in one module, `common/src/sys/`, each block with its reason; every other crate forbids it.

use crate::tree::{packages, read, rust_files};

/// The one folder.
const OPEN: &str = "common/src/sys/";

/// The crate root that cannot forbid it, because that module is in it. There the lint of the workspace denies it.
const DENIES: &str = "common/src/lib.rs";

/// A line's code: comments and strings cut off roughly, which is enough to look for a keyword.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

fn has_unsafe(line: &str) -> bool {
    let words = |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe");
    let outside_strings: String = code(line).split('"').step_by(2).collect();
    words(&outside_strings)
}

#[test]
fn unsafe_code_stands_below_sys_only() {
    let mut found = 0;
    for path in rust_files() {
        let text = read(path);
        for (number, _) in text.lines().enumerate().filter(|(_, line)| has_unsafe(line)) {
            assert!(path.starts_with(OPEN), "{path}:{}: unsafe outside {OPEN}", number + 1);
            found += 1;
        }
    }
    assert!(found > 0, "this test no longer finds any unsafe code: it looks for the wrong thing");
}

#[test]
fn every_unsafe_block_has_its_reason() {
    for path in rust_files().filter(|path| path.starts_with(OPEN)) {
        let text = read(path);
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| has_unsafe(line)) {
            let before = &lines[number.saturating_sub(6)..=number];
            let reason =
                before.iter().any(|line| ["SAFETY:", "# Safety", "unsafe_code"].iter().any(|word| line.contains(word)));
            assert!(reason, "{path}:{}: no SAFETY comment: {line}", number + 1);
        }
    }
}

#[test]
fn every_other_crate_forbids_it() {
    for package in packages().values() {
        for (root, kind) in package.roots.iter().filter(|(root, _)| root != DENIES) {
            assert!(read(root).contains("#![forbid(unsafe_code)]"), "{root} ({kind}) does not forbid unsafe code");
        }
    }
}

#[test]
fn one_module_opens_it_again() {
    assert!(read("Cargo.toml").contains("unsafe_code = \"deny\""), "the workspace denies it");
    let word = ["allow(unsafe", "_code)"].concat();
    let opened: Vec<&str> = rust_files().filter(|path| read(path).contains(&word)).collect();
    assert_eq!(opened, [format!("{OPEN}mod.rs")], "only {OPEN} may");
}
