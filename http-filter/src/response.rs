//! What goes back to the client: a backend's answer, streamed, or our own.

use std::borrow::Cow;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use common_http::answer::Answer as OwnAnswer;
use common_http::guarded::Exchange;
use common_http::headers::{Direction, Underscores, strip};
use common_http::upstream::{ResponseBody, SendError};
use http::header::{ACCEPT, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::grpc;
use super::journey::Journey;
use super::streams::{Event, note};
use super::upstream::body::ClientBody;
use super::upstream::pool::{Answer, Busy, Streamed};

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
    _exchange: Exchange,
}

enum Source {
    Own(Option<Bytes>),
    Backend { body: ResponseBody<ClientBody>, busy: Busy },
}

impl Source {
    /// A switched connection has no body: both halves are joined elsewhere.
    fn of(answer: Streamed) -> Self {
        match answer {
            Streamed::Body(body, busy) => Self::Backend { body, busy },
            Streamed::Switched => Self::Own(None),
        }
    }
}

/// Passes a backend's answer on.
pub fn pass_on(answer: Answer, exchange: Exchange, mut journey: Journey) -> Response<FilterBody> {
    let switching = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
    let mut answer = answer;
    strip(answer.headers_mut(), Direction::Response, switching, Underscores::Keep);
    journey.answered(answer.status(), answer.headers_mut());
    note(Event::Answered);
    journey.write_limits(answer.headers_mut());
    answer.map(|body| FilterBody::new(Source::of(body), exchange, journey))
}

/// Answers a request here.
pub fn refuse(
    refusal: Refusal,
    accept: Option<&HeaderValue>,
    exchange: Exchange,
    mut journey: Journey,
) -> Response<FilterBody> {
    journey.refused(&refusal);
    note(Event::Answered);
    let mut answer = OwnAnswer::new(refusal.status, &refusal.reason);
    answer.rule = refusal.rule.as_deref();
    answer.close = refusal.close;
    let wants = accept.map(|accept| HeaderMap::from_iter([(ACCEPT, accept.clone())]));
    let mut response = journey.tell(|id| OwnAnswer { request_id: id, ..answer }.respond(wants.as_ref()));
    if refusal.status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(SOON));
    }
    journey.write_limits(response.headers_mut());
    response.map(|body| FilterBody::new(Source::Own(Some(body)), exchange, journey))
}

impl FilterBody {
    fn new(source: Source, exchange: Exchange, journey: Journey) -> Self {
        let mut body = Self { source, journey, _exchange: exchange };
        if body.is_end_stream() {
            body.journey.completed(); // nobody will ask for it
        }
        body
    }
}

/// Answers a gRPC call here, in its own words.
pub fn refuse_call(refusal: Refusal, exchange: Exchange, mut journey: Journey) -> Response<FilterBody> {
    journey.refused(&refusal);
    note(Event::Answered);
    let mut response = grpc::answer(&refusal);
    journey.write_limits(response.headers_mut());
    response.map(|()| FilterBody { source: Source::Own(None), journey, _exchange: exchange })
}

impl Body for FilterBody {
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        let polled = match &mut self.source {
            Source::Own(body) => Poll::Ready(body.take().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Backend { body, busy } => match Pin::new(body).poll_frame(cx) {
                Poll::Pending if busy.is_overdue(cx) => {
                    self.source = Source::Own(None);
                    Poll::Ready(Some(Err(SendError::Overdue)))
                }
                polled => polled,
            },
        };
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
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own(body) => body.is_none(),
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
