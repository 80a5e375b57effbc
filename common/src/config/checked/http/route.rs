//! `[[http-filter.route]]`: who serves a request, and what is changed on its way.

use super::{HeaderRules, SecurityHeaders};
use crate::config::checked::Conditions;
use crate::config::located::Located;
use crate::config::template::Template;
use std::path::PathBuf;
use std::sync::Arc;

/// `[[http-filter.route]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRoute {
    /// Unique; appears in logs.
    pub name: Arc<str>,
    /// Where it stands in the file, counted from 1.
    pub line: u32,
    /// When it applies.
    pub conditions: Conditions,
    /// What happens.
    pub action: RouteTarget,
    /// What `Host` the backend sees.
    pub host_header: HostHeader,
    /// What becomes of the path before it is sent on.
    pub rewrite: Option<Rewrite>,
    /// Changes to the request's header, after those of the section.
    pub request_headers: HeaderRules,
    /// Changes to the answer's header, after those of the section.
    pub response_headers: HeaderRules,
    /// Security headers; `None`: as the section says.
    pub security_headers: Option<SecurityHeaders>,
    /// Bytes of a request's body, 0: not limited; `None`: as the section says.
    pub max_body: Option<u64>,
    /// Whether answers may be compressed, where `[http-filter.compression]` is on.
    pub compress: bool,
}

/// What a route leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteTarget {
    /// One pool.
    Pool(Arc<str>),
    /// One of several pools, by weight.
    Split(Split),
    /// Another place, which the client is told.
    Redirect(Redirect),
    /// A fixed answer.
    Respond(Respond),
    /// A refusal with this status, 400..=599.
    Status(u16),
}

/// `split`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Pools with their shares; the sum of all shares is not 0.
    pub shares: Vec<(Arc<str>, u32)>,
    /// What decides.
    pub by: SplitBy,
}

/// `split_by`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SplitBy {
    /// A number drawn for each request.
    Random,
    /// The address of the client.
    Client,
    /// A header; without it the address of the client.
    Header(Arc<str>),
    /// A cookie; without it the address of the client.
    Cookie(Arc<str>),
}

/// `redirect`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Where to.
    pub to: RedirectTo,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// Where a redirect leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectTo {
    /// The same over TLS. Such a route does not take requests that came over TLS.
    Https,
    /// A target of one's own.
    Template(RedirectTemplate),
}

/// A target in the pieces that must not run into one another: no capture may change the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectTemplate {
    /// `http` or `https` and the authority; `None`: the target is a path of the same place.
    pub origin: Option<(Arc<str>, Template)>,
    /// Path and query, without fragment; begins with `/`, `${path}` or `${target}`, or is empty.
    pub target: Template,
    /// What stands behind `#`.
    pub fragment: Option<Arc<str>>,
}

/// `respond`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Respond {
    /// 200..=599.
    pub status: u16,
    /// The body.
    pub body: RespondBody,
    /// Its media type.
    pub content_type: Arc<str>,
}

/// The body of a fixed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RespondBody {
    /// A text of the configuration.
    Text(Arc<str>),
    /// A file, read when the process starts and at each reload.
    File(PathBuf),
}

/// What becomes of the path. The query stays, unless the new path brings one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// A beginning is replaced, cut at slashes; paths without it stay as they are. Kept without a final slash.
    Prefix {
        /// What is taken off.
        from: Arc<str>,
        /// What stands there instead.
        to: Arc<str>,
    },
    /// What the expression matches first is replaced; paths that it does not match stay as they are.
    Regex {
        /// The expression.
        regex: Located,
        /// What stands there instead; may hold a query.
        to: Template,
    },
}

/// `host_header` of a route
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostHeader {
    /// The client's.
    Keep,
    /// `host:port` of the server.
    Server,
}

impl HttpRoute {
    /// The pools it may lead to.
    pub fn pools(&self) -> impl Iterator<Item = &Arc<str>> {
        let (one, many) = match &self.action {
            RouteTarget::Pool(pool) => (Some(pool), None),
            RouteTarget::Split(split) => (None, Some(split.shares.iter().map(|(pool, _)| pool))),
            _ => (None, None),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// Whether it asks for more than host and path.
    pub fn asks_more(&self) -> bool {
        let https = matches!(&self.action, RouteTarget::Redirect(Redirect { to: RedirectTo::Https, .. }));
        let place = Conditions {
            hosts: self.conditions.hosts.clone(),
            paths: self.conditions.paths.clone(),
            ..Conditions::default()
        };
        https || place != self.conditions
    }
}
