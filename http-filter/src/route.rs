//! Who serves a request: ordered routes, the first that applies. Conditions are those of access rules (`common_access`).
//!
//! Routes that name their hosts outright are found by a hash of the host; the others are asked in between, in the order of the
//! file, so the outcome is that of asking all of them one by one ([`Routes::find`] is tested against that).

pub mod fixed;
pub mod lead;
mod path_index;
pub mod redirect;
pub mod split;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use common::config::{self, Config, Files, HostHeader, HttpRoute, RedirectTo, RouteTarget};
use common_access::{Answer, Environment, Facts, Known, Matcher, Place};
use http::StatusCode;

use super::app::App;
use super::response::Refusal;
use super::rewriting::{HeaderRules, Rewriting};
use fixed::Fixed;
use path_index::PathIndex;
use redirect::Redirection;
use split::Split;

/// A route, ready to be asked and followed.
#[derive(Debug)]
pub struct Route {
    /// Name, for the log.
    pub name: Arc<str>,
    /// Where it stands in the file, from 1: for `explain`.
    pub line: u32,
    /// What happens.
    pub to: Action,
    /// What Host the backend sees.
    pub host_header: HostHeader,
    /// Another path.
    pub rewriting: Option<Rewriting>,
    /// Changes to what is sent on.
    pub request_headers: HeaderRules,
    /// Changes to the answer.
    pub response_headers: HeaderRules,
    /// Security headers of the answer.
    pub security: config::SecurityHeaders,
    /// How large a request's body may be.
    pub max_body: BodyLimit,
    /// Whether answers may be compressed.
    pub compress: bool,
    conditions: Matcher,
    plain_only: bool,
}

/// How large a request's body may be.
#[derive(Debug)]
pub struct BodyLimit {
    /// In bytes; `None`: not limited.
    pub bytes: Option<u64>,
    /// Who says so: `max_body`, or `ROUTE.max_body`.
    pub rule: Box<str>,
}

impl BodyLimit {
    fn new(own: &HttpRoute, section: Option<u64>) -> Self {
        match own.max_body {
            Some(bytes) => {
                Self { bytes: Some(bytes).filter(|bytes| *bytes != 0), rule: format!("{}.max_body", own.name).into() }
            }
            None => Self { bytes: section, rule: "max_body".into() },
        }
    }
}

/// What a route leads to. Pools are numbers in the list of [`pool_names`].
#[derive(Debug)]
pub enum Action {
    /// A pool.
    Pool(usize),
    /// One of several pools.
    Split(Split),
    /// Another place.
    Redirect(Redirection),
    /// A fixed answer.
    Respond(Fixed),
    /// A refusal.
    Status(StatusCode),
}

/// All routes.
#[derive(Debug, Default)]
pub struct Routes {
    all: Box<[Route]>,
    /// Routes that only take hosts named outright, by host, in their order.
    by_host: HashMap<Box<str>, Vec<usize>>,
    /// All others, in their order.
    anywhere: Vec<usize>,
    /// Which of those cannot take a path, where there are many expressions.
    index: Option<PathIndex>,
}

/// What a route says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It takes it.
    Takes,
    /// A condition does not hold.
    Passes,
    /// It redirects to HTTPS, and the request came so.
    AlreadySecure,
    /// Its expression failed: it cannot be known who should serve, so nobody does.
    Failed,
}

/// The pools that routes lead to, each once, in the order of the file.
pub fn pool_names(config: &Config) -> Vec<Arc<str>> {
    let mut names: Vec<Arc<str>> = Vec::new();
    for pool in config.http_filter.routes.iter().flat_map(HttpRoute::pools) {
        if !names.contains(pool) {
            names.push(Arc::clone(pool));
        }
    }
    names
}

impl Routes {
    /// From the configuration, with the files that it names.
    ///
    /// # Errors
    /// Each thing that is wrong with a route, with its name and line.
    pub fn new(config: &Config, files: &Files, environment: &Environment) -> Result<Self, Vec<String>> {
        let pools = pool_names(config);
        let filter = &config.http_filter;
        let mut errors = Vec::new();
        let mut all = Vec::new();
        for own in &filter.routes {
            let conditions = Matcher::compile(&own.conditions, Place::Http, environment);
            let conditions = conditions.unwrap_or_else(|faults| {
                errors.extend(faults);
                Matcher::default()
            });
            match route(own, filter, &pools, files, conditions) {
                Ok(route) => all.push(route),
                Err(why) => errors.push(format!("line {}: http-filter.route '{}': {why}", own.line, own.name)),
            }
        }
        if errors.is_empty() { Ok(Self::indexed(all, &filter.routes)) } else { Err(errors) }
    }

    fn indexed(all: Vec<Route>, configured: &[HttpRoute]) -> Self {
        let mut routes = Self { all: all.into(), ..Self::default() };
        for (number, own) in configured.iter().enumerate() {
            let hosts = &own.conditions.hosts;
            let outright = |host: &config::NamePattern| matches!(host, config::NamePattern::Exact(_));
            if hosts.is_empty() || !hosts.iter().all(outright) {
                routes.anywhere.push(number);
                continue;
            }
            for host in hosts {
                let known = routes.by_host.entry(host.as_str().into()).or_default();
                if known.last() != Some(&number) {
                    known.push(number);
                }
            }
        }
        routes.index = PathIndex::new(configured, &routes.anywhere);
        routes
    }

