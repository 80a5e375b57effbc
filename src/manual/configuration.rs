//! bulkhead.toml(5), from the reference of keys: the same that `bulkhead explain KEY` prints and docs/configuration.md shows.

use common::config::reference::{Key, Kind, Preset, keys, keys_of};

use super::roff::Page;

/// The page.
pub fn page() -> String {
    let mut page = Page::new("bulkhead.toml", 5, "configuration of Bulkhead");
    page.section("DESCRIPTION").first(
        "Bulkhead reads one TOML file, by default `/etc/bulkhead/bulkhead.toml`; each process takes only its own part of it. \
         `bulkhead check FILE` judges the whole file, `bulkhead explain KEY` prints what stands here of one key.",
    );
    page.text("A duration is a whole number and a unit: `\"250ms\"`, `\"5s\"`, `\"10m\"`, `\"1h\"`.");
    page.text("A size is a number of bytes, or a number and a unit: `512`, `\"64KiB\"`, `\"1MiB\"`, `\"2GiB\"`.");
    page.text(
        "A relative path is taken from the directory of the configuration file. Secrets are paths to files, never values. A key that \
         is not on this page is an error. Host names are compared without regard to case; write international names in their `xn--` \
         form.",
    );
    for section in keys().filter(|key| is_table(key)) {
        table(section, &mut page);
    }
    page.section("FILES");
    page.term("`/etc/bulkhead/bulkhead.toml`", "Read by default.");
    page.term("`/usr/share/doc/bulkhead/examples`", "Whole tasks with comments.");
    page.section("SEE ALSO").first("`bulkhead`(1)");
    page.end()
}

fn is_table(key: &Key) -> bool {
    matches!(key.kind, Kind::Table | Kind::Tables)
}

fn table(section: &Key, page: &mut Page) {
    page.section(&match section.kind {
        Kind::Tables => format!("[[{}]]", section.path),
        _ => format!("[{}]", section.path),
    });
    page.first(&joined(section.short, section.long));
    for key in keys_of(section.path).filter(|key| !is_table(key)) {
        entry(key, key.last(), page);
        for inner in keys_of(key.path) {
            entry(inner, &format!("{}.{}", key.last(), inner.last()), page);
        }
    }
}

fn entry(key: &Key, name: &str, page: &mut Page) {
    page.term(&format!("`{name}`"), &joined(key.short, key.long));
    let preset = match key.preset {
        Preset::Required => "It must be given.".to_owned(),
        Preset::Absent(meaning) => format!("When absent: {meaning}."),
        Preset::Value(value) => format!("Default: `{value}`."),
    };
    page.more(&format!("{}: {}. {preset}", capital(key.kind.name()), key.kind.allowed()));
}

fn joined(short: &str, long: &str) -> String {
    format!("{short} {long}").trim_end().to_owned()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| format!("{}{}", first.to_ascii_uppercase(), letters.as_str())).unwrap_or_default()
}
