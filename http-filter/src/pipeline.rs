//! THE order in which a request is judged, served and written down. Nothing else decides anything.

use std::cell::Cell;
use std::convert::Infallible;
use std::net::IpAddr;
use std::rc::Rc;

use bytes::Bytes;
use common_http::guarded::{Exchange, HeadVerdict};
use common_http::h2_gate::check_h2;
use common_http::headers::{Fields, join_cookies};
use http::header::{ACCEPT_ENCODING, CONNECTION, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode};
use hyper::body::{Body as _, Incoming};

use super::app::App;
use super::connection::Connection;
use super::journal::{Noted, guard};
use super::journey::Journey;
use super::response::plan::{self, Plan};
use super::response::{self, FilterBody, Refusal};
use super::rewriting::Filled;
use super::route::Route;
use super::route::lead::{Lead, lead, rewrite};
use super::stages::limit_scope::Facts;
use super::stages::web_attacks::body::Stopped;
use super::stages::web_attacks::{self, Inspection};
use super::stages::{access_list, rate_limit};
use super::upstream::ServerPool;
use super::upstream::pool::Streamed;
use super::{grpc, normalise, route, upgrade, upstream};

/// One request, from hyper to hyper.
pub async fn run(
    app: Rc<App>,
    connection: Rc<Connection>,
    mut request: Request<Incoming>,
) -> Result<Response<FilterBody>, Infallible> {
    let (noted, refused) = guard::enter(&app, &connection, &mut request);
    let exchange = connection.ledger.begin();
    connection.follow(&app);
    let last = connection.is_last(&app, &exchange);
    let mut journey = Journey::begin(&app, &connection, &request);
    journey.marked(noted.as_ref().map(Noted::mark));
    let mut plan = Plan::begin(&app, &connection, &request);
    let call = connection.h2 && grpc::is_call(request.headers());
    let serving = async {
        match refused {
            Some(refusal) => Err(refusal),
            None => judge_and_serve(&app, &connection, request, &exchange, &mut plan, &mut journey).await,
        }
    };
    let served = guard::watch(noted.as_ref(), serving).await;
    journey.noted(noted);
    let mut answer = match served {
        Ok(answer) => response::pass_on(&app, answer, &mut plan, exchange, journey),
        Err(refusal) if call => response::refuse_call(&app, refusal, &mut plan, exchange, journey),
        Err(refusal) => response::refuse(&app, name_violation(refusal, &connection), &mut plan, exchange, journey),
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

async fn judge_and_serve<'a>(
    app: &'a App,
    connection: &Rc<Connection>,
    request: Request<Incoming>,
    exchange: &Exchange,
    plan: &mut Plan<'a>,
    journey: &mut Journey,
) -> Result<upstream::Answer, Refusal> {
    let mut inspection = None;
    let served = serve(app, connection, request, exchange, plan, journey, &mut inspection).await;
    if let Some(inspection) = inspection {
        inspection.end(app, journey); // wherever the request has ended, what rules found in it is written down
    }
    served
}

async fn serve<'a>(
    app: &'a App,
    connection: &Rc<Connection>,
    request: Request<Incoming>,
    exchange: &Exchange,
    plan: &mut Plan<'a>,
    journey: &mut Journey,
    inspection: &mut Option<Box<Inspection>>,
) -> Result<upstream::Answer, Refusal> {
    let (mut parts, body) = request.into_parts();
    upgrade::read_extended_connect(app, &mut parts)?;
    if connection.h2 {
        join_cookies(&mut parts.headers);
    }
    if let Some(own) = &app.identity_headers {
        own.strip(&mut parts.headers);
    }
    let has_body = !body.is_end_stream();
    let judged = match judge(app, connection, (&parts, has_body), exchange, plan, journey, inspection)? {
        Served::By(judged) => judged,
        Served::Here(answer) => return Ok(answer.map(Streamed::Own)),
    };
    let (route, pool) = (judged.route, judged.pool);
    let (mut outgoing, switching) = upstream::prepare(app, connection, Request::from_parts(parts, body), judged)?;
    if let Some(asked) = inspection.take_if(|inspection| inspection.wants_body()) {
        journey.reads(&outgoing.meter);
        let body = outgoing.request.body_mut();
        // Apart from the request's own future, which every request pays for.
        *inspection =
            Box::pin(asked.body(app, body, connection.h2, journey)).await.map_err(|stopped| match stopped {
                Stopped::Refused(refusal) => refusal,
                Stopped::Unreadable(_) if outgoing.meter.is_over() => upstream::prepare::too_large(app, route),
                Stopped::Unreadable(error) => upstream::send::unreadable(error),
            })?;
    }
    if inspection.is_some() {
        let plain = HeaderValue::from_static("identity"); // rules cannot look into what is compressed; we may compress it ourselves afterwards
        outgoing.request.headers_mut().insert(ACCEPT_ENCODING, plain);
    }
    journey.stage("upstream");
    journey.send_on(outgoing.request.headers_mut());
    let mut answer = upstream::send(app, route, pool, outgoing, journey).await?;
    let switched = switching.is_some() && pool.upgrades_over_h2() && answer.status().is_success();
    if let Some(asked) = inspection.take_if(|_| !switched) {
        answer = Box::pin(asked.answer(app, answer, connection.h2, journey)).await?;
    }
    upgrade::switch(app, connection, answer, switching, exchange, journey)
}

