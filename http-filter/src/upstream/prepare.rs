//! What is sent to the backend: rebuilt from the typed request, so a request with two readings cannot leave.

use common::config::HostHeader;
use common_http::headers::{Direction, Underscores, strip};
use common_http::target::send_on;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use super::body::{ClientBody, Meter};
use crate::app::App;
use crate::connection::Connection;
use crate::pipeline::Judged;
use crate::response::Refusal;

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
    judged: &Judged<'_>,
) -> Result<(Outgoing, Option<OnUpgrade>), Refusal> {
    let limit = app.config.max_body;
    if limit.is_some_and(|limit| declared_length(&request).is_some_and(|length| length > limit)) {
        return Err(too_large(app));
    }
    let switching = !connection.h2 && asks_to_switch(&request);
    let client_half = switching.then(|| hyper::upgrade::on(&mut request));
    let (mut parts, body) = request.into_parts();
    send_on(&mut parts, judged.rewritten.clone());
    strip(&mut parts.headers, Direction::Request, switching, app.underscores);
    parts.headers.remove(header::EXPECT); // answered here: the client may send its body when we begin to read it
    let host = host(connection, &mut parts.headers);
    connection.forwarder.borrow_mut().write(&mut parts.headers, &host);
    let meter = Meter::default();
    let request = Request::from_parts(parts, ClientBody::new(body, limit, meter.clone()));
    let host_from_server = judged.route.host_header == HostHeader::Server;
    Ok((Outgoing { request, meter, host_from_server }, client_half))
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
    let mut upgrades = request.headers().get_all(header::UPGRADE).iter();
    let (Some(to), None) = (upgrades.next(), upgrades.next()) else { return false };
    *request.method() == Method::GET && to.as_bytes().eq_ignore_ascii_case(b"websocket")
}

/// The policy on names with `_` in the words of [`strip`].
pub fn underscores(policy: common::config::UnderscoreHeaders) -> Underscores {
    match policy {
        common::config::UnderscoreHeaders::Keep => Underscores::Keep,
        _ => Underscores::Drop,
    }
}
