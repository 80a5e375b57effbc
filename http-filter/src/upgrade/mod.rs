//! WebSocket over HTTP/1.1 (RFC 6455) and HTTP/2 (RFC 8441), on either side: after the handshake both halves are joined, and nothing between them
//! is read any more. [`handshake`] is the pure part, [`join`] moves the bytes.

mod handshake;
mod join;

use std::rc::Rc;

use common_http::guarded::Exchange;
use common_http::upstream::upgraded;
use http::header;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

pub use handshake::Asked;
use handshake::{Handshake, Verdict};
pub use join::Tunnel;

use super::app::App;
use super::connection::Connection;
use super::journey::Journey;
use super::response::Refusal;
use super::succession;
use super::upstream::pool::{Answer, Streamed};

/// A switch that a client has asked for.
#[derive(Debug)]
pub struct Switch {
    client: OnUpgrade,
    handshake: Handshake,
}

/// A WebSocket that comes by HTTP/2 is read as the `GET` that it would be in HTTP/1.1; another protocol is none of ours.
///
/// # Errors
/// An extended CONNECT for anything else.
pub fn read_extended_connect(app: &App, parts: &mut Parts) -> Result<(), Refusal> {
    match handshake::extended_connect(parts) {
        None => Ok(()),
        Some("websocket") => {
            handshake::become_get(parts);
            Ok(())
        }
        Some(_) => {
            app.metrics.malformed.up();
            let reason = "This server opens no tunnels by CONNECT but for WebSocket.";
            Err(Refusal::malformed(StatusCode::NOT_IMPLEMENTED, reason, "connect", false))
        }
    }
}

/// Whether a switch is asked for, with the client's half of it.
pub fn asked(connection: &Connection, request: &mut Request<Incoming>) -> Option<(Asked, OnUpgrade)> {
    let asked = handshake::asked(request, connection.h2)?;
    if request.headers().get_all(header::UPGRADE).iter().count() > 1 {
        return None; // one protocol, named once
    }
    Some((asked, hyper::upgrade::on(request)))
}

/// Writes the handshake in the words of the pool's servers.
///
/// # Errors
/// It has no key.
pub fn prepare(asked: (Asked, OnUpgrade), backend_h2: bool, parts: &mut Parts) -> Result<Switch, Refusal> {
    let (asked, client) = asked;
    let handshake = Handshake::translate(asked, backend_h2, parts).ok_or_else(|| {
        let reason = "The WebSocket handshake has no Sec-WebSocket-Key.";
        Refusal::malformed(StatusCode::BAD_REQUEST, reason, "bad-handshake", false)
    })?;
    Ok(Switch { client, handshake })
}

/// If the answer switches protocols, joins the halves; every other answer goes through as it is. A switch that nobody asked
/// for is the backend's fault.
pub fn switch(
    app: &App,
    connection: &Rc<Connection>,
    answer: Answer,
    switch: Option<Switch>,
    exchange: &Exchange,
    journey: &mut Journey,
) -> Result<Answer, Refusal> {
    if switch.is_none() && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(answer);
    }
    let (mut parts, streamed) = answer.into_parts();
    let Some(Switch { client, handshake }) = switch else { return Err(wrong(app, "switched protocols unasked")) };
    match handshake.read(&mut parts.status, &mut parts.headers) {
        Verdict::Refused if parts.status == StatusCode::SWITCHING_PROTOCOLS => {
            return Err(wrong(app, "switched protocols unasked"));
        }
        Verdict::Refused => return Ok(Response::from_parts(parts, streamed)),
        Verdict::Wrong(what) => return Err(wrong(app, what)),
        Verdict::Switched => {}
    }
    let Streamed::Body(body, pick) = streamed else { return Err(wrong(app, "switched twice")) };
    let Some(server) = upgraded(Response::new(body)) else { return Err(wrong(app, "ended where it should switch")) };
    exchange.switch_protocols();
    journey.switched();
    app.metrics.upgrades.up();
    // A connection of HTTP/2 must not count as idle while one of its streams is a tunnel.
    let held = connection.h2.then(|| connection.ledger.hold());
    let (connection, idle) = (Rc::clone(connection), app.config.tunnel_idle_deadline);
    tokio::task::spawn_local(async move {
        let _living = (&connection, &held); // they count until both halves are done
        match client.await {
            Ok(client) => {
                if let Some((client, ahead)) = join::client_end(client) {
                    let tunnel = Tunnel::new(client, Box::new(server), ahead, Vec::new());
                    succession::join(&connection, tunnel, idle).await;
                }
            }
            Err(error) => tracing::debug!("protocol switch failed: {error}"),
        }
        drop(pick);
    });
    Ok(Response::from_parts(parts, Streamed::Switched))
}

fn wrong(app: &App, what: &str) -> Refusal {
    app.metrics.upstream_failed.up();
    tracing::warn!("a server {what}");
    Refusal {
        status: StatusCode::BAD_GATEWAY,
        reason: format!("The server behind this proxy {what}.").into(),
        rule: None,
        decision: "wrong-switch",
        close: false,
    }
}
