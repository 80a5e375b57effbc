//! A request to one server after the other, until one answers or there is reason to stop.

use std::pin::pin;
use std::rc::Rc;

use common_http::upstream::{SendError, Unanswered};
use http::StatusCode;
use http::header::{self, HeaderMap};

use super::body::BodyError;
use super::deadline::within;
use super::pool::{Answer, NoPlace, Server, ServerPool, Streamed};
use super::prepare::{Outgoing, too_large};
use super::retry;
use crate::app::App;
use crate::journey::Journey;
use crate::response::Refusal;
use crate::route::Route;

/// Sends the request of a route to a pool; see [`retry`] for when it goes to a second server.
pub async fn send(
    app: &App,
    route: &Route,
    pool: &Rc<ServerPool>,
    outgoing: Outgoing,
    journey: &mut Journey,
) -> Result<Answer, Refusal> {
    let deadline = pool.deadline();
    let trying = pin!(try_servers(app, route, pool, outgoing, journey));
    let Some(result) = within(deadline.as_ref(), trying).await else {
        let text = "The request was not answered within the time that this server allows.";
        tracing::warn!(pool = &*pool.name, "no answer: {}", SendError::Overdue);
        app.metrics.upstream_failed.up();
        return Err(refusal(&SendError::Overdue, text));
    };
    let mut answer = result?;
    let ends = answer.status() != StatusCode::SWITCHING_PROTOCOLS && !is_endless(answer.headers());
    if let Streamed::Body(_, busy) = answer.body_mut() {
        busy.deadline = deadline.filter(|_| ends);
    }
    Ok(answer)
}

async fn try_servers(
    app: &App,
    route: &Route,
    pool: &Rc<ServerPool>,
    outgoing: Outgoing,
    journey: &mut Journey,
) -> Result<Answer, Refusal> {
    let Outgoing { mut request, meter, host_from_server, wish } = outgoing;
    pool.budget.earn();
    let mut tried = Vec::new();
    let mut last = None;
    loop {
        let mut waited = None;
        let place = pool.place(app, &wish, &tried, &mut waited).await;
        if let Some(waited) = waited {
            journey.queued(waited);
        }
        let busy = place.map_err(|why| last.take().unwrap_or_else(|| no_place(app, pool, why)))?;
        let index = busy.server();
        let Some(server) = pool.servers.get(index) else { return Err(no_place(app, pool, NoPlace::Nobody)) };
        if let (true, Some(host)) = (host_from_server, &server.host) {
            request.headers_mut().insert(header::HOST, host.clone());
        }
        journey.sent_to(&server.label, &meter);
        let Unanswered { error, request: again } = match server.slot.send_or_return(request).await {
            Ok(mut response) => {
                journey.connected(response.extensions());
                pool.answered(&app.metrics, index, response.status());
                if let Some((_, sticky)) = pool.sticky.as_ref().filter(|_| wish.prefer != Some(index)) {
                    sticky.tell(index, wish.tls, response.headers_mut());
                }
                return Ok(response.map(|body| Streamed::Body(body, busy)));
            }
            Err(unanswered) => unanswered,
        };
        drop(busy);
        pool.failed(&app.metrics, index, &error);
        tried.push(index);
        match again {
            Some(again) if may_go_on(app, pool, &error, tried.len()) => {
                app.metrics.retries.up();
                last = Some(refusal(&error, sentence(&error)));
                request = *again;
            }
            _ if meter.is_over() => return Err(too_large(app, route)),
            _ => return Err(failed(app, pool, server, &error)),
        }
    }
}

fn may_go_on(app: &App, pool: &ServerPool, error: &SendError, tried: usize) -> bool {
    let retries = &pool.config.retries;
    let most = usize::try_from(retries.max.unwrap_or(app.config.max_retries)).unwrap_or(usize::MAX);
    if tried > most || tried >= pool.servers.len() || !retry::is_wanted(retries, error) {
        return false;
    }
    let affordable = pool.budget.spend(pool.clock.now());
    if !affordable {
        app.metrics.retries_refused.up();
    }
    affordable
}

/// Server-sent events and gRPC streams last as long as somebody listens; what they owe is a sign of life (`body_idle_deadline`).
fn is_endless(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    let begins = |with: &[u8]| kind.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with));
    begins(b"text/event-stream") || begins(b"application/grpc")
}

fn failed(app: &App, pool: &ServerPool, server: &Server, error: &SendError) -> Refusal {
    if !matches!(error, SendError::Request(_)) {
        app.metrics.upstream_failed.up();
        tracing::warn!(pool = &*pool.name, server = &*server.label, "no answer: {error}");
    }
    refusal(error, sentence(error))
}

/// What a client gets whose body broke off before the request was sent.
pub fn unreadable(error: BodyError) -> Refusal {
    let error = SendError::Request(error.into());
    refusal(&error, sentence(&error))
}

/// What a client gets whose answer broke off before its first byte was sent.
pub fn broken(app: &App, error: &SendError) -> Refusal {
    app.metrics.upstream_failed.up();
    tracing::warn!("an answer broke off: {error}");
    refusal(error, sentence(error))
}

fn refusal(error: &SendError, text: &'static str) -> Refusal {
    Refusal {
        status: error.status(),
        reason: text.into(),
        rule: None,
        decision: error.label(),
        close: matches!(error, SendError::Request(_)),
    }
}

fn sentence(error: &SendError) -> &'static str {
    match error {
        SendError::Request(_) => "The body of the request could not be read to its end.",
        SendError::FirstByte | SendError::Stalled | SendError::Overdue => {
            "The server behind this proxy did not answer in time."
        }
        SendError::Dial(_) => "The server behind this proxy cannot be reached.",
        SendError::Closed(_) | SendError::Broken(_) => {
            "The server behind this proxy closed the connection before it had answered."
        }
        SendError::Protocol(_) => "The server behind this proxy did not answer with valid HTTP.",
    }
}

fn no_place(app: &App, pool: &ServerPool, why: NoPlace) -> Refusal {
    app.metrics.upstream_failed.up();
    let (reason, decision) = match why {
        NoPlace::Nobody => ("No server behind this proxy can be reached.", "no-server"),
        NoPlace::Shed => {
            ("This proxy has as many requests under way as it may; try again in a moment.", "max-requests")
        }
        NoPlace::QueueFull => ("The servers behind this proxy are busy; try again in a moment.", "queue-full"),
        NoPlace::TooLong => ("The servers behind this proxy were busy for too long; try again.", "queue-timeout"),
    };
    match why {
        NoPlace::Nobody => tracing::warn!(pool = &*pool.name, "no server left to try"),
        NoPlace::Shed => app.metrics.shed.up(),
        NoPlace::QueueFull => app.metrics.queue_full.up(),
        NoPlace::TooLong => app.metrics.queue_timeouts.up(),
    }
    let rule = (why == NoPlace::Shed).then(|| "max_requests".into());
    Refusal { status: StatusCode::SERVICE_UNAVAILABLE, reason: reason.into(), rule, decision, close: false }
}
