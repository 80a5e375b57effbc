//! `docs/configuration.md`, drawn from the table of keys. Pure.

use super::{Key, Kind, Preset, keys, keys_of};

const HEAD: &str = "\
<!-- Drawn from common/src/config/reference; a test keeps it in step. After a change: BLESS=1 cargo test -p common config -->
# Configuration

Bulkhead reads one TOML file, by default `/etc/bulkhead/bulkhead.toml`; each process takes only its own part of it.
`bulkhead check FILE` judges the whole file and opens nothing; an error names file, line and key, and says what is allowed.
`docs/examples/minimal.toml` is the shortest useful file, `docs/examples/bulkhead.toml` shows everything with comments.

- A duration is a whole number and a unit: `\"250ms\"`, `\"5s\"`, `\"10m\"`, `\"1h\"`.
- A size is a number of bytes or a number and a unit: `512`, `\"64KiB\"`, `\"1MiB\"`, `\"2GiB\"`.
- A relative path is taken from the directory of the configuration file.
- Secrets are paths to files, never values.
- A key that is not on this page is an error.
- Host names are compared without regard to case; write international names in their `xn--` form.
";

/// The whole page.
pub fn render_markdown() -> String {
    let mut out = HEAD.to_owned();
    for section in keys().filter(|key| matches!(key.kind, Kind::Table | Kind::Tables)) {
        render_section(section, &mut out);
    }
    out
}

fn render_section(section: &Key, out: &mut String) {
    let heading = match section.kind {
        Kind::Tables => format!("[[{}]]", section.path),
        _ => format!("[{}]", section.path),
    };
    out.push_str(&format!("\n## `{heading}`\n\n{}", section.short));
    if !section.long.is_empty() {
        out.push(' ');
        out.push_str(section.long);
    }
    out.push_str("\n\n| key | type and allowed values | default | meaning |\n| --- | --- | --- | --- |\n");
    let mut longer = String::new();
    for key in keys_of(section.path).filter(|key| !matches!(key.kind, Kind::Table | Kind::Tables)) {
        render_key(key, key.last(), out, &mut longer);
        // The keys of inline tables (`servers = [{ address = … }]`) stand below the key that holds them.
        for inner in keys_of(key.path) {
            render_key(inner, &format!("{}.{}", key.last(), inner.last()), out, &mut longer);
        }
    }
    if !longer.is_empty() {
        out.push('\n');
        out.push_str(&longer);
    }
}

fn render_key(key: &Key, name: &str, out: &mut String, longer: &mut String) {
    let preset = match key.preset {
        Preset::Required => "must be given".to_owned(),
        Preset::Absent(meaning) => meaning.to_owned(),
        Preset::Value(value) => format!("`{value}`"),
    };
    let allowed = format!("{}: {}", key.kind.name(), key.kind.allowed());
    out.push_str(&format!("| `{name}` | {} | {} | {} |\n", cell(&allowed), cell(&preset), cell(key.short)));
    if !key.long.is_empty() {
        longer.push_str(&format!("- `{name}`: {}\n", key.long));
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
