//! What is sent to the backend: rebuilt from the typed request, so a request with two readings cannot leave.

use common::config::HostHeader;
use common_http::headers::{Direction, LastHop, Underscores, count_down, strip};
use common_http::target::send_on;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::{Body as _, Incoming};

use super::body::{ClientBody, Meter};
use super::queue::Wish;
use crate::app::App;
use crate::connection::Connection;
use crate::pipeline::Judged;
use crate::response::Refusal;
use crate::route::Route;
use crate::upgrade::{self, Asked, Switch};

/// A request ready to be sent, and what to ask afterwards.
#[derive(Debug)]
pub struct Outgoing {
    /// Origin form, Host set, nothing hop-by-hop in it.
    pub request: Request<ClientBody>,
    /// How much of the body came.
    pub meter: Meter,
    /// Write the chosen server's address into Host.
    pub host_from_server: bool,
    /// Which server it would like.
    pub wish: Wish,
}

/// Prepares a request for its backend. The second value is the switch of protocols that the client asked for, if it did.
pub fn prepare(
    app: &App,
    connection: &Connection,
    mut request: Request<Incoming>,
    judged: Judged<'_>,
) -> Result<(Outgoing, Option<Switch>), Refusal> {
    let limit = judged.route.max_body.bytes;
    if limit.is_some_and(|limit| declared_length(&request).is_some_and(|length| length > limit)) {
        return Err(too_large(app, judged.route));
    }
    let asked = upgrade::asked(connection, &mut request);
    let keep_upgrade = asked.as_ref().is_some_and(|(asked, _)| *asked == Asked::Http1);
    let h2 = judged.pool.speaks_h2();
    let (mut parts, body) = request.into_parts();
    let wish = judged.pool.wish(judged.client, connection.client.tls.is_some(), &mut parts.headers);
    let announced = if connection.h2 { announced(&mut parts.headers, &body) } else { None };
    send_on(&mut parts, judged.rewritten);
    let trailers = strip(&mut parts.headers, Direction::Request, keep_upgrade, app.underscores);
    if trailers && h2 {
        // The one word of TE that HTTP/2 knows (RFC 9113 §8.2.2); gRPC servers ask for it.
        parts.headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    count_down(&parts.method, &mut parts.headers).map_err(|LastHop| last_hop(&parts.method))?;
    parts.headers.remove(header::EXPECT); // answered here: the client may send its body when we begin to read it
    let host = host(connection, &mut parts.headers);
    connection.forwarder.borrow_mut().write(&mut parts.headers, &host);
    if let Some(own) = &app.identity_headers {
        own.write(&connection.client, &mut parts.headers);
    }
    let [section, own] = judged.filled;
    app.request_headers.apply(&mut parts.headers, section);
    judged.route.request_headers.apply(&mut parts.headers, own);
    let switch = asked.map(|asked| upgrade::prepare(asked, judged.pool.upgrades_over_h2(), &mut parts)).transpose()?;
    let meter = Meter::default();
    let request = Request::from_parts(
        parts,
        ClientBody::new(body, limit, announced, meter.clone()).without(app.identity_headers.clone()),
    );
    let host_from_server = judged.route.host_header == HostHeader::Server;
    Ok((Outgoing { request, meter, host_from_server, wish }, switch))
}

/// Host as it goes on. An HTTP/1.0 request may name nobody: it is for the address it came to (RFC 9112 §3.3), since 1.1 must name somebody.
fn host(connection: &Connection, headers: &mut HeaderMap) -> HeaderValue {
    if let Some(host) = headers.get(header::HOST) {
        return host.clone();
    }
    let local = HeaderValue::try_from(connection.client.ends.local.to_string());
    let host = local.unwrap_or_else(|_| HeaderValue::from_static(""));
    headers.insert(header::HOST, host.clone());
    host
}

/// The length of an HTTP/2 body that has not ended yet. A length of 0 is not sent on then: it would make the request whole at once.
fn announced(headers: &mut HeaderMap, body: &Incoming) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
    if body.is_end_stream() {
        return None;
    }
    if length == 0 {
        headers.remove(header::CONTENT_LENGTH);
    }
    Some(length)
}

/// Who traced its way up to here gets its answer here (RFC 9110 §7.6.2). A TRACE would be told its own header, cookies included: never.
fn last_hop(method: &Method) -> Refusal {
    let (status, reason) = match *method {
        Method::OPTIONS => (StatusCode::NO_CONTENT, ""),
        _ => (StatusCode::NOT_IMPLEMENTED, "Max-Forwards ends here, and this server answers no TRACE of its own."),
    };
    Refusal::malformed(status, reason, "max-forwards", false)
}

/// What a client gets whose body is larger than allowed.
pub fn too_large(app: &App, route: &Route) -> Refusal {
    app.metrics.too_large.up();
    Refusal {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        reason: "The body of the request is larger than this server accepts.".into(),
        rule: Some(route.max_body.rule.clone()),
        decision: "too-large",
        close: true,
    }
}

fn declared_length(request: &Request<Incoming>) -> Option<u64> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The policy on names with `_` in the words of [`strip`].
pub fn underscores(policy: common::config::UnderscoreHeaders) -> Underscores {
    match policy {
        common::config::UnderscoreHeaders::Keep => Underscores::Keep,
        _ => Underscores::Drop,
    }
}
