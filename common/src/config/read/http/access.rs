//! `[[http-filter.access]]`

use crate::config::checked::HttpRule;
use crate::config::diagnostic::Span;
use crate::config::ledger::Names;
use crate::config::pattern::{HeaderPattern, HeaderValuePattern, NamePattern, PathPattern};
use crate::config::read::{ACTIONS, methods, name, networks, values};
use crate::config::reference::Key;
use crate::config::scalar::{Fault, wrong_type};
use crate::config::tree::{Placed, Section};
use crate::config::value;
use std::sync::Arc;
use toml::de::DeValue;

pub(super) fn rule(section: &Section<'_>) -> Option<HttpRule> {
    let name = name(section, Names::HttpRules);
    let action = section.choice("action", &ACTIONS);
    let clients = networks(section, "clients");
    let methods = methods(section);
    let hosts = section.texts("hosts", NamePattern::parse).unwrap_or_default();
    let paths = section.texts("paths", PathPattern::parse).unwrap_or_default();
    let headers = section.list("headers", |key, found, span| header(section, key, found, span)).unwrap_or_default();
    let observe = section.flag("observe");
    Some(HttpRule {
        name: name?.value,
        action: action?.value,
        clients,
        methods,
        hosts: values(hosts),
        paths: values(paths),
        headers: values(headers),
        observe: observe?,
    })
}

fn header(section: &Section<'_>, key: &'static Key, found: &DeValue<'_>, span: &Span) -> Result<HeaderPattern, Fault> {
    let DeValue::Table(table) = found else {
        return Err(wrong_type(found, "a table (`{ name = \"x-debug\", value = \"1\" }`)"));
    };
    let inline = Section::inline(section.ledger, table, key, span);
    let name: Option<Placed<Arc<str>>> = inline.text("name", |text| {
        if text.is_empty() || text.len() > 256 || !text.bytes().all(value::is_token_byte) {
            return Err(format!("{text:?} is not the name of a header field"));
        }
        Ok(text.to_ascii_lowercase().into())
    });
    let wanted = inline.text("value", header_value);
    match name {
        Some(name) => {
            let value = wanted.map_or(HeaderValuePattern::Present, |placed| placed.value);
            Ok(HeaderPattern { name: name.value, value })
        }
        None => Err(Fault::already_reported()),
    }
}

fn header_value(text: &str) -> Result<HeaderValuePattern, String> {
    let (body, prefix) = match text.strip_suffix('*') {
        Some(body) => (body, true),
        None => (text, false),
    };
    if body.contains('*') {
        return Err("`*` may only stand at the end".to_owned());
    }
    if body.chars().any(|c| c.is_control() && c != '\t') {
        return Err("a header value has no control characters".to_owned());
    }
    Ok(if prefix { HeaderValuePattern::Prefix(body.into()) } else { HeaderValuePattern::Exact(body.into()) })
}
