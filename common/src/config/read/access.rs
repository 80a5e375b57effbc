//! `[access]`, the rules of the three processes, and the conditions that rules and routes share. Which keys a table may have says
//! the reference; what they mean is the same everywhere.

use super::terminator::path as file_path;
use super::{ACTIONS, listener_references, methods, name, networks, values};
use crate::config::checked::{
    Access, AccessRule, Conditions, Config, Country, Days, Destination, Hours, TlsVersion, UserPattern,
};
use crate::config::ledger::{Ledger, NamedFile, Names};
use crate::config::located::Located;
use crate::config::pattern::{HeaderPattern, HeaderValuePattern, NamePattern, PathPattern, PortSet};
use crate::config::scalar::{Fault, pick, whole_number, wrong_type};
use crate::config::text_pattern::TextPattern;
use crate::config::tree::{Placed, Section};
use crate::config::value;
use std::path::Path;
use toml::de::DeValue;

/// Longest expression or regular expression, in bytes.
const MAX_EXPRESSION: usize = 4096;
/// The key whose file the others speak of.
const COUNTRY_FILE: &str = "access.country_file";

pub(in crate::config) fn access(section: &Section<'_>, base: &Path) -> Access {
    let file = section.text("country_file", |text| file_path(text, base));
    Access { country_file: file.map(|placed| placed.value) }
}

