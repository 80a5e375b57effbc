//! Pure but for the counters inside a pool: host and path → the pool that serves them. Routes are asked in their order.

use std::rc::Rc;
use std::sync::Arc;

use common::config::{Config, HostHeader, NamePattern, PathPattern};
use common_access::matcher;
use common_http::target::Target;
use http::StatusCode;

use super::app::App;
use super::response::Refusal;
use super::stages::access_list;
use super::upstream::ServerPool;

/// A route with the pool it leads to.
#[derive(Debug)]
pub struct Route {
    /// Name, for the log.
    pub name: Arc<str>,
    /// Who serves.
    pub pool: Rc<ServerPool>,
    /// What Host the backend sees.
    pub host_header: HostHeader,
    conditions: Where,
}

/// Where a route applies; an empty list means everywhere.
#[derive(Debug, Clone)]
pub struct Where {
    hosts: Vec<NamePattern>,
    paths: Vec<PathPattern>,
}

/// The conditions of all routes, before there are pools: what `--check` judges.
#[derive(Debug)]
pub struct Routes(pub Vec<Where>);

impl Routes {
    /// From the configuration; an error names the route.
    pub fn new(config: &Config) -> Result<Self, String> {
        let conditions = config.http_filter.routes.iter().map(|route| {
            let paths = route.paths.iter().map(|path| matcher::normal(path, access_list::normal_path));
            let paths: Result<_, String> = paths.collect();
            let explain = |error| format!("http-filter.route '{}': {error}", route.name);
            Ok(Where { hosts: route.hosts.clone(), paths: paths.map_err(explain)? })
        });
        conditions.collect::<Result<_, String>>().map(Self)
    }
}

impl Where {
    fn applies(&self, host: &str, path: &str) -> bool {
        (self.hosts.is_empty() || self.hosts.iter().any(|pattern| pattern.matches(host)))
            && (self.paths.is_empty() || self.paths.iter().any(|pattern| pattern.matches(path)))
    }
}

impl Route {
    /// Joins a configured route with its conditions and its pool.
    pub fn new(name: Arc<str>, pool: Rc<ServerPool>, host_header: HostHeader, conditions: Where) -> Self {
        Self { name, pool, host_header, conditions }
    }
}

/// The first route that applies.
pub fn choose<'a>(app: &'a App, target: &Target<'_>) -> Result<&'a Route, Refusal> {
    app.routes.iter().find(|route| route.conditions.applies(&target.host, &target.path)).ok_or_else(|| {
        app.metrics.no_route.up();
        Refusal {
            status: StatusCode::NOT_FOUND,
            reason: "No route of this server matches the host and path of the request.".into(),
            rule: None,
            decision: "no-route",
            close: false,
        }
    })
}
