//! The configuration as a user meets it: texts in, a `Config` or drawn errors out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod access;
mod examples;
mod files;
mod http_routes;
mod links;
mod pools;
mod rule_files;
mod sections;
mod tls_policy;
mod transport;
mod values;
mod web_attacks;
mod words;

use super::*;

/// A sound file with one of everything that other tests need; tests change one line of it or add to its end.
pub(super) const BASE: &str = r#"
[[sni-router.listen]]
name = "https"
address = "127.0.0.1:8443"

[[route]]
name = "pass"
server_names = "pass.example"
passthrough = "p"

[[pool]]
name = "p"
servers = "127.0.0.1:9443"
"#;

pub(super) fn parse(text: &str) -> Loaded {
    Config::parse(text, "b.toml", Path::new("/etc/b"))
}

pub(super) fn sound(text: &str) -> (Config, Vec<Warning>) {
    match parse(text) {
        Ok(loaded) => loaded,
        Err(errors) => panic!("unexpected errors:\n{errors}"),
    }
}

/// The 1-based line of the first line that contains `mark`.
pub(super) fn line_of(text: &str, mark: &str) -> usize {
    text.lines().position(|line| line.contains(mark)).unwrap_or_else(|| panic!("no line has {mark:?}")) + 1
}

/// The text must have an error on the line that contains `mark`, drawn with `b.toml:line:column` and all `words`.
pub(super) fn fails(text: &str, mark: &str, words: &[&str]) -> ConfigErrors {
    let errors = parse(text).err().unwrap_or_else(|| panic!("no error in:\n{text}"));
    let line = line_of(text, mark);
    let found = errors.errors().iter().any(|error| holds(error, line, words));
    assert!(found, "no error on line {line} with {words:?}; got:\n{errors}");
    errors
}

/// The same for a warning of a file that is sound.
pub(super) fn warns(text: &str, mark: &str, words: &[&str]) {
    let (_, warnings) = sound(text);
    let line = line_of(text, mark);
    let shown: Vec<String> = warnings.iter().map(|warning| warning.render(false)).collect();
    assert!(warnings.iter().any(|warning| holds(warning, line, words)), "no such warning on line {line}: {shown:#?}");
}

fn holds(diagnostic: &Diagnostic, line: usize, words: &[&str]) -> bool {
    let drawn = diagnostic.render(false);
    let (at, column) = diagnostic.position();
    at == line && drawn.contains(&format!("b.toml:{at}:{column}")) && words.iter().all(|word| drawn.contains(word))
}
