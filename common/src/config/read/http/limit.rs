//! `[[http-filter.rate-limit]]` and `[[http-filter.concurrency-limit]]`

use crate::config::checked::{ConcurrencyLimit, KeyPart, LimitScope, RateLimit};
use crate::config::ledger::Names;
use crate::config::read::access::{conditions, mode};
use crate::config::read::{name, report_repeated, values};
use crate::config::tree::Section;
use crate::config::value;

pub(super) fn rate_limit(section: &Section<'_>) -> Option<RateLimit> {
    let name = name(section, Names::HttpLimits);
    let requests = section.given_amount("requests").map(|placed| placed.value);
    let per = section.duration("per");
    let burst = section.given_amount("burst").map(|placed| placed.value).or(requests);
    let max_keys = section.count("max_keys");
    let tell = section.flag("tell");
    let scope = scope(section);
    Some(RateLimit { name: name?.value, requests: requests?, per, burst: burst?, max_keys, tell: tell?, scope: scope? })
}

pub(super) fn concurrency_limit(section: &Section<'_>) -> Option<ConcurrencyLimit> {
    let name = name(section, Names::HttpLimits);
    let requests = section.given_amount("requests").and_then(|requests| u32::try_from(requests.value).ok());
    let scope = scope(section);
    Some(ConcurrencyLimit { name: name?.value, requests: requests?, scope: scope? })
}

fn scope(section: &Section<'_>) -> Option<LimitScope> {
    let key = section.texts("key", key_part).unwrap_or_default();
    report_repeated(section, "key", &key, "part");
    Some(LimitScope {
        key: values(key),
        v4_prefix: bits(section, "v4_prefix"),
        v6_prefix: bits(section, "v6_prefix"),
        conditions: conditions(section),
        observe: mode(section)?,
    })
}

fn bits(section: &Section<'_>, key: &str) -> u8 {
    u8::try_from(section.count(key)).unwrap_or(u8::MAX)
}

fn key_part(text: &str) -> Result<KeyPart, String> {
    let (word, name) = text.split_once(':').map_or((text, None), |(word, name)| (word, Some(name)));
    match (word, name) {
        ("client", None) => Ok(KeyPart::Client),
        ("host", None) => Ok(KeyPart::Host),
        ("sni", None) => Ok(KeyPart::Sni),
        ("ja4", None) => Ok(KeyPart::Ja4),
        ("method", None) => Ok(KeyPart::Method),
        ("path", None) => Ok(KeyPart::Path(None)),
        ("path", Some(count)) => match count.parse::<u8>() {
            Ok(count @ 1..=32) => Ok(KeyPart::Path(Some(count))),
            _ => Err(format!("`{count}` is no number of path segments (1 to 32)")),
        },
        ("header", Some(name)) => field_name(name, "header field").map(KeyPart::Header),
        ("cookie", Some(name)) if is_token(name) => Ok(KeyPart::Cookie(name.into())),
        ("cookie", Some(name)) => Err(format!("{name:?} is not the name of a cookie")),
        ("header" | "cookie", None) => Err(format!("`{word}` needs a name: `{word}:NAME`")),
        _ => Err(format!("`{text}` is no part of a key")),
    }
}

fn field_name(name: &str, what: &str) -> Result<std::sync::Arc<str>, String> {
    if is_token(name) {
        Ok(name.to_ascii_lowercase().into())
    } else {
        Err(format!("{name:?} is not the name of a {what}"))
    }
}

fn is_token(name: &str) -> bool {
    (1..=256).contains(&name.len()) && name.bytes().all(value::is_token_byte)
}
