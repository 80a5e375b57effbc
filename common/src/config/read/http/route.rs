//! `[[http-filter.route]]`

use super::answers::SECURITY;
use super::{action, rewriting};
use crate::config::checked::{HostHeader, HttpRoute};
use crate::config::diagnostic::Span;
use crate::config::ledger::Names;
use crate::config::read::access::conditions;
use crate::config::read::name;
use crate::config::tree::Section;
use std::path::Path;
use std::sync::Arc;

/// A route, and where its parts stand.
pub(in crate::config) struct HttpRouteDraft {
    pub(in crate::config) route: HttpRoute,
    pub(in crate::config) name: Span,
    /// Where the pools it leads to are named.
    pub(in crate::config) pools: Vec<(Arc<str>, Span)>,
}

pub(in crate::config) fn route(section: &Section<'_>, base: &Path) -> Option<HttpRouteDraft> {
    let name = name(section, Names::HttpRoutes);
    let conditions = conditions(section);
    let action = action::action(section, base, !conditions.path_regex.is_empty());
    let host_header = section.choice("host_header", &[("keep", HostHeader::Keep), ("server", HostHeader::Server)]);
    let rewrite = rewriting::rewrite(section);
    let request_headers = rewriting::header_rules(section, "request_headers");
    let response_headers = rewriting::header_rules(section, "response_headers");
    let security_headers = section.choice("security_headers", &SECURITY).map(|placed| placed.value);
    let compress = section.flag("compress");
    let max_body = section.given_amount("max_body").map(|placed| placed.value);
    let (name, action) = (name?, action?);
    let route = HttpRoute {
        name: name.value,
        line: u32::try_from(section.ledger.line_of(&section.span)).unwrap_or(u32::MAX),
        conditions,
        action: action.target,
        host_header: host_header?.value,
        rewrite,
        request_headers,
        response_headers,
        security_headers,
        max_body,
        compress: compress?,
    };
    Some(HttpRouteDraft { route, name: name.span, pools: action.pools })
}
