//! One request on one stream, up to the head of its answer.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use h2::Reason;
use h2::client::ResponseFuture;
use http::header::{self, HeaderMap};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Response, StatusCode, Uri, Version};

use super::super::error::SendError;
use super::super::pool::Shared;
use super::super::watched::Watched;
use super::super::{Endpoint, PoolLimits, RequestBody};
use super::download::Download;
use super::link::Seat;
use super::upload::{Upload, Uploaded};
use crate::guarded::millis;

/// Interim answers (1xx) that a backend may send before the one that counts.
const INTERIM: usize = 16;

/// A request that failed, and the request itself if the backend has not looked at it.
pub(super) struct Failed<B> {
    pub(super) error: SendError,
    pub(super) unsent: Option<Request<B>>,
}

/// The deadlines of one stream, kept by the pool's sweep.
pub(super) struct Deadlined {
    pub(super) watched: Rc<Watched>,
    pub(super) limits: PoolLimits,
    pub(super) now: u64,
}

impl Deadlined {
    pub(super) fn new<D>(shared: &Shared<D>) -> Self {
        let watched = Rc::new(Watched::new(shared.clock.clone()));
        shared.watched.borrow_mut().push(Rc::clone(&watched));
        Deadlined { watched, limits: shared.limits.get(), now: shared.clock.now() }
    }
}

/// Sends a request. After an error its stream is reset, unless the backend ended it.
pub(super) async fn exchange<B: RequestBody + Unpin>(
    seat: Seat,
    endpoint: &Endpoint,
    request: Request<B>,
    deadlined: Deadlined,
    secure: bool,
) -> Result<Response<Download>, Failed<B>>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, body) = request.into_parts();
    let Some(head) = head(&parts, endpoint, secure) else {
        return Err(Failed {
            error: SendError::Request("its target cannot be written in HTTP/2".into()),
            unsent: None,
        });
    };
    let tunnel = parts.method == Method::CONNECT;
    let empty = !tunnel && body.is_end_stream();
    let (response, stream) = match seat.link.sender().send_request(head, empty) {
        Ok(opened) => opened,
        Err(error) => {
            seat.link.retire();
            return Err(Failed { error: SendError::from_h2(error), unsent: Some(Request::from_parts(parts, body)) });
        }
    };
    let mut upload = Upload::new(body, stream, Rc::clone(&deadlined.watched), empty || tunnel);
    deadlined.watched.start(millis(deadlined.limits.first_byte));
    let outcome = answer(response, &mut upload, &deadlined).await.and_then(acceptable);
    match outcome {
        Ok(response) => Ok(receive(response, seat, upload, deadlined, &parts.method)),
        Err(error) => {
            let untouched = refused(&error) && !upload.begun;
            note(&error, &seat, &deadlined);
            if let SendError::Protocol(_) = error {
                upload.stream.send_reset(Reason::PROTOCOL_ERROR);
            }
            let unsent = untouched.then(|| Request::from_parts(parts, upload.into_body()));
            Err(Failed { error, unsent })
        }
    }
}

/// The connection is of no more use, or may be so.
fn note(error: &SendError, seat: &Seat, deadlined: &Deadlined) {
    let retire = match error {
        SendError::Broken(error) => !error.is_reset(),
        SendError::FirstByte => seat.link.is_silent_since(deadlined.now),
        _ => false,
    };
    if retire {
        seat.link.retire();
    }
}

/// The backend says that it has not looked at the request (RFC 9113 §8.7): a refused stream, or one above the last one that a GOAWAY names.
fn refused(error: &SendError) -> bool {
    let SendError::Broken(error) = error else { return false };
    error.is_remote()
        && match error.reason() {
            Some(Reason::REFUSED_STREAM) => error.is_reset(),
            Some(Reason::NO_ERROR) => error.is_go_away(),
            _ => false,
        }
}