    /// The first that does not pass the request on, with its verdict.
    pub fn find(&self, facts: &Facts<'_>, secure: bool) -> Option<(&Route, Verdict)> {
        let host = facts.request.map_or("", |request| request.host);
        let mut named = match self.by_host.is_empty() {
            true => [].iter(),
            false => self.by_host.get(host).map_or([].iter(), |known| known.iter()),
        }
        .peekable();
        let path = facts.request.map_or("", |request| request.path);
        let fitting = self.index.as_ref().map(|index| index.search(path));
        let fits = |number: &&usize| fitting.as_ref().is_none_or(|fitting| fitting.may_take(**number));
        let mut others = self.anywhere.iter().filter(fits).peekable();
        loop {
            let next = match (named.peek(), others.peek()) {
                (Some(a), Some(b)) if a < b => named.next(),
                (_, Some(_)) => others.next(),
                (_, None) => named.next(),
            };
            let route = self.all.get(*next?)?;
            match route.verdict(facts, secure) {
                Verdict::Passes | Verdict::AlreadySecure => {}
                verdict => return Some((route, verdict)),
            }
        }
    }

    /// What each route says, up to the one that decides: for `explain`.
    pub fn asked<'a>(&'a self, facts: &'a Facts<'_>, secure: bool) -> impl Iterator<Item = (&'a Route, Verdict)> {
        let mut decided = false;
        self.all.iter().map_while(move |route| {
            if decided {
                return None;
            }
            let verdict = route.verdict(facts, secure);
            decided = matches!(verdict, Verdict::Takes | Verdict::Failed);
            Some((route, verdict))
        })
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Verdict::Takes => "takes it",
            Verdict::Passes => "does not apply",
            Verdict::AlreadySecure => "does not apply: the request came over TLS already",
            Verdict::Failed => "its `when` fails for this request",
        })
    }
}

impl Route {
    /// What it leads to, in words: for `explain`. `pools` are the names of [`pool_names`].
    pub fn leads_to(&self, pools: &[Arc<str>]) -> String {
        let name = |number: usize| pools.get(number).map_or("?", |name| &**name);
        match &self.to {
            Action::Pool(number) => format!("pool {}", name(*number)),
            Action::Split(split) => {
                let shares: Vec<String> = split
                    .shares()
                    .map(|(pool, share)| format!("{} ({share} of {})", name(pool), split.total()))
                    .collect();
                format!("one of the pools {}", shares.join(", "))
            }
            Action::Redirect(redirection) => format!("redirect {}", redirection.status().as_u16()),
            Action::Respond(fixed) => format!("fixed answer {}", fixed.status().as_u16()),
            Action::Status(status) => format!("refusal {}", status.as_u16()),
        }
    }

    /// What it says of a request.
    pub fn verdict(&self, facts: &Facts<'_>, secure: bool) -> Verdict {
        if self.plain_only && secure {
            return Verdict::AlreadySecure;
        }
        match self.conditions.answer(facts, Known::ALL) {
            Answer::Yes => Verdict::Takes,
            Answer::Failed(_) => Verdict::Failed,
            _ => Verdict::Passes,
        }
    }
}

fn route(
    own: &HttpRoute,
    section: &config::HttpFilter,
    pools: &[Arc<str>],
    files: &Files,
    conditions: Matcher,
) -> Result<Route, String> {
    let number =
        |name: &Arc<str>| pools.iter().position(|pool| pool == name).ok_or_else(|| format!("there is no pool {name}"));
    let to = match &own.action {
        RouteTarget::Pool(pool) => Action::Pool(number(pool)?),
        RouteTarget::Split(split) => Action::Split(Split::new(split, &own.name, number)?),
        RouteTarget::Redirect(redirect) => Action::Redirect(Redirection::new(redirect, &own.conditions)?),
        RouteTarget::Respond(respond) => Action::Respond(Fixed::new(respond, files)?),
        RouteTarget::Status(status) => Action::Status(StatusCode::from_u16(*status).map_err(|e| e.to_string())?),
    };
    Ok(Route {
        name: Arc::clone(&own.name),
        line: own.line,
        plain_only: matches!(&own.action, RouteTarget::Redirect(redirect) if redirect.to == RedirectTo::Https),
        to,
        host_header: own.host_header,
        rewriting: own.rewrite.as_ref().map(Rewriting::new).transpose()?,
        request_headers: HeaderRules::new(&own.request_headers)?,
        response_headers: HeaderRules::new(&own.response_headers)?,
        security: own.security_headers.unwrap_or(section.security_headers),
        max_body: BodyLimit::new(own, section.max_body),
        compress: own.compress,
        conditions,
    })
}

/// The first route that applies.
pub fn choose<'a>(app: &'a App, facts: &Facts<'_>, secure: bool) -> Result<&'a Route, Refusal> {
    let refusal = |status, reason: &'static str, decision, rule| {
        Err(Refusal { status, reason: reason.into(), rule, decision, close: false })
    };
    match app.routes.find(facts, secure) {
        Some((route, Verdict::Failed)) => {
            app.metrics.expression_failures.up();
            let reason = "The condition of a route of this server could not be evaluated for the request.";
            refusal(StatusCode::INTERNAL_SERVER_ERROR, reason, "route-failed", Some((&*route.name).into()))
        }
        Some((route, _)) => Ok(route),
        None => {
            app.metrics.no_route.up();
            let reason = "No route of this server matches the host and path of the request.";
            refusal(StatusCode::NOT_FOUND, reason, "no-route", None)
        }
    }
}
