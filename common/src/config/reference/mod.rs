//! Every key of the file, once: type, default, allowed values, short and long text.
//!
//! The reader takes defaults and ranges from here, unknown keys are those that are not here, and
//! `docs/configuration.md` is drawn from here. So none of them can disagree.

mod access;
mod forward;
mod general;
mod http;
mod log;
mod markdown;
mod metrics;
mod pool;
mod router;
mod terminator;
mod tls_policy;

pub use markdown::render_markdown;

use super::nearest::nearest;
use super::value::{show_duration, show_size};
use std::collections::HashMap;
use std::sync::OnceLock;

/// One key, or one table.
#[derive(Debug)]
pub struct Key {
    /// Path without indexes: `sni-router.listen.address`.
    pub path: &'static str,
    /// What it may hold.
    pub kind: Kind,
    /// What holds when it is absent.
    pub preset: Preset,
    /// One line.
    pub short: &'static str,
    /// What else a reader may want to know; may be empty.
    pub long: &'static str,
}

/// What a key may hold.
#[derive(Debug)]
pub enum Kind {
    /// `[table]`
    Table,
    /// `[[table]]`, any number of them.
    Tables,
    /// `true` or `false`
    Flag,
    /// A whole number in an inclusive range.
    Integer(Bounds),
    /// Bytes, `"64KiB"` or a number, in an inclusive range.
    Size(Bounds),
    /// A duration, the range in milliseconds.
    Duration(Bounds),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A text, with what is allowed.
    Text(&'static str),
    /// A list.
    List {
        /// What an element is.
        of: &'static str,
        /// Whether a single value may stand without brackets.
        single: bool,
        /// Whether the list may be empty.
        empty: bool,
    },
    /// Several shapes; the text says which.
    Shapes(&'static str),
}

/// An inclusive range, and what 0 means when it is allowed outside of it.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Least value.
    pub min: u64,
    /// Largest value.
    pub max: u64,
    /// Meaning of 0, if 0 is allowed although `min` is larger.
    pub zero: Option<&'static str>,
}

/// What holds when a key is absent.
#[derive(Debug)]
pub enum Preset {
    /// It must be given.
    Required,
    /// Nothing is set; what that means.
    Absent(&'static str),
    /// This value, as it would be written in the file.
    Value(&'static str),
}

impl Bounds {
    /// Whether the value is allowed.
    pub fn allow(&self, value: u64) -> bool {
        (self.min..=self.max).contains(&value) || (value == 0 && self.zero.is_some())
    }

    fn show(&self, show: fn(u64) -> String) -> String {
        let range = format!("{} to {}", show(self.min), show(self.max));
        match self.zero {
            Some(meaning) => format!("{range}, or 0 ({meaning})"),
            None => range,
        }
    }
}

impl Kind {
    /// What is allowed, as the user reads it.
    pub fn allowed(&self) -> String {
        match self {
            Kind::Table => "a table".to_owned(),
            Kind::Tables => "any number of tables".to_owned(),
            Kind::Flag => "`true` or `false`".to_owned(),
            Kind::Integer(bounds) => bounds.show(|n| n.to_string()),
            Kind::Size(bounds) => bounds.show(show_size),
            Kind::Duration(bounds) => bounds.show(show_duration),
            Kind::Choice(words) => words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", "),
            Kind::Text(what) | Kind::Shapes(what) => (*what).to_owned(),
            Kind::List { of, single, empty } => match (single, empty) {
                (true, true) => format!("one or a list of: {of}; may be empty"),
                (true, false) => format!("one or a list of: {of}"),
                (false, true) => format!("a list of: {of}; may be empty"),
                (false, false) => format!("a list of: {of}; not empty"),
            },
        }
    }

    /// The kind of value, in a word or two.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Table => "table",
            Kind::Tables => "array of tables",
            Kind::Flag => "boolean",
            Kind::Integer(_) => "whole number",
            Kind::Size(_) => "size",
            Kind::Duration(_) => "duration",
            Kind::Choice(_) => "word",
            Kind::Text(_) => "text",
            Kind::List { .. } => "list",
            Kind::Shapes(_) => "text or table",
        }
    }
}

impl Key {
    /// The table it stands in; empty for the top of the file.
    pub fn parent(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(parent, _)| parent)
    }

    /// The last part of its path.
    pub fn last(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, last)| last)
    }
}

/// Every key, in the order of the page.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    let sections: [&[&[Key]]; 12] = [
        &[general::KEYS, log::KEYS, metrics::KEYS, access::KEYS],
        &[pool::KEYS, pool::balancing::KEYS, pool::transport::KEYS, router::KEYS],
        access::ROUTER,
        &[terminator::KEYS, tls_policy::KEYS, http::KEYS, http::rewriting::SECTION, http::h2::KEYS],
        access::HTTP,
        &[http::observe::KEYS],
        http::limit::TABLES,
        http::web_attacks::TABLES,
        http::route::KEYS,
        &[http::rewriting::ROUTE, http::answers::ERROR_PAGES, http::answers::COMPRESSION],
        &[forward::KEYS],
        access::FORWARD,
    ];
    sections.into_iter().flatten().copied().flatten()
}