/// Who answers a request that may pass.
enum Served<'a> {
    By(Judged<'a>),
    Here(Response<Bytes>),
}

/// A request that may pass and is sent on: what is changed in it.
pub struct Judged<'a> {
    /// What it was taken by.
    pub route: &'a Route,
    /// The client behind trusted proxies.
    pub client: IpAddr,
    /// Who serves.
    pub pool: &'a Rc<ServerPool>,
    /// The target for the backend, where it is not what the client wrote.
    pub rewritten: Option<PathAndQuery>,
    /// Values of the header rules of the section and of the route.
    pub filled: [Filled; 2],
}

/// Every decision, in order.
fn judge<'a>(
    app: &'a App,
    connection: &Connection,
    (parts, has_body): (&Parts, bool),
    exchange: &Exchange,
    plan: &mut Plan<'a>,
    journey: &mut Journey,
    inspection: &mut Option<Box<Inspection>>,
) -> Result<Served<'a>, Refusal> {
    receive(app, connection, parts, exchange)?;
    journey.stage("normalise");
    let seen = normalise::read(app, connection, parts)?;
    journey.saw(&seen);
    plan.saw(app, &seen.target.host);
    journey.stage("access");
    let fields = Fields(&parts.headers);
    let known = access_list::facts(connection, &seen, parts, &fields);
    access_list::judge(app, &known, journey)?;
    journey.stage("limits");
    rate_limit::judge(app, &Facts { connection, seen: &seen, parts, known: &known, failures: &Cell::new(0) }, journey)?;
    *inspection = web_attacks::judge(app, connection, (&seen, parts, &known), has_body, journey)?;
    journey.stage("route");
    let route = route::choose(app, &known, plan.is_secure())?;
    let id = journey.request_id();
    let values = plan::values(connection, &seen, parts, route, plan.is_secure(), id.as_ref());
    plan.routed(app, route, &values);
    journey.routed(&route.name, None);
    let pool = match lead(app, route, seen.client, &parts.headers, &values)? {
        Lead::Pool(pool) => pool,
        Lead::Own(answer, decision) => {
            journey.answered_here(decision);
            return Ok(Served::Here(answer));
        }
    };
    journey.routed(&route.name, Some(&pool.name));
    let rewritten = match rewrite(app, route, &values)? {
        Some(rewritten) => Some(rewritten),
        None => seen.target.rewritten().map_err(|_| {
            Refusal::malformed(StatusCode::BAD_REQUEST, "The target of the request is not valid.", "bad-target", false)
        })?,
    };
    let filled = [app.request_headers.fill(&values), route.request_headers.fill(&values)];
    Ok(Served::By(Judged { route, client: seen.client, pool, rewritten, filled }))
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
