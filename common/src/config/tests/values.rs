//! Single values: wrong types, words, units, ranges.

use super::*;
use crate::config::reference::{Kind, Preset};

/// `section.key = value` appended to the sound base.
fn with(section: &str, line: &str) -> String {
    format!("{BASE}\n[{section}]\n{line}\n")
}

#[test]
fn unknown_keys_with_the_nearest_spelling() {
    fails(
        &with("sni-router", "clienthello_limit = 1"),
        "clienthello",
        &["error: `sni-router.clienthello_limit`", "did you mean `client_hello_limit`?", "allowed in `sni-router`"],
    );
    fails(
        &with("sni_router", "instances = 1"),
        "[sni_router]",
        &["at the top of the file", "did you mean `sni-router`?"],
    );
    fails(&with("log", "users_file = \"x\""), "users_file", &["`forward-proxy.users_file` is known"]);
    fails(
        &BASE.replace("\"127.0.0.1:9443\"", "[{ addres = \"127.0.0.1:9443\" }]"),
        "addres =",
        &["did you mean `address`?"],
    );
}

#[test]
fn wrong_types() {
    fails(
        &with("sni-router", "instances = \"two\""),
        "two",
        &["`sni-router.instances`", "a text", "whole number is wanted", "1 to 64"],
    );
    fails(&with("log", "access = \"yes\""), "yes", &["`true` or `false` is wanted"]);
    fails(&with("log", "level = 3"), "level", &["this is a whole number"]);
    fails("pool = 3\n", "pool", &["write `[[pool]]`"]);
    fails("[pool]\nname = \"x\"\n", "[pool]", &["an array of tables is wanted", "write `[[pool]]`"]);
    fails("[[log]]\nlevel = \"info\"\n", "[[log]]", &["write `[log]` once"]);
    fails("[sni-router]\notherwise = \"refuse\"\n", "otherwise", &["write `[sni-router.otherwise]`"]);
}

#[test]
fn words() {
    fails(&with("log", "level = \"wran\""), "wran", &["did you mean `warn`?", "`\"trace\"`"]);
    fails(&with("bulkhead", "sandbox = \"strictt\""), "strictt", &["did you mean `strict`?"]);
    fails(
        &with("sni-router.otherwise", "no_sni = \"refues\""),
        "refues",
        &["did you mean `refuse`?", "terminate = true"],
    );
}

#[test]
fn units() {
    fails(&with("sni-router", "client_hello_deadline = 10"), "deadline", &["needs a unit", "did you mean `\"10s\"`?"]);
    fails(&with("sni-router", "client_hello_deadline = \"10\""), "deadline", &["has no unit"]);
    fails(
        &with("sni-router", "client_hello_deadline = \"10 minutes\""),
        "minutes",
        &["`minutes` is not a unit of time"],
    );
    fails(&with("sni-router", "client_hello_limit = \"64KB\""), "64KB", &["`KB` is not a unit of size", "KiB"]);
    fails(&with("sni-router", "client_hello_limit = -1"), "-1", &["negative"]);
}

#[test]
fn every_range_is_kept_at_both_ends() {
    let mut judged = 0;
    for key in reference::keys() {
        let (bounds, unit) = match key.kind {
            Kind::Integer(bounds) | Kind::Size(bounds) => (bounds, ""),
            Kind::Duration(bounds) => (bounds, "ms"),
            _ => continue,
        };
        let write = |value: u64| if unit.is_empty() { value.to_string() } else { format!("\"{value}{unit}\"") };
        let below = bounds.min.checked_sub(1).filter(|value| !bounds.allow(*value));
        for outside in below.into_iter().chain([bounds.max + 1]) {
            let text = place(key.parent(), &format!("{} = {}", key.last(), write(outside)));
            let side = if outside < bounds.min { "too small" } else { "too large" };
            fails(
                &text,
                &format!("{} = {}", key.last(), write(outside)),
                &[key.path, side, "allowed:", &key.kind.allowed()],
            );
            judged += 1;
        }
        for inside in [bounds.min, bounds.max] {
            let text = place(key.parent(), &format!("{} = {}", key.last(), write(inside)));
            if let Err(errors) = parse(&text) {
                let about_key = errors.errors().iter().find(|error| error.key() == key.path);
                // A part may not be above its whole (`max_connections_per_address`); that is another check.
                assert!(about_key.is_none_or(|e| e.message().contains("would never be reached")), "{errors}");
            }
        }
    }
    assert!(judged > 60, "only {judged} limits were tried");
}

/// A file with the line in the table of that path.
fn place(table: &str, line: &str) -> String {
    match table {
        "pool.servers" => format!("[[pool]]\nname = \"x\"\nservers = [{{ address = \"a:1\", {line} }}]\n"),
        path if is_in_route(path) => in_route(path, line),
        path if matches!(reference::find(path).map(|key| &key.kind), Some(Kind::Tables)) => {
            format!("[[{path}]]\n{line}\n")
        }
        path => format!("{}{line}\n", header(path)),
    }
}

