//! What is sent to the backend: rebuilt from the typed request, so a request with two readings cannot leave.

use common::config::HostHeader;
use common_http::headers::{Direction, Underscores, strip};
use http::header::{self, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use super::body::{ClientBody, Meter};
use crate::connection::Connection;
use crate::normalise::Seen;
use crate::response::Refusal;
use crate::route::Route;
use crate::serve::App;

/// A request ready to be sent, and what to ask afterwards.
#[derive(Debug)]
pub struct Outgoing {
    /// Origin form, Host set, nothing hop-by-hop in it.
    pub request: Request<ClientBody>,
    /// How much of the body came.
    pub meter: Meter,
    /// Write the chosen server's address into Host.
    pub host_from_server: bool,
}

/// Prepares a request for its backend. The second value is the client's half of a protocol switch, if it asked for one.
pub fn prepare(
    app: &App,
    connection: &Connection,
    mut request: Request<Incoming>,
    seen: &Seen,
    route: &Route,
) -> Result<(Outgoing, Option<OnUpgrade>), Refusal> {
    let declared = declared_length(&request);
    if app.config.max_body.is_some_and(|limit| declared.is_some_and(|length| length > limit)) {
        return Err(too_large(app));
    }
    let switching = !connection.h2 && asks_to_switch(&request);
    let client_upgrade = switching.then(|| hyper::upgrade::on(&mut request));
    let target = origin_form(request.uri(), seen).ok_or_else(|| {
        Refusal::malformed(StatusCode::BAD_REQUEST, "The target of the request is not valid.", "bad-target", false)
    })?;
    let meter = Meter::default();
    let limit = app.config.max_body;
    let mut request = request.map(|body| ClientBody::new(body, limit, meter.clone()));
    *request.version_mut() = Version::HTTP_11;
    *request.uri_mut() = target;
    let headers = request.headers_mut();
    strip(headers, Direction::Request, switching, app.underscores);
    headers.remove(header::EXPECT); // answered here: the client may send its body when we begin to read it
    join_cookies(headers);
    let host = seen.host_header.clone().unwrap_or_else(|| HeaderValue::from_static(""));
    connection.forwarder.borrow_mut().write(headers, &host);
    headers.insert(header::HOST, host);
    let host_from_server = route.host_header == HostHeader::Server;
    Ok((Outgoing { request, meter, host_from_server }, client_upgrade))
}

/// What a client gets whose body is larger than allowed.
pub fn too_large(app: &App) -> Refusal {
    app.metrics.too_large.up();
    Refusal {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        reason: "The body of the request is larger than this server accepts.".into(),
        rule: Some("max_body".into()),
        decision: "too-large",
        close: true,
    }
}

fn declared_length(request: &Request<Incoming>) -> Option<u64> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A WebSocket handshake (RFC 6455 §4.1); other protocols are not switched to (h2c would smuggle requests past the rules).
fn asks_to_switch(request: &Request<Incoming>) -> bool {
    let upgrade = request.headers().get(header::UPGRADE);
    *request.method() == Method::GET && upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn origin_form(uri: &Uri, seen: &Seen) -> Option<Uri> {
    if !seen.rewritten {
        let written = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        return Some(Uri::from(written));
    }
    let text = match uri.query() {
        Some(query) => format!("{}?{query}", seen.path),
        None => seen.path.to_string(),
    };
    PathAndQuery::try_from(text).ok().map(Uri::from)
}

/// HTTP/2 may split Cookie into several fields; HTTP/1.1 has one (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut http::HeaderMap) {
    let mut lines = headers.get_all(header::COOKIE).iter();
    if lines.next().is_none() || lines.next().is_none() {
        return;
    }
    let all: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
        headers.insert(header::COOKIE, joined);
    }
}

/// The policy on names with `_` in the words of [`strip`].
pub fn underscores(policy: common::config::UnderscoreHeaders) -> Underscores {
    match policy {
        common::config::UnderscoreHeaders::Keep => Underscores::Keep,
        _ => Underscores::Drop,
    }
}
