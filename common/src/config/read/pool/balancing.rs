//! How servers are chosen, watched, limited and tried again.

use crate::config::checked::{
    Balance, CheckKind, Crowd, EjectOn, Ejection, HashOn, HealthCheck, Retries, SameSite, Sticky,
};
use crate::config::ledger::NamedFile;
use crate::config::read::terminator::path;
use crate::config::scalar::{Fault, pick, whole_number, wrong_type};
use crate::config::tree::Section;
use crate::config::value::to_duration;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use toml::de::DeValue;

pub(super) fn balance(section: &Section<'_>) -> Option<Balance> {
    #[derive(Clone, Copy, PartialEq)]
    enum Word {
        RoundRobin,
        Least,
        Two,
        Hash,
    }
    let words = [
        ("round-robin", Word::RoundRobin),
        ("least-connections", Word::Least),
        ("two-choices", Word::Two),
        ("hash", Word::Hash),
    ];
    let word = section.choice("balance", &words);
    let on = section.text("hash_on", hash_on);
    let balance_factor = section.count32("hash_balance_factor");
    let word = word?;
    for name in ["hash_on", "hash_balance_factor"] {
        if word.value != Word::Hash
            && section.has(name)
            && let Some(key) = section.key(name)
        {
            let warning = section.ledger.warning(key.path, "it has no effect without `balance = \"hash\"`");
            section.ledger.report(warning.at(&section.span_of(name), "has no effect"));
        }
    }
    Some(match word.value {
        Word::RoundRobin => Balance::RoundRobin,
        Word::Least => Balance::LeastConnections,
        Word::Two => Balance::TwoChoices,
        Word::Hash => Balance::Hash { on: on?.value, balance_factor },
    })
}

fn hash_on(text: &str) -> Result<HashOn, String> {
    match text.split_once(':') {
        None if text == "client" => Ok(HashOn::Client),
        Some(("header", name)) => token(name).map(|name| HashOn::Header(name.to_ascii_lowercase().into())),
        Some(("cookie", name)) => token(name).map(HashOn::Cookie),
        _ => Err("this is none of the three forms".to_owned()),
    }
}

/// A token of RFC 9110 §5.6.2: names of headers and cookies.
fn token(text: &str) -> Result<Arc<str>, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) {
        return Err(format!("`{text}` is not a name (1 to 64 letters, digits, and a few signs)"));
    }
    Ok(text.into())
}

pub(super) fn ejection(section: &Section<'_>) -> Option<Ejection> {
    let after = section.count32("eject_after");
    let duration = section.duration("eject_for");
    let words = [("connect", 0), ("timeout", 1), ("error", 2), ("5xx", 3)];
    let on = word_list(section, "eject_on", &words);
    let on = EjectOn {
        connect: on.contains(&0),
        timeout: on.contains(&1),
        error: on.contains(&2),
        status_5xx: on.contains(&3),
    };
    let max_percent = section.count32("max_ejected");
    NonZeroU32::new(after).map(|after| Ejection { after, duration, on, max_percent })
}

fn word_list<T: Copy>(section: &Section<'_>, name: &str, words: &[(&str, T)]) -> Vec<T> {
    let list = section.list(name, |_, found, _| match found {
        DeValue::String(text) => pick(text, words),
        other => Err(wrong_type(other, "a text in quotes")),
    });
    super::values(list.unwrap_or_default())
}

pub(super) fn crowd(section: &Section<'_>) -> Crowd {
    Crowd {
        pool: section.count("max_connections"),
        server: section.count("max_connections_per_server"),
        queue: section.count("queue"),
        deadline: section.duration("queue_deadline"),
    }
}

pub(super) fn retries(section: &Section<'_>) -> Retries {
    let max = section.amount("max_retries");
    let max = max.explicit.then(|| u32::try_from(max.value).unwrap_or(u32::MAX));
    let on = word_list(section, "retry_on", &[("connect", 0), ("closed", 1), ("timeout", 2)]);
    Retries {
        max,
        on_connect: on.contains(&0),
        on_closed: on.contains(&1),
        on_timeout: on.contains(&2),
        budget: section.count32("retry_budget"),
        at_least: section.count32("retry_min"),
    }
}

pub(super) fn health(pool: &Section<'_>) -> Option<HealthCheck> {
    let section = pool.table("health");
    let check = section.choice("check", &[("http", CheckKind::Http), ("connect", CheckKind::Connect)]);
    let head = section.choice("method", &[("GET", false), ("HEAD", true)]);
    let path = section.text("path", target);
    let host = section.text("host", host);
    let statuses = section.list("statuses", |_, found, _| status(found));
    let health = HealthCheck {
        check: check?.value,
        head: head?.value,
        path: path?.value,
        host: host.map(|host| host.value),
        statuses: super::values(statuses?),
        interval: section.duration("interval"),
        timeout: section.duration("timeout"),
        rise: section.count32("rise"),
        fall: section.count32("fall"),
        start_down: section.choice("start", &[("up", false), ("down", true)])?.value,
    };
    pool.has("health").then_some(health)
}

fn target(text: &str) -> Result<Arc<str>, String> {
    if !text.starts_with('/') || text.contains('#') || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("this is not a path that begins with `/` and has neither blanks nor `#`".to_owned());
    }
    Ok(text.into())
}

fn host(text: &str) -> Result<Arc<str>, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    if text.is_empty() || text.len() > 260 || !text.bytes().all(allowed) {
        return Err("this is not a host".to_owned());
    }
    Ok(text.into())
}

fn status(found: &DeValue<'_>) -> Result<RangeInclusive<u16>, Fault> {
    let one = |text: &str| text.parse::<u16>().ok().filter(|status| (200..=599).contains(status));
    let range = match found {
        DeValue::Integer(_) => u16::try_from(whole_number(found)?).ok().filter(|status| (200..=599).contains(status)),
        DeValue::String(text) => match text.split_once('-') {
            Some((first, last)) => {
                let range = one(first).zip(one(last)).filter(|(first, last)| first <= last);
                return range
                    .map(|(first, last)| first..=last)
                    .ok_or_else(|| "this is not a range of statuses from 200 to 599".to_owned().into());
            }
            None => one(text),
        },
        other => return Err(wrong_type(other, "a status")),
    };
    range.map(|status| status..=status).ok_or_else(|| "this is not a status from 200 to 599".to_owned().into())
}

pub(super) fn sticky(pool: &Section<'_>, base: &Path) -> Option<Sticky> {
    let section = pool.table("sticky");
    let words = [("strict", SameSite::Strict), ("lax", SameSite::Lax), ("none", SameSite::None)];
    let same_site = section.choice("same_site", &words);
    let cookie_path = section.text("path", |text| match target(text) {
        Ok(path) if !path.contains([';', ',']) => Ok(path),
        _ => Err("this is not a path of a cookie".to_owned()),
    });
    let secure = section.choice("secure", &[("auto", false), ("always", true)]);
    let max_age = section.amount("max_age");
    let key = section.text("key", |text| path(text, base)).map(|placed| {
        if let Some(key) = section.key("key") {
            let file = NamedFile { key: key.path, path: placed.value.clone(), secret: true, span: placed.span.clone() };
            section.ledger.files.borrow_mut().push(file);
        }
        placed.value
    });
    if !pool.has("sticky") {
        return None;
    }
    Some(Sticky {
        cookie: section.text("cookie", token)?.value,
        key,
        path: cookie_path?.value,
        max_age: max_age.explicit.then(|| to_duration(max_age.value)),
        same_site: same_site?.value,
        always_secure: secure?.value,
    })
}
