//! WebSocket over HTTP/1.1 (RFC 6455): after 101 both halves are joined, and nothing between them is read any more.

use std::rc::Rc;

use common_http::guarded::Exchange;
use common_http::upstream::upgraded;
use http::header::UPGRADE;
use http::{HeaderMap, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::app::App;
use super::connection::Connection;
use super::journey::Journey;
use super::response::Refusal;
use super::upstream::pool::{Answer, Streamed};

/// Bytes buffered per direction of a switched connection.
const BUFFER: usize = 16 * 1024;

/// To WebSocket and nothing else, which is all that is ever asked for.
fn to_websocket(headers: &HeaderMap) -> bool {
    let mut upgrades = headers.get_all(UPGRADE).iter();
    let (Some(to), None) = (upgrades.next(), upgrades.next()) else { return false };
    to.as_bytes().eq_ignore_ascii_case(b"websocket")
}

/// If the answer switches protocols, joins the halves; every other answer goes through as it is. A switch that nobody asked
/// for is the backend's fault.
pub fn switch(
    app: &App,
    connection: &Rc<Connection>,
    answer: Answer,
    client: Option<OnUpgrade>,
    exchange: &Exchange,
    journey: &mut Journey,
) -> Result<Answer, Refusal> {
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(answer);
    }
    let (parts, streamed) = answer.into_parts();
    let (Some(client), Streamed::Body(body, pick), true) = (client, streamed, to_websocket(&parts.headers)) else {
        app.metrics.upstream_failed.up();
        return Err(Refusal {
            status: StatusCode::BAD_GATEWAY,
            reason: "The server behind this proxy switched protocols, which the request did not ask for.".into(),
            rule: None,
            decision: "unasked-switch",
            close: false,
        });
    };
    exchange.switch_protocols();
    journey.switched();
    app.metrics.upgrades.up();
    let mut head = Response::new(Streamed::Switched);
    *head.status_mut() = parts.status;
    head.headers_mut().clone_from(&parts.headers);
    let connection = Rc::clone(connection);
    tokio::task::spawn_local(async move {
        let _connection = connection; // it counts until both halves are done
        match (upgraded(Response::from_parts(parts, body)), client.await) {
            (Some(mut server), Ok(client)) => {
                let mut client = TokioIo::new(client);
                let _ = tokio::io::copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER, BUFFER).await;
            }
            (None, _) => tracing::debug!("protocol switch failed: the backend did not switch"),
            (_, Err(error)) => tracing::debug!("protocol switch failed: {error}"),
        }
        drop(pick);
    });
    Ok(head)
}
