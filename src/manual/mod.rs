//! Manual pages and completions, drawn from the tables the code works with: the forms of the command line, the reference of the
//! configuration, the processes and their edges. They lie in `packaging/` as files, so that installing needs no generator and every
//! build installs the same bytes; the test here keeps them in step, and `BLESS=1 cargo test -p bulkhead manual` writes them anew.
//!
//! Only built for tests: nothing of it is in a program.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod completions;
mod configuration;
mod front_door;
mod processes;
mod roff;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use common::process::Process;

/// The folder of what packages hold beside programs and units.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging")
}

/// Every file, by its path below `packaging/`.
fn files() -> Vec<(String, String)> {
    let mut files = vec![
        ("man/bulkhead.1".to_owned(), front_door::page()),
        ("man/bulkhead.toml.5".to_owned(), configuration::page()),
        ("completions/bulkhead.bash".to_owned(), completions::bash()),
        ("completions/_bulkhead".to_owned(), completions::zsh()),
        ("completions/bulkhead.fish".to_owned(), completions::fish()),
    ];
    files.extend(Process::ALL.map(|process| (format!("man/bulkhead-{process}.8"), processes::page(process))));
    files
}

#[test]
fn pages_and_completions_are_what_the_tables_say() {
    let files = files();
    if std::env::var_os("BLESS").is_some() {
        for (path, text) in &files {
            let path = folder().join(path);
            fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("our own tree");
            fs::write(path, text).expect("our own tree");
        }
    }
    let help = "BLESS=1 cargo test -p bulkhead manual writes them anew";
    for (path, text) in &files {
        let written = fs::read_to_string(folder().join(path)).unwrap_or_default();
        assert!(written == *text, "packaging/{path} is not what the tables say; {help}");
    }
    // And nothing lies there that nobody draws any more.
    let drawn: BTreeSet<String> = files.into_iter().map(|(path, _)| path).collect();
    for below in ["man", "completions"] {
        for entry in fs::read_dir(folder().join(below)).expect("it is there").flatten() {
            let path = format!("{below}/{}", entry.file_name().to_string_lossy());
            assert!(drawn.contains(&path), "packaging/{path} is drawn from nothing");
        }
    }
}

#[test]
fn the_manual_knows_every_key_every_flag_and_every_edge() {
    let page = configuration::page();
    for key in common::config::reference::keys() {
        let name = roff::escaped(key.last());
        assert!(page.contains(&name), "bulkhead.toml(5) does not say {}", key.path);
    }
    let page = front_door::page();
    for form in crate::usage::FORMS {
        for word in form.words {
            for (flag, meaning) in word.flags() {
                assert!(page.contains(&roff::escaped(&flag)), "bulkhead(1) does not say {flag}: {meaning}");
            }
        }
    }
    for edge in common::wiring::EDGES {
        for process in [edge.sender, edge.receiver] {
            let page = processes::page(process);
            assert!(page.contains(&roff::escaped(edge.name)), "bulkhead-{process}(8) does not say {}", edge.name);
        }
    }
}
