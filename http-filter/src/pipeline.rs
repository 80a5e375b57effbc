//! THE order in which a request is judged, served and written down. Nothing else decides anything.

use std::convert::Infallible;
use std::net::IpAddr;
use std::rc::Rc;

use common_http::guarded::{Exchange, HeadVerdict};
use common_http::h2_gate::check_h2;
use common_http::headers::join_cookies;
use http::header::{CONNECTION, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::app::App;
use super::connection::Connection;
use super::journey::Journey;
use super::response::{self, FilterBody, Refusal};
use super::route::Route;
use super::stages::limit_scope::Facts;
use super::stages::{access_list, rate_limit};
use super::{grpc, normalise, route, upgrade, upstream};

/// One request, from hyper to hyper.
pub async fn run(
    app: Rc<App>,
    connection: Rc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<FilterBody>, Infallible> {
    let exchange = connection.ledger.begin();
    connection.follow(&app);
    let last = connection.is_last(&app, &exchange);
    let mut journey = Journey::begin(&app, &connection, &request);
    let accept = request.headers().get(http::header::ACCEPT).cloned();
    let call = connection.h2 && grpc::is_call(request.headers());
    let mut answer = match judge_and_serve(&app, &connection, request, &exchange, &mut journey).await {
        Ok(answer) => response::pass_on(answer, exchange, journey),
        Err(refusal) if call => response::refuse_call(refusal, exchange, journey),
        Err(refusal) => response::refuse(name_violation(refusal, &connection), accept.as_ref(), exchange, journey),
    };
    if last && !connection.h2 && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(answer)
}

/// A body that could not be read to its end because the guard stopped it is refused in the guard's words (408, or what was wrong).
fn name_violation(refusal: Refusal, connection: &Connection) -> Refusal {
    match connection.ledger.violation() {
        Some(violation) if refusal.decision == "request" => {
            Refusal::malformed(violation.status(), violation.text(), violation.label(), true)
        }
        _ => refusal,
    }
}

async fn judge_and_serve(
    app: &App,
    connection: &Rc<Connection>,
    request: Request<Incoming>,
    exchange: &Exchange,
    journey: &mut Journey,
) -> Result<upstream::Answer, Refusal> {
    let (mut parts, body) = request.into_parts();
    upgrade::read_extended_connect(app, &mut parts)?;
    if connection.h2 {
        join_cookies(&mut parts.headers);
    }
    let judged = judge(app, connection, &parts, exchange, journey)?;
    journey.stage("upstream");
    let (mut outgoing, switching) = upstream::prepare(app, connection, Request::from_parts(parts, body), &judged)?;
    journey.send_on(outgoing.request.headers_mut());
    let answer = upstream::send(app, judged.route, outgoing, journey).await?;
    upgrade::switch(app, connection, answer, switching, exchange, journey)
}

/// A request that may pass: where it goes, and its target if that had to be rewritten.
pub struct Judged<'a> {
    /// Who serves it.
    pub route: &'a Route,
    /// The client behind trusted proxies.
    pub client: IpAddr,
    /// The one form of path and query, where it is not what the client wrote.
    pub rewritten: Option<PathAndQuery>,
}

/// Every decision, in order.
fn judge<'a>(
    app: &'a App,
    connection: &Connection,
    parts: &Parts,
    exchange: &Exchange,
    journey: &mut Journey,
) -> Result<Judged<'a>, Refusal> {
    receive(app, connection, parts, exchange)?;
    journey.stage("normalise");
    let seen = normalise::read(app, connection, parts)?;
    journey.saw(&seen);
    journey.stage("access");
    access_list::judge(app, connection, &seen, parts, journey)?;
    journey.stage("limits");
    rate_limit::judge(app, &Facts { connection, seen: &seen, parts }, journey)?;
    journey.stage("route");
    let route = route::choose(app, &seen.target)?;
    journey.routed(&route.name, &route.pool.name);
    let rewritten = seen.target.rewritten().map_err(|_| {
        Refusal::malformed(StatusCode::BAD_REQUEST, "The target of the request is not valid.", "bad-target", false)
    })?;
    Ok(Judged { route, client: seen.client, rewritten })
}

/// What the bytes themselves said: the guard's verdict for HTTP/1, the gate's for HTTP/2.
fn receive(app: &App, connection: &Connection, parts: &Parts, exchange: &Exchange) -> Result<(), Refusal> {
    let violation = match exchange.verdict() {
        HeadVerdict::Refused(violation) => Some(violation),
        HeadVerdict::Accepted if connection.h2 => check_h2(parts, &app.framing).err(),
        HeadVerdict::Accepted => None,
    };
    let Some(violation) = violation else { return no_tunnels(app, connection, parts) };
    app.metrics.malformed.up();
    Err(Refusal::malformed(violation.status(), violation.text(), violation.label(), !connection.h2))
}

/// This is no forward proxy: a CONNECT must never reach a backend, which would read what follows as another request.
pub fn no_tunnels(app: &App, connection: &Connection, parts: &Parts) -> Result<(), Refusal> {
    if parts.method != Method::CONNECT {
        return Ok(());
    }
    app.metrics.malformed.up();
    let reason = "This server is no forward proxy: it does not open tunnels (CONNECT).";
    Err(Refusal::malformed(StatusCode::NOT_IMPLEMENTED, reason, "connect", !connection.h2))
}