/// The key of that path.
pub fn find(path: &str) -> Option<&'static Key> {
    keys().find(|key| key.path == path)
}

/// The keys that stand directly in the table of that path (`""`: the top of the file). Asked several times for every table
/// of the file, so it is looked up: a file may have thousands of sites.
pub fn keys_of(table: &str) -> impl Iterator<Item = &'static Key> {
    static BY_TABLE: OnceLock<HashMap<&'static str, Vec<&'static Key>>> = OnceLock::new();
    let by_table = BY_TABLE.get_or_init(|| {
        let mut tables: HashMap<_, Vec<_>> = HashMap::new();
        keys().for_each(|key| tables.entry(key.parent()).or_default().push(key));
        tables
    });
    by_table.get(table).into_iter().flatten().copied()
}

/// What `bulkhead explain KEY` prints: everything known of one key, or for a table the list of its keys.
///
/// # Errors
/// A sentence with the nearest known path.
pub fn explain_key(path: &str) -> Result<String, String> {
    let wanted = path.trim_matches(|c| matches!(c, '[' | ']' | ' '));
    let Some(key) = find(wanted) else {
        return Err(match nearest(wanted, keys().map(|key| key.path)) {
            Some(near) => format!("there is no key `{wanted}`; did you mean `{near}`?"),
            None => format!("there is no key `{wanted}`"),
        });
    };
    let mut out = format!("{}\n  {}\n", key.path, key.short);
    if !key.long.is_empty() {
        out.push_str(&format!("  {}\n", key.long));
    }
    if !matches!(key.kind, Kind::Table | Kind::Tables) {
        out.push_str(&format!("  type: {}\n  allowed: {}\n", key.kind.name(), key.kind.allowed()));
        out.push_str(&match key.preset {
            Preset::Required => "  must be given\n".to_owned(),
            Preset::Absent(meaning) => format!("  when absent: {meaning}\n"),
            Preset::Value(value) => format!("  default: {value}\n"),
        });
    }
    let below: Vec<&str> = keys_of(key.path).map(Key::last).collect();
    if !below.is_empty() {
        out.push_str(&format!("  keys: {}\n", below.join(", ")));
    }
    Ok(out)
}

// Short names for the tables of keys; every entry is one call.

const fn key(path: &'static str, kind: Kind, preset: Preset, short: &'static str, long: &'static str) -> Key {
    Key { path, kind, preset, short, long }
}

const fn table(path: &'static str, short: &'static str, long: &'static str) -> Key {
    key(path, Kind::Table, Preset::Absent("defaults"), short, long)
}

const fn tables(path: &'static str, short: &'static str, long: &'static str) -> Key {
    key(path, Kind::Tables, Preset::Absent("none"), short, long)
}

const fn integer(min: u64, max: u64) -> Kind {
    Kind::Integer(Bounds { min, max, zero: None })
}

const fn integer_or_zero(min: u64, max: u64, zero: &'static str) -> Kind {
    Kind::Integer(Bounds { min, max, zero: Some(zero) })
}

const fn size(min: u64, max: u64) -> Kind {
    Kind::Size(Bounds { min, max, zero: None })
}

/// Bounds in milliseconds.
const fn duration(min: u64, max: u64) -> Kind {
    Kind::Duration(Bounds { min, max, zero: None })
}

const fn list(of: &'static str) -> Kind {
    Kind::List { of, single: true, empty: false }
}

const fn list_or_empty(of: &'static str) -> Kind {
    Kind::List { of, single: true, empty: true }
}

const fn value(text: &'static str) -> Preset {
    Preset::Value(text)
}

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Most connections, hellos and the like that one process may be told to hold.
const MANY: u64 = 1_048_576;

const INSTANCES: &str = "How many processes of this kind `bulkhead up` starts.";
const INSTANCES_LONG: &str = "Each is single-threaded: more cores need more instances. Under systemd, enable more instances of the unit instead.";
const UNACKNOWLEDGED: &str = "Hand-overs in flight per receiving instance.";
const PER_ADDRESS: &str = "The same per client address (IPv4 address or IPv6 /64).";
const PER_ADDRESS_LONG: &str = "When absent, the default or `max_connections`, whichever is smaller.";
const RULE_NAME: &str = "Name of the rule in logs, counters and refusals; unique in this list.";
const LABEL: &str = "1 to 64 letters, digits, `-`, `_`, `.`";
const NETWORK: &str = "network (`\"192.0.2.0/24\"`, `\"2001:db8::/32\"`) or address";
const HOST: &str = "host name or `\"*.suffix\"`";
const NAMES_OF_LISTENERS: &str = "name of a `[[sni-router.listen]]`";
