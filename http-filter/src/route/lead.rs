//! Where the chosen route leads one request: to a pool, or to an answer of our own.

use std::net::IpAddr;
use std::rc::Rc;

use bytes::Bytes;
use http::header::HeaderMap;
use http::uri::PathAndQuery;
use http::{Response, StatusCode};

use super::redirect::NoRedirect;
use super::{Action, Route};
use crate::app::App;
use crate::response::Refusal;
use crate::rewriting::Values;
use crate::upstream::ServerPool;

/// Who answers.
pub enum Lead<'a> {
    /// A pool.
    Pool(&'a Rc<ServerPool>),
    /// We; with a word for the log.
    Own(Response<Bytes>, &'static str),
}

/// Follows a route.
///
/// # Errors
/// The route refuses, or what it makes of this request is nothing.
pub fn lead<'a>(
    app: &'a App,
    route: &Route,
    client: IpAddr,
    headers: &HeaderMap,
    values: &Values<'_>,
) -> Result<Lead<'a>, Refusal> {
    let pool = |number: usize| match app.pools.get(number) {
        Some(pool) => Ok(Lead::Pool(pool)),
        None => Err(faulty(route, "There is no pool behind the route.", "no-pool")),
    };
    match &route.to {
        Action::Pool(number) => pool(*number),
        Action::Split(split) => pool(split.choose(client, headers, || app.random())),
        Action::Respond(fixed) => {
            app.metrics.fixed_answers.up();
            Ok(Lead::Own(fixed.respond(), "responded"))
        }
        Action::Redirect(redirection) => match redirection.respond(values) {
            Ok(response) => {
                app.metrics.redirects.up();
                Ok(Lead::Own(response, "redirected"))
            }
            Err(why) => Err(no_redirect(app, route, why)),
        },
        Action::Status(status) => {
            app.metrics.route_refusals.up();
            Err(Refusal {
                status: *status,
                reason: "A route of this server refuses the request.".into(),
                rule: Some((&*route.name).into()),
                decision: "refused-by-route",
                close: false,
            })
        }
    }
}

/// The path for the backend, where the route has another one.
///
/// # Errors
/// What comes out is no target.
pub fn rewrite(app: &App, route: &Route, values: &Values<'_>) -> Result<Option<PathAndQuery>, Refusal> {
    let Some(rewriting) = &route.rewriting else { return Ok(None) };
    rewriting.apply(values).map_err(|_| {
        app.metrics.rewrites_failed.up();
        faulty(route, "A rewriting rule of this server makes no valid target of the request's path.", "bad-rewrite")
    })
}

fn no_redirect(app: &App, route: &Route, why: NoRedirect) -> Refusal {
    app.metrics.rewrites_failed.up();
    match why {
        NoRedirect::NoHost => Refusal {
            status: StatusCode::BAD_REQUEST,
            reason: "The request names no host, so it cannot be redirected.".into(),
            rule: Some((&*route.name).into()),
            decision: "no-host",
            close: false,
        },
        NoRedirect::NoTarget => {
            faulty(route, "A redirect of this server makes no valid target of the request.", "bad-redirect")
        }
        NoRedirect::Loop => faulty(route, "A redirect of this server leads to the request itself.", "redirect-loop"),
    }
}

/// The configuration is at fault.
fn faulty(route: &Route, reason: &'static str, decision: &'static str) -> Refusal {
    tracing::warn!(route = &*route.name, line = route.line, "{decision}");
    Refusal {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        reason: reason.into(),
        rule: Some((&*route.name).into()),
        decision,
        close: false,
    }
}
