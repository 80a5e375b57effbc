//! The HTTP/2 connections of one endpoint. The oldest one with room is used, so that those which a busy moment made grow idle and are closed.
//! One dial at a time: those who wait for it share what it brings, its failure too.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use http::{Method, Request, Response};
use tokio::sync::Mutex;

use super::super::body::ResponseBody;
use super::super::error::DialError;
use super::super::pool::{Active, Open, Slot, Unanswered, add, may_repeat, unanswered};
use super::super::{Dialer, PoolLimits, RequestBody, SendError};
use super::exchange::{Deadlined, Failed, exchange};
use super::link::{Link, Seat};
use super::{Download, H2Limits};
use crate::guarded::millis;

/// How often a request is sent that no connection wants.
const TRIES: usize = 3;

/// See the module's words.
#[derive(Default)]
pub(in super::super) struct Fleet {
    links: RefCell<Vec<Rc<Link>>>,
    turn: Mutex<()>,
    dials: Cell<u64>,
    failed: RefCell<Option<DialError>>,
}

impl Fleet {
    /// Enforces age, idleness and liveness.
    pub(in super::super) fn sweep(&self, now: u64, limits: &PoolLimits, h2: &H2Limits) {
        let mut idle = 0usize;
        self.links.borrow_mut().retain(|link| {
            link.sweep(now, h2);
            if now.saturating_sub(link.born) >= millis(limits.age) || link.served.get() >= limits.requests {
                link.retire();
            }
            if link.is_closed() || !link.is_idle() {
                return !link.is_closed();
            }
            idle = idle.saturating_add(1);
            idle <= limits.idle_per_endpoint && now.saturating_sub(link.idle_since.get()) < millis(limits.idle)
        });
    }

    /// Connections without a request.
    pub(in super::super) fn idle(&self) -> usize {
        self.links.borrow().iter().filter(|link| link.is_idle()).count()
    }

    /// No new requests on the connections of now; they end with their present requests.
    pub(in super::super) fn retire(&self) {
        self.links.borrow_mut().drain(..).for_each(|link| link.retire());
    }

    fn free(&self, h2: &H2Limits, avoid: Option<&Rc<Link>>) -> Option<Seat> {
        let links = self.links.borrow();
        let fits = |link: &&Rc<Link>| link.has_room(h2.streams) && !avoid.is_some_and(|avoid| Rc::ptr_eq(avoid, link));
        links.iter().find(fits).map(Seat::take)
    }

    /// A place on a connection, and whether that served before. `None`: the backend chose HTTP/1.1, and the connection waits on the shelf.
    async fn seat<D: Dialer, B: RequestBody + Unpin>(
        &self,
        slot: &Slot<D, B>,
        h2: &H2Limits,
        avoid: Option<&Rc<Link>>,
    ) -> Result<Option<(Seat, bool)>, SendError>
    where
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if let Some(seat) = self.free(h2, avoid) {
            return Ok(Some((seat, true)));
        }
        let seen = self.dials.get();
        let _turn = self.turn.lock().await;
        if let Some(seat) = self.free(h2, avoid) {
            return Ok(Some((seat, true)));
        }
        if slot.speaks_http1(h2) {
            return Ok(None);
        }
        if self.dials.get() != seen
            && let Some(error) = &*self.failed.borrow()
        {
            return Err(SendError::Dial(error.clone()));
        }
        let dialled = dial(slot).await;
        self.dials.set(self.dials.get().wrapping_add(1));
        *self.failed.borrow_mut() = dialled.as_ref().err().cloned();
        let io = dialled.map_err(SendError::Dial)?;
        if h2.or_http1 && !D::chose_h2(&io) {
            slot.shelve(io);
            return Ok(None);
        }
        let counters = &slot.shelf.counters;
        add(&counters.dialled);
        add(&counters.open);
        let (limits, clock) = (slot.shared.limits.get(), slot.shared.clock.clone());
        let link = Link::open(io, &limits, h2, clock, Open(Rc::clone(counters))).await?;
        let seat = Seat::take(&link);
        self.links.borrow_mut().push(link);
        Ok(Some((seat, false)))
    }
}

