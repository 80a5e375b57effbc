//! What goes back to the client: a backend's answer, streamed, or our own; [`plan`] is what is done to its header on the way.

pub mod accept_encoding;
pub mod compression;
pub mod encoder;
#[cfg(test)]
mod encoder_tests;
pub mod error_page;
pub mod plan;
pub mod security;

use std::borrow::Cow;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use common_http::answer::Answer as OwnAnswer;
use common_http::guarded::Exchange;
use common_http::headers::{Direction, Underscores, strip};
use common_http::upstream::{ResponseBody, SendError};
use http::header::{
    ACCEPT, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER,
};
use http::response::Parts;
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::app::App;
use super::grpc;
use super::journey::Journey;
use super::streams::{Event, note};
use super::unsent::{Piece, Unsent};
use super::upstream::body::ClientBody;
use super::upstream::pool::{Answer, Busy, Streamed};
use encoder::Compressed;
use error_page::{OF_THE_OLD_BODY, Story};
use plan::Plan;

/// Seconds after which a client may try again what nobody could serve (`Retry-After`, RFC 9110 §10.2.3).
const SOON: &str = "2";

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
    /// HTTP/2.
    unsent: Option<Rc<Unsent>>,
    _exchange: Exchange,
}

enum Source {
    Own(Option<Bytes>),
    Backend(Backend),
    Compressed(Box<Compressed<Backend>>),
}

/// A backend's body; the server counts as busy until its end, and it has to end in time.
struct Backend {
    body: Option<ResponseBody<ClientBody>>,
    busy: Busy,
}

impl Body for Backend {
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        match Pin::new(body).poll_frame(cx) {
            Poll::Pending if self.busy.is_overdue(cx) => {
                self.body = None;
                Poll::Ready(Some(Err(SendError::Overdue)))
            }
            polled => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// A backend's body on its way: as it is, or compressed.
fn through(app: &App, parts: &mut Parts, body: Backend, plan: &Plan<'_>) -> Source {
    let Some(own) = &app.compression else { return Source::Backend(body) };
    let Some(algorithm) = plan.coding(app, own, parts, body.size_hint().exact()) else { return Source::Backend(body) };
    app.metrics.compressed.up();
    let (places, read) = (&app.metrics.compressing, &app.metrics.compressed_from);
    Source::Compressed(Box::new(Compressed::new(body, algorithm, own, places, read)))
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
    journey.answered(answer.status(), answer.headers_mut());
    note(Event::Answered);
    if let Some(page) = journey.with_id(|id| intercept(app, &answer, plan, id)) {
        journey.answered_here("error-page");
        answer = page;
    }
    plan.apply(app, answer.headers_mut());
    journey.write_limits(answer.headers_mut());
    let (mut parts, mut streamed) = answer.into_parts();
    if let Streamed::Own(body) = &mut streamed {
        *body = own(&mut parts, std::mem::take(body), plan.head);
    }
    let source = match streamed {
        Streamed::Body(body, busy) => through(app, &mut parts, Backend { body: Some(body), busy }, plan),
        Streamed::Own(body) => Source::Own(Some(body)),
        // Both halves are joined elsewhere.
        Streamed::Switched => Source::Own(None),
    };
    Response::from_parts(parts, FilterBody::new(source, plan, exchange, journey))
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
    let mut response = journey.with_id(|id| said(app, &refusal, plan, id));
    journey.tell_client(response.headers_mut());
    if refusal.status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(SOON));
    }
    if let Some(location) = journey.sends_to() {
        response.headers_mut().insert(LOCATION, location);
    }
    plan.apply(app, response.headers_mut());
    journey.write_limits(response.headers_mut());
    let (mut parts, body) = response.into_parts();
    let source = Source::Own(Some(own(&mut parts, body, plan.head)));
    Response::from_parts(parts, FilterBody::new(source, plan, exchange, journey))
}