/// Notes the country file for each process that has rules with countries; without a file such rules are errors.
pub(in crate::config) fn country_file(ledger: &Ledger, config: &Config) {
    let ask = |rules: &[AccessRule]| rules.iter().any(|rule| rule.conditions.ask_countries());
    let filter = &config.http_filter;
    let attacks = &filter.web_attacks;
    let lists: [(&'static str, bool); 8] = [
        ("sni-router.access.countries", ask(&config.sni_router.access)),
        ("http-filter.access.countries", ask(&filter.access)),
        ("http-filter.route.countries", filter.routes.iter().any(|route| route.conditions.ask_countries())),
        (
            "http-filter.rate-limit.countries",
            filter.rate_limits.iter().any(|limit| limit.scope.conditions.ask_countries()),
        ),
        (
            "http-filter.concurrency-limit.countries",
            filter.concurrency_limits.iter().any(|limit| limit.scope.conditions.ask_countries()),
        ),
        (
            "http-filter.web-attacks.scope.countries",
            attacks.is_on() && attacks.scopes.iter().any(|scope| scope.conditions.ask_countries()),
        ),
        (
            "http-filter.web-attacks.exclude.countries",
            attacks.is_on() && attacks.excludes.iter().any(|exclude| exclude.conditions.ask_countries()),
        ),
        ("forward-proxy.access.countries", ask(&config.forward_proxy.access)),
    ];
    for (key, asked) in lists {
        if !asked {
            continue;
        }
        let span = ledger.place(COUNTRY_FILE).unwrap_or_default();
        match &config.access.country_file {
            Some(path) => {
                let file = NamedFile { key, path: path.clone(), secret: false, span };
                ledger.files.borrow_mut().push(file);
            }
            None => {
                if let Some(place) = ledger.place(key) {
                    let error = ledger
                        .error(key, "nothing is known of countries, because `access.country_file` is not given")
                        .at(&place, "this speaks of countries")
                        .help("give `country_file` in `[access]`, or leave this out");
                    ledger.report(error);
                }
            }
        }
    }
}

/// One rule of a list.
pub(super) fn rule(section: &Section<'_>, names: Names) -> Option<AccessRule> {
    let name = name(section, names);
    let action = section.choice("action", &ACTIONS);
    let observe = mode(section);
    let conditions = conditions(section);
    let line = section.ledger.line_of(&section.span);
    Some(AccessRule { name: name?.value, action: action?.value, observe: observe?, line, conditions })
}

/// `mode`: whether a rule or limit only reports.
pub(super) fn mode(section: &Section<'_>) -> Option<bool> {
    section.choice("mode", &[("enforce", false), ("observe", true)]).map(|placed| placed.value)
}

/// The conditions of a rule, limit or route: every key that its table has.
pub(super) fn conditions(section: &Section<'_>) -> Conditions {
    let mut found = Conditions::default();
    client(section, &mut found);
    tls(section, &mut found);
    request(section, &mut found);
    outward(section, &mut found);
    found
}

fn client(section: &Section<'_>, found: &mut Conditions) {
    if section.knows("clients") {
        found.clients = networks(section, "clients");
        found.countries = texts(section, "countries", Country::parse);
        found.hours = texts(section, "hours", hours);
        found.days = Days(texts(section, "days", days).iter().fold(0, |all, days| all | days.0));
        found.when = located(section, "when").into_iter().next();
    }
    if section.knows("listen") {
        found.listen = values(listener_references(section));
    }
}

fn tls(section: &Section<'_>, found: &mut Conditions) {
    if section.knows("server_names") {
        found.server_names = texts(section, "server_names", NamePattern::parse);
        found.ja4 = texts(section, "ja4", ja4);
    }
    if section.knows("tls_versions") {
        let versions = [("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];
        let read = section.list("tls_versions", |_, found, _| match found {
            DeValue::String(text) => pick(text, &versions),
            other => Err(wrong_type(other, "a text in quotes")),
        });
        found.tls_versions = values(read.unwrap_or_default());
        found.certificate_subjects = texts(section, "certificate_subjects", attribute);
        found.certificate_names = texts(section, "certificate_names", alternative_name);
        found.certificate_issuers = texts(section, "certificate_issuers", attribute);
    }
}

fn request(section: &Section<'_>, found: &mut Conditions) {
    if section.knows("methods") {
        found.methods = methods(section);
    }
    if section.knows("hosts") {
        found.hosts = texts(section, "hosts", NamePattern::parse);
        found.paths = texts(section, "paths", PathPattern::parse);
    }
    if section.knows("path_regex") {
        found.path_regex = located(section, "path_regex");
        found.headers = pairs(section, "headers", header_name);
        found.cookies = pairs(section, "cookies", cookie_name);
        found.parameters = pairs(section, "parameters", parameter_name);
        found.content_types = texts(section, "content_types", media_type);
        let larger = section.amount("body_larger_than");
        found.body_larger_than = larger.explicit.then_some(larger.value);
    }
}

fn outward(section: &Section<'_>, found: &mut Conditions) {
    if section.knows("destinations") {
        found.users = texts(section, "users", user);
        found.destinations = texts(section, "destinations", destination);
        found.ports = ports(section);
    }
}

fn texts<T>(section: &Section<'_>, key_name: &str, read: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
    values(section.texts(key_name, read).unwrap_or_default())
}

/// Texts that another crate will judge.
pub(super) fn located(section: &Section<'_>, key_name: &str) -> Vec<Located> {
    let Some(key) = section.key(key_name) else { return Vec::new() };
    let read = |found: &DeValue<'_>, span: &std::ops::Range<usize>| match found {
        DeValue::String(text) if text.trim().is_empty() => Err(Fault::from("it is empty".to_owned())),
        DeValue::String(text) if text.len() > MAX_EXPRESSION => {
            Err(Fault::from(format!("it is longer than {MAX_EXPRESSION} bytes")))
        }
        DeValue::String(text) => Ok(Located::new(text, key.path, span.clone(), &section.ledger.source)),
        other => Err(wrong_type(other, "a text in quotes")),
    };
    match key.kind {
        crate::config::reference::Kind::List { .. } => {
            values(section.list(key_name, |_, found, span| read(found, span)).unwrap_or_default())
        }
        _ => {
            section.read(key_name, |_, found, span| read(found, span)).map(|placed| placed.value).into_iter().collect()
        }
    }
}

/// Inline tables with a name, and a value or `absent`.
fn pairs(section: &Section<'_>, key_name: &str, judge: fn(&str) -> Result<String, String>) -> Vec<HeaderPattern> {
    let read = section.list(key_name, |key, found, span| {
        let DeValue::Table(table) = found else {
            return Err(wrong_type(found, "a table (`{ name = \"x-debug\", value = \"1\" }`)"));
        };
        let inline = Section::inline(section.ledger, table, key, span);
        let name: Option<Placed<String>> = inline.text("name", judge);
        let wanted = inline.text("value", value_pattern);
        let absent = inline.flag("absent").unwrap_or(false);
        if absent && inline.has("value") {
            let inner = inline.key("absent").map_or(key.path, |key| key.path);
            let error = inline.ledger.error(inner, "what must not be there has no value");
            inline.ledger.report(error.at(&inline.span_of("value"), "leave out one of both"));
        }
        let name = name.ok_or_else(Fault::already_reported)?;
        let value = match wanted {
            _ if absent => HeaderValuePattern::Absent,
            Some(placed) => placed.value,
            None => HeaderValuePattern::Present,
        };
        Ok(HeaderPattern { name: name.value.into(), value })
    });
    values(read.unwrap_or_default())
}

fn value_pattern(text: &str) -> Result<HeaderValuePattern, String> {
    if text == "*" {
        return Ok(HeaderValuePattern::Present);
    }
    TextPattern::parse(text).map(HeaderValuePattern::Text)
}

fn header_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 256 || !text.bytes().all(value::is_token_byte) {
        return Err(format!("{text:?} is not the name of a header field"));
    }
    Ok(text.to_ascii_lowercase())
}

fn cookie_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 256 || !text.bytes().all(value::is_token_byte) {
        return Err(format!("{text:?} is not the name of a cookie"));
    }
    Ok(text.to_owned())
}

fn parameter_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 256 || text.chars().any(char::is_control) {
        return Err(format!("{text:?} is not the name of a parameter"));
    }
    Ok(text.to_owned())
}

