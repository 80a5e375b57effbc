//! The HTTP/2 connections of one endpoint. The oldest one with room is used, so that those which a busy moment made grow idle and are closed.
//! One dial at a time: those who wait for it share what it brings, its failure too.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use http::{Method, Request, Response};
use http_body::Body;
use tokio::sync::Mutex;

use super::super::body::ResponseBody;
use super::super::connection::Failed;
use super::super::error::{Cause, DialError};
use super::super::pool::{Active, Open, Slot, Unanswered, add, head_of, may_repeat};
use super::super::{Dialer, PoolLimits, RequestBody, SendError};
use super::H2Limits;
use super::exchange::{Deadlined, exchange};
use super::link::{Link, Seat};
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

    /// A place on a connection, and whether that served before.
    async fn seat<D: Dialer, B: RequestBody + Unpin>(
        &self,
        slot: &Slot<D, B>,
        h2: &H2Limits,
        avoid: Option<&Rc<Link>>,
    ) -> Result<(Seat, bool), SendError> {
        if let Some(seat) = self.free(h2, avoid) {
            return Ok((seat, true));
        }
        let seen = self.dials.get();
        let _turn = self.turn.lock().await;
        if let Some(seat) = self.free(h2, avoid) {
            return Ok((seat, true));
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
        let counters = &slot.shelf.counters;
        add(&counters.dialled);
        add(&counters.open);
        let (limits, clock) = (slot.shared.limits.get(), slot.shared.clock.clone());
        let link = Link::open(io, &limits, h2, clock, Open(Rc::clone(counters))).await?;
        let seat = Seat::take(&link);
        self.links.borrow_mut().push(link);
        Ok((seat, false))
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
            Ok(found) => found,
            Err(error) => return Err(Unanswered { error, request: (!second_try).then(|| Box::new(request)) }),
        };
        if reused {
            add(&counters.reused);
        }
        let link = Rc::clone(&seat.link);
        if is_extended_connect(&request) && !link.extended_connect().await {
            let error = SendError::Protocol(Cause::Found("it does not take WebSocket over HTTP/2 (RFC 8441)"));
            return Err(Unanswered { error, request: None });
        }
        let copy = (reused && !second_try && may_repeat(&request)).then(|| head_of(&request));
        let deadlined = Deadlined::new(&slot.shared);
        let (error, unsent) = match exchange(seat, slot.endpoint(), request, deadlined, h2.secure).await {
            Ok(response) => return Ok(response.map(ResponseBody::multiplexed)),
            Err(Failed::Unsent(unsent, error)) => (error, Some(unsent)),
            Err(Failed::Sent(error)) if copy.is_some() && connection_ended(&error) => {
                second_try = true;
                (error, copy.map(Box::new))
            }
            Err(Failed::Sent(error)) => return Err(Unanswered { error, request: None }),
        };
        let Some(unsent) = unsent else { return Err(Unanswered { error, request: None }) };
        if left == 0 {
            return Err(Unanswered { error, request: (!second_try).then_some(unsent) });
        }
        add(&counters.retried);
        (request, avoid) = (*unsent, Some(link));
    }
    let error = SendError::Closed(Cause::Found("no connection took the request"));
    Err(Unanswered { error, request: None })
}

/// The connection went away, not only this stream.
fn connection_ended(error: &SendError) -> bool {
    matches!(error, SendError::Closed(Cause::Http2(error)) if !error.is_reset())
}

fn is_extended_connect<B: Body>(request: &Request<B>) -> bool {
    *request.method() == Method::CONNECT
}
