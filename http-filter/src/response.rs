//! What goes back to the client: a backend's answer, streamed, or our own; [`plan`] is what is done to its header on the way.

pub mod plan;
pub mod security;

use std::borrow::Cow;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use common::net::balance::Pick;
use common_http::answer::Answer as OwnAnswer;
use common_http::guarded::Exchange;
use common_http::headers::{Direction, Underscores, strip};
use common_http::upstream::{ResponseBody, SendError};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::response::Parts;
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::app::App;
use super::journey::Journey;
use super::streams::{Event, note};
use super::upstream::body::ClientBody;
use super::upstream::pool::{Answer, Streamed};
use plan::Plan;

/// A request that is answered here.
#[derive(Debug)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// One sentence for the client: whose fault, what to do.
    pub reason: Cow<'static, str>,
    /// The rule or limit that decided.
    pub rule: Option<Box<str>>,
    /// One word for the log.
    pub decision: &'static str,
    /// Close the connection after the answer.
    pub close: bool,
}

impl Refusal {
    /// A request that has no single reading.
    pub fn malformed(status: StatusCode, reason: &'static str, decision: &'static str, close: bool) -> Self {
        Self { status, reason: reason.into(), rule: None, decision, close }
    }
}

/// The body of an answer, with what must live until its last byte is written.
pub struct FilterBody {
    source: Source,
    journey: Journey,
    _exchange: Exchange,
}

enum Source {
    Own(Option<Bytes>),
    Backend { body: ResponseBody<ClientBody>, _busy: Option<Pick> },
}

impl Source {
    /// A switched connection has no body: both halves are joined elsewhere.
    fn of(answer: Streamed) -> Self {
        match answer {
            Streamed::Body(body, pick) => Self::Backend { body, _busy: pick },
            Streamed::Switched => Self::Own(None),
            Streamed::Own(body) => Self::Own(Some(body)),
        }
    }
}

/// Passes a backend's answer on.
pub fn pass_on(
    app: &App,
    mut answer: Answer,
    plan: &mut Plan<'_>,
    exchange: Exchange,
    mut journey: Journey,
) -> Response<FilterBody> {
    let switching = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
    strip(answer.headers_mut(), Direction::Response, switching, Underscores::Keep);
    journey.answered(answer.status());
    note(Event::Answered);
    plan.apply(app, answer.headers_mut());
    journey.write_limits(answer.headers_mut());
    let (mut parts, mut streamed) = answer.into_parts();
    if let Streamed::Own(body) = &mut streamed {
        *body = own(&mut parts, std::mem::take(body), plan.head);
    }
    Response::from_parts(parts, FilterBody { source: Source::of(streamed), journey, _exchange: exchange })
}

/// Answers a request here.
pub fn refuse(
    app: &App,
    refusal: Refusal,
    plan: &mut Plan<'_>,
    exchange: Exchange,
    mut journey: Journey,
) -> Response<FilterBody> {
    journey.refused(&refusal);
    note(Event::Answered);
    let mut answer = OwnAnswer::new(refusal.status, &refusal.reason);
    answer.rule = refusal.rule.as_deref();
    answer.close = refusal.close;
    let wants = plan.accept.take().map(|accept| HeaderMap::from_iter([(ACCEPT, accept)]));
    let mut response = answer.respond(wants.as_ref());
    plan.apply(app, response.headers_mut());
    journey.write_limits(response.headers_mut());
    let (mut parts, body) = response.into_parts();
    let source = Source::Own(Some(own(&mut parts, body, plan.head)));
    Response::from_parts(parts, FilterBody { source, journey, _exchange: exchange })
}

/// An answer of our own as its request and its status want it (RFC 9110 §8.6, §9.3.2, §15.3.5, §15.4.5): HEAD is told the length and gets no
/// body, 204 and 304 have neither.
fn own(parts: &mut Parts, body: Bytes, head: bool) -> Bytes {
    if matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        parts.headers.remove(CONTENT_TYPE);
        return Bytes::new();
    }
    if !head {
        return body;
    }
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    Bytes::new()
}

impl Body for FilterBody {
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        let polled = match &mut self.source {
            Source::Own(body) => {
                Poll::Ready(body.take().filter(|bytes| !bytes.is_empty()).map(|bytes| Ok(Frame::data(bytes))))
            }
            Source::Backend { body, .. } => Pin::new(body).poll_frame(cx),
        };
        note(if polled.is_pending() { Event::BackendPending } else { Event::Gave });
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.journey.wrote(bytes);
            }
            Poll::Ready(Some(Err(error))) => self.journey.broke(error),
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own(body) => body.as_ref().is_none_or(Bytes::is_empty),
            Source::Backend { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own(body) => SizeHint::with_exact(body.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Source::Backend { body, .. } => body.size_hint(),
        }
    }
}
