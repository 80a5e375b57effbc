//! Access lists: ordered rules, the first that matches decides. The vocabulary and the decision are `common_access`'s; here are the
//! facts of a request, and what becomes of a refusal.

use common::config::{Action, Config, Files};
use common_access::{Environment, Facts, Place, Request, RuleSet, Tls, system_clock};
use common_http::headers::Fields;
use common_http::normalise::{PathPolicy, normalise_path};
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use http::request::Parts;

use crate::app::App;
use crate::connection::Connection;
use crate::journey::Journey;
use crate::normalise::Seen;
use crate::response::Refusal;

/// Asks the rules.
pub fn judge(app: &App, facts: &Facts<'_>, journey: &mut Journey) -> Result<(), Refusal> {
    if app.access.is_open() {
        return Ok(());
    }
    let decision = app.access.decide(facts);
    if decision.failures > 0 {
        app.metrics.expression_failures.add(u64::from(decision.failures));
    }
    if let Some(rule) = decision.observed.filter(|rule| rule.action == Action::Deny) {
        app.metrics.observed.up();
        journey.observed(&rule.name);
    }
    if decision.allow {
        return Ok(());
    }
    app.metrics.denied.up();
    Err(refusal(decision.rule.map_or("access_default", |rule| &rule.name)))
}

/// What a client gets whom this rule refuses.
pub fn refusal(rule: &str) -> Refusal {
    Refusal {
        status: StatusCode::FORBIDDEN,
        reason: "An access rule of this server refuses the request.".into(),
        rule: Some(rule.into()),
        decision: "denied",
        close: false,
    }
}

/// What is known of a request, for rules and for routes.
pub fn facts<'a>(
    connection: &'a Connection,
    seen: &'a Seen<'_>,
    parts: &'a Parts,
    fields: &'a Fields<'_>,
) -> Facts<'a> {
    let tls = connection.client.tls.as_ref().map(|tls| Tls {
        server_name: tls.server_name.as_deref(),
        ja4: &tls.ja4,
        version: tls.protocol(),
        certificate: tls.identity.as_deref(),
    });
    let declared = || parts.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    let request = Request {
        method: parts.method.as_str(),
        host: &seen.target.host,
        path: &seen.target.path,
        query: parts.uri.query(),
        headers: fields,
        body_size: declared(),
    };
    Facts { tls, request: Some(request), ..Facts::of(seen.client, &system_clock) }
}

/// The configured rules in the form in which they are asked, with what they were made with.
///
/// # Errors
/// Each thing that is wrong with one of them, or with the country file.
pub fn rules(config: &Config, environment: &Environment) -> Result<RuleSet, Vec<String>> {
    let filter = &config.http_filter;
    RuleSet::compile(&filter.access, filter.access_default, Place::Http, environment)
}

/// What rules, limits and routes of this process are made with.
///
/// # Errors
/// What is wrong with the country file.
pub fn environment(config: &Config, files: &Files) -> Result<Environment, String> {
    let rules = config.http_filter.access.iter().map(|rule| &rule.conditions);
    let asking = rules.chain(config.http_filter.routes.iter().map(|route| &route.conditions));
    let asking = asking.chain(config.http_filter.rate_limits.iter().map(|limit| &limit.scope.conditions));
    let asking = asking.chain(config.http_filter.concurrency_limits.iter().map(|limit| &limit.scope.conditions));
    let attacks = &config.http_filter.web_attacks;
    let asking = asking.chain(attacks.scopes.iter().map(|scope| &scope.conditions));
    let asking = asking.chain(attacks.excludes.iter().map(|exclude| &exclude.conditions));
    Environment::new(&config.access, files, asking, normal_path)
}

/// A path of a rule in the form in which paths of requests are judged.
///
/// # Errors
/// Why it has none.
pub fn normal_path(path: &str) -> Result<String, String> {
    normalise_path(path, PathPolicy::Normalise).map(std::borrow::Cow::into_owned).map_err(|error| error.to_string())
}
