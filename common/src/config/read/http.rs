//! `[http-filter]`; a file each for the tables below it.

mod action;
mod answers;
mod h2;
mod limit;
mod observe;
mod redirect_template;
mod rewriting;
mod route;
mod web_attacks;

pub(in crate::config) use route::{HttpRouteDraft, route};

use super::{ACTIONS, access, networks};
use crate::config::checked::{
    Action, ForwardedHeaders, HttpFilter, HttpRoute, PathPolicy, SecurityHeaders, UnderscoreHeaders,
};
use crate::config::ledger::Names;
use crate::config::tree::Section;
use std::path::Path;

/// The section without its routes.
pub(in crate::config) fn http_filter(section: &Section<'_>, routes: Vec<HttpRoute>, base: &Path) -> HttpFilter {
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
        min_body_rate: section.amount("min_body_rate").value,
        min_answer_rate: section.amount("min_answer_rate").value,
        tunnel_idle_deadline: section.duration("tunnel_idle_deadline"),
        max_connections: section.count("max_connections"),
        max_connections_per_address: section.count_up_to("max_connections_per_address", "max_connections"),
        max_requests: section.count("max_requests"),
        max_unsent_per_address: section.amount("max_unsent_per_address").value,
        max_header_bytes: section.count("max_header_bytes"),
        max_headers: section.count("max_headers"),
        max_request_line: section.count_up_to("max_request_line", "max_header_bytes"),
        max_body: (max_body != 0).then_some(max_body),
        max_requests_per_connection: Some(section.amount("max_requests_per_connection").value).filter(|max| *max != 0),
        max_records_per_key: section.amount("max_records_per_key").value,
        max_streams: section.count32("max_streams"),
        max_retries: section.count32("max_retries"),
        max_deaths: section.count32("max_deaths"),
        max_unacknowledged: section.count("max_unacknowledged"),
        trusted_proxies: networks(section, "trusted_proxies").unwrap_or_default(),
        path: section.choice("path", &paths).map_or(PathPolicy::RejectAmbiguous, |placed| placed.value),
        answers_half_closed: section
            .choice("half_close", &[("leave", false), ("answer", true)])
            .is_some_and(|placed| placed.value),
        underscore_headers: section
            .choice("underscore_headers", &underscores)
            .map_or(UnderscoreHeaders::Refuse, |placed| placed.value),
        forwarded: section.choice("forwarded", &forwarded).map_or(ForwardedHeaders::Both, |placed| placed.value),
        observe: observe::observe(section),
        access: section.tables("access").iter().filter_map(|rule| access::rule(rule, Names::HttpRules)).collect(),
        rate_limits: section.tables("rate-limit").iter().filter_map(limit::rate_limit).collect(),
        concurrency_limits: section.tables("concurrency-limit").iter().filter_map(limit::concurrency_limit).collect(),
        web_attacks: web_attacks::web_attacks(&section.table("web-attacks"), base),
        h2: h2::h2_limits(&section.table("h2")),
        access_default: section.choice("access_default", &ACTIONS).map_or(Action::Deny, |placed| placed.value),
        routes,
        request_headers: rewriting::header_rules(section, "request_headers"),
        response_headers: rewriting::header_rules(section, "response_headers"),
        security_headers: section
            .choice("security_headers", &answers::SECURITY)
            .map_or(SecurityHeaders::Off, |placed| placed.value),
        security_headers_override: section.flag("security_headers_override").unwrap_or_default(),
        error_pages: section.tables("error-page").iter().filter_map(|page| answers::error_page(page, base)).collect(),
        compression: answers::compression(&section.table("compression")),
    }
}