/// A refusal in words: a page of the configuration, or our own.
fn said(app: &App, refusal: &Refusal, plan: &mut Plan<'_>, request_id: Option<&str>) -> Response<Bytes> {
    let (status, rule) = (refusal.status, refusal.rule.as_deref());
    if let Some(page) = app.error_pages.find(status, &plan.host, plan.accept.as_ref(), false) {
        let mut response = Response::new(page.tell(&Story { status, reason: &refusal.reason, rule, request_id }));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, page.content_type.clone());
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if refusal.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        return response;
    }
    let mut answer = OwnAnswer::new(status, &refusal.reason);
    answer.rule = rule;
    answer.close = refusal.close;
    answer.request_id = request_id;
    let wants = plan.accept.take().map(|accept| HeaderMap::from_iter([(ACCEPT, accept)]));
    answer.respond(wants.as_ref())
}

/// The page that takes the place of a backend's error, with what its header says beside the body (`Retry-After`, `WWW-Authenticate`, …).
fn intercept(app: &App, answer: &Answer, plan: &Plan<'_>, request_id: Option<&str>) -> Option<Answer> {
    let status = answer.status();
    if app.error_pages.is_empty() || status.as_u16() < 400 || !matches!(answer.body(), Streamed::Body(..)) {
        return None;
    }
    let page = app.error_pages.find(status, &plan.host, plan.accept.as_ref(), true)?;
    app.metrics.error_pages.up();
    let reason = "The server behind this proxy answered with an error.";
    let mut own = Response::new(Streamed::Own(page.tell(&Story { status, reason, rule: None, request_id })));
    *own.status_mut() = status;
    own.headers_mut().clone_from(answer.headers());
    for name in OF_THE_OLD_BODY {
        own.headers_mut().remove(name);
    }
    own.headers_mut().insert(CONTENT_TYPE, page.content_type.clone());
    Some(own)
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

/// Answers a gRPC call here, in its own words.
pub fn refuse_call(
    app: &App,
    refusal: Refusal,
    plan: &mut Plan<'_>,
    exchange: Exchange,
    mut journey: Journey,
) -> Response<FilterBody> {
    journey.refused(&refusal);
    note(Event::Answered);
    let mut response = grpc::answer(&refusal);
    journey.tell_client(response.headers_mut());
    plan.apply(app, response.headers_mut());
    journey.write_limits(response.headers_mut());
    response.map(|()| FilterBody::new(Source::Own(None), plan, exchange, journey))
}

impl FilterBody {
    fn new(source: Source, plan: &mut Plan<'_>, exchange: Exchange, journey: Journey) -> Self {
        let mut body = Self { source, journey, unsent: plan.unsent.take(), _exchange: exchange };
        if body.is_end_stream() {
            body.journey.completed(); // nobody will ask for it
        }
        body
    }
}

impl Body for FilterBody {
    type Data = Piece;
    type Error = SendError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Piece>, SendError>>> {
        if self.unsent.as_ref().is_some_and(|unsent| !unsent.may_give(cx)) {
            note(Event::HeldBack);
            return Poll::Pending;
        }
        let this = &mut *self;
        let at_work = this.journey.at_work();
        let polled = match &mut this.source {
            Source::Own(body) => {
                Poll::Ready(body.take().filter(|bytes| !bytes.is_empty()).map(|bytes| Ok(Frame::data(bytes))))
            }
            Source::Backend(body) => Pin::new(body).poll_frame(cx),
            Source::Compressed(body) => Pin::new(&mut **body).poll_frame(cx),
        };
        drop(at_work);
        note(if polled.is_pending() { Event::BackendPending } else { Event::Gave });
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.journey.wrote(bytes);
                if self.is_end_stream() {
                    self.journey.completed();
                }
            }
            Poll::Ready(Some(Err(error))) => self.journey.broke(error),
            Poll::Ready(None) => self.journey.completed(),
            Poll::Pending => {}
        }
        let count = |bytes| match &self.unsent {
            Some(unsent) => unsent.piece(bytes),
            None => Piece::uncounted(bytes),
        };
        polled.map(|frame| frame.map(|frame| frame.map(|frame| frame.map_data(count))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own(body) => body.as_ref().is_none_or(Bytes::is_empty),
            Source::Backend(body) => body.is_end_stream(),
            Source::Compressed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own(body) => SizeHint::with_exact(body.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Source::Backend(body) => body.size_hint(),
            Source::Compressed(body) => body.size_hint(),
        }
    }
}
