//! Rewriting of paths, and header rules.

use crate::config::checked::{HeaderRule, HeaderRules, Rewrite};
use crate::config::diagnostic::Span;
use crate::config::pattern::PathPattern;
use crate::config::read::access::located;
use crate::config::read::values;
use crate::config::reference::Key;
use crate::config::scalar::{Fault, wrong_type};
use crate::config::template::Template;
use crate::config::tree::Section;
use crate::config::value;
use std::sync::Arc;
use toml::de::DeValue;

/// Fields of one connection, of the framing of a message, and what we answer ourselves (RFC 9110 §7.6.1, RFC 9112 §6).
const OURS: [&str; 13] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "content-length",
    "expect",
    "date",
];

/// `strip_prefix` or `rewrite_path`.
pub(super) fn rewrite(section: &Section<'_>) -> Option<Rewrite> {
    let strip = section.text("strip_prefix", prefix).map(|placed| placed.value);
    let rewrite = section.read("rewrite_path", |key, found, span| match found {
        DeValue::Table(table) => rewrite_table(&Section::inline(section.ledger, table, key, span)),
        other => Err(wrong_type(other, "a table (`{ prefix = \"/old\", to = \"/new\" }`)")),
    });
    if strip.is_some() && rewrite.is_some() {
        let error = section
            .ledger
            .error("http-filter.route.rewrite_path", "`strip_prefix` and `rewrite_path` exclude each other")
            .at(&section.span_of("rewrite_path"), "`rewrite_path`")
            .and(&section.span_of("strip_prefix"), "`strip_prefix`");
        section.ledger.report(error);
    }
    match strip {
        Some(from) => Some(Rewrite::Prefix { from, to: Arc::from("") }),
        None => rewrite.map(|placed| placed.value),
    }
}

fn rewrite_table(inline: &Section<'_>) -> Result<Rewrite, Fault> {
    let from = inline.text("prefix", prefix);
    let expression = located(inline, "regex").into_iter().next();
    let captures = expression.is_some();
    let to = inline.text("to", |text| match Template::parse(text, captures) {
        Ok(_) if text.contains(['#', ' ']) || !text.is_ascii() => {
            Err("a path has no spaces, no `#`, and nothing but ASCII; write it percent-encoded".to_owned())
        }
        other => other.map(|template| (template, Arc::<str>::from(text))),
    });
    let (template, text) = to.ok_or_else(Fault::already_reported)?.value;
    match (from, expression) {
        (Some(from), None) => Ok(Rewrite::Prefix { from: from.value, to: prefix(&text)? }),
        (None, Some(expression)) => Ok(Rewrite::Regex { regex: expression, to: template }),
        _ if inline.ledger.blames("http-filter.route.rewrite_path") => Err(Fault::already_reported()),
        _ => Err("exactly one of `prefix` and `regex` is wanted".to_owned().into()),
    }
}

/// A beginning of paths, without its final slash.
fn prefix(text: &str) -> Result<Arc<str>, String> {
    match PathPattern::parse(text)? {
        PathPattern::Exact(path) => Ok(path.trim_end_matches('/').into()),
        PathPattern::Prefix(_) => Err("a `*` is not wanted here: what stands behind the prefix is kept".to_owned()),
    }
}

pub(super) fn header_rules(section: &Section<'_>, key_name: &str) -> HeaderRules {
    values(section.list(key_name, |key, found, span| header_rule(section, key, found, span)).unwrap_or_default())
}

fn header_rule(
    section: &Section<'_>,
    key: &'static Key,
    found: &DeValue<'_>,
    span: &Span,
) -> Result<HeaderRule, Fault> {
    let DeValue::Table(table) = found else {
        return Err(wrong_type(found, "a table (`{ set = \"x-name\", value = \"text\" }`)"));
    };
    let inline = Section::inline(section.ledger, table, key, span);
    let given = ["set", "add", "remove"].into_iter().filter(|name| inline.has(name)).count();
    let (set, add, remove) =
        (inline.text("set", field_name), inline.text("add", field_name), inline.text("remove", field_name));
    let value = inline.text("value", |text| Template::parse(text, false));
    if given != 1 {
        return Err("exactly one of `set`, `add` and `remove` is wanted".to_owned().into());
    }
    match (set, add, remove, value) {
        (Some(name), _, _, Some(value)) => Ok(HeaderRule::Set(name.value, value.value)),
        (_, Some(name), _, Some(value)) => Ok(HeaderRule::Add(name.value, value.value)),
        (_, _, Some(name), None) => Ok(HeaderRule::Remove(name.value)),
        (_, _, Some(_), Some(_)) => Err("`remove` takes no `value`".to_owned().into()),
        _ if inline.has("value") => Err(Fault::already_reported()),
        (None, None, None, _) => Err(Fault::already_reported()),
        _ => Err("`value` is missing".to_owned().into()),
    }
}

fn field_name(text: &str) -> Result<Arc<str>, String> {
    let name = text.to_ascii_lowercase();
    if name.is_empty() || name.len() > 256 || !name.bytes().all(value::is_token_byte) {
        return Err(format!("{text:?} is not the name of a header field"));
    }
    if OURS.contains(&&*name) {
        return Err(format!("`{name}` belongs to the connection or to the framing of the message, and is ours alone"));
    }
    Ok(name.into())
}