async fn dial<D: Dialer, B: RequestBody + Unpin>(slot: &Slot<D, B>) -> Result<D::Io, DialError> {
    let connect = slot.shared.limits.get().connect;
    let deadline = Instant::now().checked_add(connect).unwrap_or_else(Instant::now);
    slot.shared.dialer.dial(&slot.endpoint, deadline).await
}

/// Sends a request over one of the slot's connections. One that the backend has not looked at is sent again on another connection, one that it
/// may have looked at only if that is safe and the connection had served before.
pub(in super::super) async fn send<D: Dialer, B: RequestBody + Unpin>(
    slot: &Slot<D, B>,
    h2: &H2Limits,
    request: Request<B>,
) -> Result<Response<ResponseBody<B>>, Unanswered<B>>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let counters = &slot.shelf.counters;
    let _active = Active::new(counters);
    let (mut request, mut avoid, mut second_try) = (request, None, false);
    for left in (0..TRIES).rev() {
        let (seat, reused) = match slot.fleet.seat(slot, h2, avoid.as_ref()).await {
            Ok(Some(found)) => found,
            Ok(None) => {
                let error = SendError::Dial(DialError::Tls("the server does not speak HTTP/2 (by ALPN)".to_owned()));
                return Err(unanswered(error, Some(request.into_parts())));
            }
            Err(error) => return Err(unanswered(error, Some(request.into_parts()))),
        };
        if reused {
            add(&counters.reused);
        }
        let link = Rc::clone(&seat.link);
        if *request.method() == Method::CONNECT && !link.extended_connect().await {
            return Err(unanswered(SendError::Protocol("it does not take WebSocket over HTTP/2 (RFC 8441)"), None));
        }
        let copy = copy_of(&request);
        let deadlined = Deadlined::new(&slot.shared);
        let (error, unsent) = match exchange(seat, slot.endpoint(), request, deadlined, h2.secure).await {
            Ok(response) => return answered(response).await,
            Err(Failed { error, unsent: Some(unsent) }) => (error, unsent),
            Err(Failed { error, unsent: None }) => match copy {
                Some(copy) if connection_ended(&error) && reused && !second_try => {
                    second_try = true;
                    (error, copy)
                }
                Some(copy) if connection_ended(&error) || matches!(error, SendError::FirstByte) => {
                    return Err(unanswered(error, Some(copy.into_parts())));
                }
                _ => return Err(unanswered(error, None)),
            },
        };
        if left == 0 {
            return Err(unanswered(error, Some(unsent.into_parts())));
        }
        add(&counters.retried);
        (request, avoid) = (unsent, Some(link));
    }
    Err(unanswered(SendError::Closed("no connection took the request".to_owned()), None))
}

/// An answer that breaks off at once is known before anybody is told that there is one.
async fn answered<B: RequestBody + Unpin>(
    response: Response<Download>,
) -> Result<Response<ResponseBody<B>>, Unanswered<B>>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, download) = response.into_parts();
    let tunnel = download.is_tunnel();
    let mut body = ResponseBody::multiplexed(download);
    if !tunnel {
        let ahead = std::future::poll_fn(|cx| Poll::Ready(body.look_ahead(cx))).await;
        ahead.map_err(|error| unanswered(error, None))?;
    }
    Ok(Response::from_parts(parts, body))
}

/// What a request without body is sent with a second time, if that is safe.
fn copy_of<B: RequestBody>(request: &Request<B>) -> Option<Request<B>> {
    let mut copy = Request::new(());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    copy.headers_mut().clone_from(request.headers());
    let (parts, ()) = copy.into_parts();
    may_repeat(&parts, request.body()).then(|| Request::from_parts(parts, B::empty()))
}

/// The connection went away, not only this stream.
fn connection_ended(error: &SendError) -> bool {
    matches!(error, SendError::Broken(error) if !error.is_reset())
}
