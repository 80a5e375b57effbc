//! `[http-filter]`, its access rules and routes.

use super::{ACTIONS, methods, name, networks, reference, values};
use crate::config::checked::{
    Action, ForwardedHeaders, HostHeader, HttpFilter, HttpRoute, HttpRule, PathPolicy, UnderscoreHeaders,
};
use crate::config::diagnostic::Span;
use crate::config::ledger::Names;
use crate::config::pattern::{HeaderPattern, HeaderValuePattern, NamePattern, PathPattern};
use crate::config::reference::Key;
use crate::config::scalar::{Fault, wrong_type};
use crate::config::tree::{Placed, Section};
use crate::config::value;
use std::sync::Arc;
use toml::de::DeValue;

/// A route, and where its parts stand.
pub(in crate::config) struct HttpRouteDraft {
    pub(in crate::config) route: HttpRoute,
    pub(in crate::config) name: Span,
    pub(in crate::config) pool: Span,
}

/// The section without its routes.
pub(in crate::config) fn http_filter(section: &Section<'_>, routes: Vec<HttpRoute>) -> HttpFilter {
    let paths = [("normalise", PathPolicy::Normalise), ("reject-ambiguous", PathPolicy::RejectAmbiguous)];
    let underscores =
        [("drop", UnderscoreHeaders::Drop), ("keep", UnderscoreHeaders::Keep), ("refuse", UnderscoreHeaders::Refuse)];
    let forwarded = [
        ("both", ForwardedHeaders::Both),
        ("x-forwarded", ForwardedHeaders::XForwarded),
        ("forwarded", ForwardedHeaders::Forwarded),
        ("none", ForwardedHeaders::None),
    ];
    let max_body = section.amount("max_body").value;
    HttpFilter {
        instances: section.count("instances"),
        first_byte_deadline: section.duration("first_byte_deadline"),
        header_deadline: section.duration("header_deadline"),
        idle_deadline: section.duration("idle_deadline"),
        response_deadline: section.duration("response_deadline"),
        body_idle_deadline: section.duration("body_idle_deadline"),
        tunnel_idle_deadline: section.duration("tunnel_idle_deadline"),
        max_connections: section.count("max_connections"),
        max_connections_per_address: section.count_up_to("max_connections_per_address", "max_connections"),
        max_header_bytes: section.count("max_header_bytes"),
        max_headers: section.count("max_headers"),
        max_request_line: section.count_up_to("max_request_line", "max_header_bytes"),
        max_body: (max_body != 0).then_some(max_body),
        max_streams: section.count32("max_streams"),
        max_retries: section.count32("max_retries"),
        max_unacknowledged: section.count("max_unacknowledged"),
        trusted_proxies: networks(section, "trusted_proxies").unwrap_or_default(),
        path: section.choice("path", &paths).map_or(PathPolicy::RejectAmbiguous, |placed| placed.value),
        underscore_headers: section
            .choice("underscore_headers", &underscores)
            .map_or(UnderscoreHeaders::Refuse, |placed| placed.value),
        forwarded: section.choice("forwarded", &forwarded).map_or(ForwardedHeaders::Both, |placed| placed.value),
        access: section.tables("access").iter().filter_map(rule).collect(),
        access_default: section.choice("access_default", &ACTIONS).map_or(Action::Deny, |placed| placed.value),
        routes,
    }
}

pub(in crate::config) fn route(section: &Section<'_>) -> Option<HttpRouteDraft> {
    let name = name(section, Names::HttpRoutes);
    let hosts = section.texts("hosts", NamePattern::parse).unwrap_or_default();
    let paths = section.texts("paths", PathPattern::parse).unwrap_or_default();
    let pool = reference(section, "pool", Names::Pools);
    let host_header = section.choice("host_header", &[("keep", HostHeader::Keep), ("server", HostHeader::Server)]);
    let (name, pool) = (name?, pool?);
    let route = HttpRoute {
        name: name.value,
        hosts: values(hosts),
        paths: values(paths),
        pool: pool.value,
        host_header: host_header?.value,
    };
    Some(HttpRouteDraft { route, name: name.span, pool: pool.span })
}

fn rule(section: &Section<'_>) -> Option<HttpRule> {
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
