//! Access lists: ordered rules by network, method, host, path and header; the first that matches decides.

use common::config::{self, HeaderValuePattern, HttpFilter, HttpRule};
use common_http::access::{
    Action, Conditions, Facts, HeaderMatch, HeaderPattern, NamePattern, PathPattern, Rule, RuleSet,
};
use http::request::Parts;
use http::{Method, StatusCode};

use crate::app::App;
use crate::connection::Connection;
use crate::journey::Journey;
use crate::normalise::Seen;
use crate::response::Refusal;

/// Asks the rules.
pub fn judge(
    app: &App,
    connection: &Connection,
    seen: &Seen<'_>,
    parts: &Parts,
    journey: &mut Journey,
) -> Result<(), Refusal> {
    let facts = Facts {
        client: seen.client,
        user: None,
        method: &parts.method,
        host: &seen.target.host,
        port: Some(connection.client.ends.local.port()),
        path: &seen.target.path,
        headers: Some(&parts.headers),
        sni: connection.client.server_name(),
    };
    let decision = app.access.decide(&facts);
    if let Some((rule, Action::Deny)) = decision.observed {
        app.metrics.observed.up();
        journey.observed(rule);
    }
    if decision.allow {
        return Ok(());
    }
    app.metrics.denied.up();
    Err(Refusal {
        status: StatusCode::FORBIDDEN,
        reason: "An access rule of this server refuses the request.".into(),
        rule: Some(decision.rule.unwrap_or("access_default").into()),
        decision: "denied",
        close: false,
    })
}

/// The configured rules in the form in which they are asked.
pub fn rules(config: &HttpFilter) -> Result<RuleSet, String> {
    let rules = config
        .access
        .iter()
        .map(|own| rule(own).map_err(|error| format!("http-filter.access '{}': {error}", own.name)));
    Ok(RuleSet { rules: rules.collect::<Result<_, _>>()?, default: action(config.access_default) })
}

fn action(action: config::Action) -> Action {
    match action {
        config::Action::Allow => Action::Allow,
        config::Action::Deny => Action::Deny,
    }
}

fn rule(own: &HttpRule) -> Result<Rule, String> {
    let methods = own.methods.iter().map(|name| Method::from_bytes(name.as_bytes()).map_err(|e| e.to_string()));
    let when = Conditions {
        clients: own.clients.iter().flat_map(|set| set.as_slice()).copied().collect(),
        methods: methods.collect::<Result<_, _>>()?,
        hosts: own.hosts.iter().map(name).collect::<Result<_, _>>()?,
        paths: own.paths.iter().map(path).collect::<Result<_, _>>()?,
        headers: own.headers.iter().map(header).collect::<Result<_, _>>()?,
        ..Conditions::default()
    };
    Ok(Rule { observe: own.observe, ..Rule::new(&*own.name, action(own.action), when) })
}

/// A host pattern of the configuration.
pub fn name(pattern: &config::NamePattern) -> Result<NamePattern, String> {
    NamePattern::new(pattern.as_str()).map_err(|error| error.to_string())
}

/// A path pattern of the configuration.
pub fn path(pattern: &config::PathPattern) -> Result<PathPattern, String> {
    match pattern {
        config::PathPattern::Exact(path) => PathPattern::exact(path),
        config::PathPattern::Prefix(beginning) => PathPattern::begins(beginning),
    }
    .map_err(|error| error.to_string())
}

fn header(pattern: &config::HeaderPattern) -> Result<HeaderPattern, String> {
    let value = match &pattern.value {
        HeaderValuePattern::Present => HeaderMatch::Present,
        HeaderValuePattern::Exact(value) => HeaderMatch::Exact(value.as_bytes().to_vec()),
        HeaderValuePattern::Prefix(value) => HeaderMatch::Prefix(value.as_bytes().to_vec()),
    };
    let name = http::HeaderName::from_bytes(pattern.name.as_bytes()).map_err(|error| error.to_string())?;
    Ok(HeaderPattern { name, value })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_prefix_of_the_configuration_is_a_plain_beginning() {
        let pattern = path(&config::PathPattern::parse("/admin*").unwrap()).unwrap();
        for (seen, hit) in [("/admin", true), ("/admin/x", true), ("/administrator", true), ("/a", false)] {
            assert_eq!(pattern.matches(seen), hit, "{seen}");
        }
        let tree = path(&config::PathPattern::parse("/admin/*").unwrap()).unwrap();
        assert!(tree.matches("/admin/x") && !tree.matches("/administrator"));
    }
}
