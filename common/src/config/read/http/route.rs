//! `[[http-filter.route]]`

use crate::config::checked::{HostHeader, HttpRoute};
use crate::config::diagnostic::Span;
use crate::config::ledger::Names;
use crate::config::pattern::{NamePattern, PathPattern};
use crate::config::read::{name, reference, values};
use crate::config::tree::Section;

/// A route, and where its parts stand.
pub(in crate::config) struct HttpRouteDraft {
    pub(in crate::config) route: HttpRoute,
    pub(in crate::config) name: Span,
    pub(in crate::config) pool: Span,
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
        line: u32::try_from(section.ledger.line_of(&section.span)).unwrap_or(u32::MAX),
        hosts: values(hosts),
        paths: values(paths),
        pool: pool.value,
        host_header: host_header?.value,
    };
    Some(HttpRouteDraft { route, name: name.span, pool: pool.span })
}