/// The header of a table, after that of the array it stands in.
fn header(path: &str) -> String {
    match path.rsplit_once('.').and_then(|(parent, _)| reference::find(parent)) {
        Some(parent) if matches!(parent.kind, Kind::Tables) => format!("[[{}]]\n[{path}]\n", parent.path),
        _ => format!("[{path}]\n"),
    }
}

/// Whether it is an inline table of a route.
fn is_in_route(path: &str) -> bool {
    path.starts_with("http-filter.route.")
}

/// A route whose inline table has this line.
fn in_route(path: &str, line: &str) -> String {
    let name = path.rsplit('.').next().unwrap();
    match reference::find(path).unwrap().kind {
        Kind::List { .. } => format!("[[http-filter.route]]\n{name} = [{{ {line} }}]\n"),
        _ => format!("[[http-filter.route]]\n{name} = {{ {line} }}\n"),
    }
}

#[test]
fn required_keys() {
    const LISTS: [&str; 5] = [
        "http-filter.access.",
        "http-filter.rate-limit.",
        "http-filter.concurrency-limit.",
        "http-filter.web-attacks.scope.",
        "http-filter.web-attacks.exclude.",
    ];
    for key in reference::keys().filter(|key| matches!(key.preset, Preset::Required)) {
        let text = match key.parent() {
            "pool.servers" => "[[pool]]\nname = \"x\"\nservers = [{ weight = 2 }]\n".to_owned(),
            inline if LISTS.iter().any(|list| inline.starts_with(list)) => {
                let (table, list) = inline.rsplit_once('.').unwrap_or_default();
                format!("[[{table}]]\n{list} = [{{ value = \"1\" }}]\n")
            }
            path if is_in_route(path) => in_route(path, ""),
            parent if matches!(reference::find(parent).map(|key| &key.kind), Some(Kind::Table)) => header(parent),
            parent => format!("[[{parent}]]\n"),
        };
        let errors = parse(&text).expect_err("a required key is missing");
        let found = errors.errors().iter().any(|e| e.key() == key.path && e.message().contains("must be given"));
        assert!(found, "{}: {errors}", key.path);
    }
}

#[test]
fn parts_do_not_exceed_their_whole() {
    let text = with("sni-router", "max_hellos = 10\nmax_hellos_per_address = 11");
    fails(&text, "per_address", &["`sni-router.max_hellos_per_address`", "above `max_hellos`", "lower it to 10"]);
    let (config, _) = sound(&with("sni-router", "max_hellos = 10"));
    assert_eq!(config.sni_router.max_hellos_per_address, 10);
    fails(
        &with("http-filter", "max_header_bytes = 1024\nmax_request_line = 2048"),
        "request_line",
        &["max_header_bytes"],
    );
}

#[test]
fn empty_lists_that_would_match_nothing() {
    let text = format!("{BASE}\n[[sni-router.access]]\nname = \"a\"\naction = \"deny\"\nclients = []\n");
    fails(&text, "clients", &["empty list matches nothing"]);
    let (config, _) = sound(&with("http-filter", "trusted_proxies = []"));
    assert!(config.http_filter.trusted_proxies.is_empty());
}

#[test]
fn not_toml_at_all() {
    let errors = fails("[bulkhead\nx = 1\n", "[bulkhead", &["this is not TOML"]);
    assert!(!errors.errors().is_empty());
    fails(&format!("{BASE}\n[log]\nlevel = \"info\"\nlevel = \"warn\"\n"), "warn", &["duplicate key"]);
}

#[test]
fn many_errors_in_one_run_in_the_order_of_the_file() {
    let text = with("log", "level = \"loud\"\nformat = 3\nacess = true")
        .replace("pass.example", "pass..example")
        .replace("passthrough = \"p\"", "passthrough = \"q\"");
    let errors = parse(&text).err().unwrap();
    let lines: Vec<usize> = errors.errors().iter().map(|error| error.position().0).collect();
    assert_eq!(errors.errors().len(), 5, "{errors}");
    assert!(lines.is_sorted(), "{lines:?}");
    assert!(errors.to_string().ends_with("b.toml: 5 errors"));
}

#[test]
fn colour_only_when_asked() {
    let errors = parse("x = 1\n").err().unwrap();
    assert!(!errors.render(false).contains('\u{1b}'));
    assert!(errors.render(true).contains('\u{1b}'));
}

#[test]
fn a_drawing_is_what_we_promise() {
    let errors = parse(&with("sni-router", "client_hello_limit = \"2MiB\"")).err().unwrap();
    let expected = "\
error: `sni-router.client_hello_limit`: the value is too large
  --> b.toml:16:22
   |
16 | client_hello_limit = \"2MiB\"
   |                      ^^^^^^ found `\"2MiB\"`
   |
   = note: allowed: 4KiB to 1MiB

b.toml: 1 error";
    assert_eq!(errors.render(false), expected);
}