/// The head in the words of HTTP/2. `None`: the target cannot be written.
fn head(parts: &Parts, endpoint: &Endpoint, secure: bool) -> Option<Request<()>> {
    let host = parts.headers.get(header::HOST).filter(|host| !host.is_empty());
    let authority = match host {
        Some(host) => Authority::try_from(host.as_bytes()).ok()?,
        None => Authority::try_from(endpoint.to_string()).ok()?,
    };
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(if secure { Scheme::HTTPS } else { Scheme::HTTP });
    uri.authority = Some(authority);
    uri.path_and_query = Some(parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
    let mut head = Request::new(());
    *head.method_mut() = parts.method.clone();
    *head.uri_mut() = Uri::from_parts(uri).ok()?;
    *head.version_mut() = Version::HTTP_2;
    head.headers_mut().clone_from(&parts.headers);
    head.headers_mut().remove(header::HOST);
    if parts.method == Method::CONNECT {
        head.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
    }
    Some(head)
}

/// Sends the body and waits for the head of the answer, whichever comes first.
async fn answer<B: RequestBody + Unpin>(
    response: ResponseFuture,
    upload: &mut Upload<B>,
    deadlined: &Deadlined,
) -> Result<Response<h2::RecvStream>, SendError>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut response = pin!(response);
    let mut interim = 0;
    poll_fn(|cx| {
        loop {
            match response.as_mut().get_mut().poll_informational(cx) {
                Poll::Ready(Some(Ok(head))) => {
                    interim += 1;
                    if interim > INTERIM || head.status() == StatusCode::SWITCHING_PROTOCOLS {
                        return Poll::Ready(Err(SendError::Protocol(
                            "it sent too many or wrong interim answers (1xx)",
                        )));
                    }
                    continue;
                }
                Poll::Ready(_) | Poll::Pending => {}
            }
            if let Poll::Ready(answer) = response.as_mut().poll(cx) {
                return Poll::Ready(answer.map_err(SendError::from_h2));
            }
            return match Pin::new(&mut *upload).poll(cx) {
                Poll::Ready(Uploaded::ClientFailed(error)) => Poll::Ready(Err(SendError::Request(error))),
                // Its reason comes with the answer.
                Poll::Ready(Uploaded::Sent | Uploaded::Unwanted) | Poll::Pending if deadlined.watched.expired() => {
                    Poll::Ready(Err(SendError::FirstByte))
                }
                Poll::Ready(Uploaded::Sent | Uploaded::Unwanted) | Poll::Pending => {
                    deadlined.watched.wakes(cx.waker());
                    Poll::Pending
                }
            };
        }
    })
    .await
}

/// What h2 lets through and would have two readings further on.
fn acceptable(response: Response<h2::RecvStream>) -> Result<Response<h2::RecvStream>, SendError> {
    let mut lengths = response.headers().get_all(header::CONTENT_LENGTH).iter();
    if let (Some(_), Some(_)) = (lengths.next(), lengths.next()) {
        return Err(SendError::Protocol("it has two Content-Length fields"));
    }
    Ok(response)
}

fn receive<B: RequestBody + Unpin>(
    response: Response<h2::RecvStream>,
    seat: Seat,
    upload: Upload<B>,
    deadlined: Deadlined,
    method: &Method,
) -> Response<Download>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut parts, incoming) = response.into_parts();
    parts.version = Version::HTTP_11;
    let switched = *method == Method::CONNECT && parts.status.is_success();
    let bodiless = matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let length = if *method == Method::HEAD || bodiless { Some(0) } else { length(&parts.headers) };
    let limits = deadlined.limits;
    let idle = if upload.is_over() { limits.body_idle } else { limits.both_ways.max(limits.body_idle) };
    deadlined.watched.start(if switched { 0 } else { millis(idle) });
    Response::from_parts(parts, Download::new(incoming, seat, upload.go_on(switched), deadlined, length, switched))
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