pub(super) fn media_type(text: &str) -> Result<TextPattern, String> {
    let sound = text.split_once('/').is_some_and(|(kind, sub)| !kind.is_empty() && !sub.is_empty());
    if !sound || text.contains(';') || text.chars().any(char::is_whitespace) {
        return Err(format!("{text:?} is not a media type; write `type/subtype` or `type/*`"));
    }
    TextPattern::parse(&text.to_ascii_lowercase())
}

/// `CN=ada`: the attribute in capitals.
fn attribute(text: &str) -> Result<TextPattern, String> {
    let Some((kind, wanted)) = text.split_once('=') else {
        return Err(format!("`{text}` names no attribute; write `CN={text}`"));
    };
    if kind.is_empty() || !kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.') || wanted.is_empty() {
        return Err(format!("`{text}` is no attribute with a value; write `CN=…`, `O=…` or `OU=…`"));
    }
    if wanted.starts_with('*') && wanted.len() > 1 {
        return Err("here `*` may only stand at the end".to_owned());
    }
    TextPattern::parse(&format!("{}={wanted}", kind.to_ascii_uppercase()))
}

/// `DNS:a.example`: with its kind, so that a name of one kind cannot pass for another.
pub(super) fn alternative_name(text: &str) -> Result<HeaderPattern, String> {
    const KINDS: [&str; 4] = ["DNS", "email", "URI", "IP"];
    match text.split_once(':') {
        Some((kind, name)) if KINDS.contains(&kind) && !name.is_empty() => {
            Ok(HeaderPattern { name: kind.into(), value: value_pattern(name)? })
        }
        _ => Err(format!("`{text}` does not say what it is; write `DNS:…`, `email:…`, `URI:…` or `IP:…`")),
    }
}

/// A JA4 fingerprint: `t13d1516h2_8daaf6152771_b186095e22b6`, or its beginning and a star.
fn ja4(text: &str) -> Result<TextPattern, String> {
    let pattern = TextPattern::parse(text)?;
    let body = text.trim_matches('*');
    let sound = body.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !sound || (matches!(pattern, TextPattern::Exact(_)) && body.len() != 36) {
        return Err(format!(
            "`{text}` is not a JA4 fingerprint (36 small letters, digits and `_`) or a part of one with `*`"
        ));
    }
    Ok(pattern)
}

/// `08:00-18:00`
fn hours(text: &str) -> Result<Hours, String> {
    let example = || format!("`{text}` is not a part of a day; write `08:00-18:00`");
    let minute = |part: &str| {
        let (hour, minute) = part.trim().split_once(':').ok_or_else(example)?;
        let plain = |digits: &str| digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        match (hour.parse::<u16>(), minute.parse::<u16>()) {
            (Ok(h), Ok(m)) if plain(hour) && plain(minute) && (h < 24 && m < 60 || h == 24 && m == 0) => Ok(h * 60 + m),
            _ => Err(example()),
        }
    };
    let (from, to) = text.split_once('-').ok_or_else(example)?;
    match (minute(from)?, minute(to)?) {
        (from, to) if from == to || from == 1440 => {
            Err(format!("`{text}` is empty; leave it out to mean the whole day"))
        }
        (from, to) => Ok(Hours(from, to)),
    }
}

const WEEK: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// `sat`, `mon-fri`, `sat-mon`
fn days(text: &str) -> Result<Days, String> {
    let day = |part: &str| {
        let wanted = part.trim().to_ascii_lowercase();
        WEEK.iter()
            .position(|day| *day == wanted)
            .ok_or_else(|| format!("`{part}` is not a day; write one of {}", WEEK.join(", ")))
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (mut at, last) = (day(first)?, day(last)?);
    let mut bits = 1_u8 << at;
    while at != last {
        at = (at + 1) % 7;
        bits |= 1 << at;
    }
    Ok(Days(bits))
}

fn user(text: &str) -> Result<UserPattern, String> {
    if text == "*" {
        return Ok(UserPattern::Anybody);
    }
    // RFC 7617 §2: a user name has no colon and no control character.
    if text.is_empty() || text.len() > 256 || text.chars().any(|c| c == ':' || c.is_control()) {
        return Err(format!("{text:?} is not a user name"));
    }
    Ok(UserPattern::Named(text.into()))
}

fn destination(text: &str) -> Result<Destination, String> {
    // What consists of the characters of an address was meant as one, so that `10.0.0.0/33` is told what is wrong with it.
    let address_like = text.contains([':', '/']) || text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if address_like {
        value::network(text).map(Destination::Network)
    } else {
        NamePattern::parse(text).map(Destination::Name)
    }
}

/// A list of ports.
pub(super) fn ports(section: &Section<'_>) -> Option<PortSet> {
    let ranges = section.list("ports", |_, found, _| match found {
        DeValue::String(text) => value::ports(text).map_err(Fault::from),
        DeValue::Integer(_) => {
            let number = whole_number(found)?;
            value::ports(&number.to_string()).map_err(Fault::from)
        }
        other => Err(wrong_type(other, "a port or a range of ports")),
    });
    ranges.map(|ranges| PortSet::new(values(ranges)))
}
