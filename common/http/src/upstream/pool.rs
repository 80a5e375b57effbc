//! Connections to use again, per endpoint, and the one sweep that keeps all their deadlines.
//!
//! The hottest connection is used first (last in, first out), so that those nobody needs grow old and are closed. A request that
//! meets a connection which the backend has just closed is sent again: always when not a byte of it was written, and otherwise once, on a fresh
//! connection, when it is idempotent and has no body (RFC 9110 §9.2.2). It must never be sent twice in any other case.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::header::{TE, UPGRADE};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;

use super::body::{Lease, ResponseBody};
use super::error::SendError;
use super::h1::{Connection, Failed};
use super::h2::{self, Fleet, H2Limits};
use super::watched::Watched;
use super::{Dialer, Endpoint, RequestBody};
use crate::guarded::{Clock, millis};

/// Limits of a pool; the deadlines have the resolution of the sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// Idle connections kept per endpoint.
    pub idle_per_endpoint: usize,
    /// How long an idle connection is kept. Keep it below what backends do (nginx 75 s, many applications 5 s).
    pub idle: Duration,
    /// Oldest age of a connection that is used again.
    pub age: Duration,
    /// Requests per connection.
    pub requests: u64,
    /// To connect.
    pub connect: Duration,
    /// From sending (or the last byte of the request's body that went out) to the head of the answer.
    pub first_byte: Duration,
    /// Between two pieces of the answer's body, while we want it.
    pub body_idle: Duration,
    /// The same for an HTTP/2 stream whose request is still being sent: calls that stream both ways may be quiet for long.
    pub both_ways: Duration,
    /// Bytes of an answer's head.
    pub response_head: usize,
    /// HTTP/2 instead of HTTP/1.1.
    pub h2: Option<H2Limits>,
    /// Endpoints remembered; those without connections are forgotten first.
    pub endpoints: usize,
}

impl Default for PoolLimits {
    fn default() -> Self {
        PoolLimits {
            idle_per_endpoint: 128,
            idle: Duration::from_secs(30),
            age: Duration::from_secs(3600),
            requests: 1_000_000,
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(60),
            body_idle: Duration::from_secs(60),
            both_ways: Duration::from_secs(600),
            response_head: 64 * 1024,
            h2: None,
            endpoints: 4096,
        }
    }
}

/// For how long (milliseconds) a backend that chose HTTP/1.1 is not asked again.
const HTTP1_KNOWN: u64 = 60_000;

/// Extension of an answer on a fresh connection: how long it took to connect. Absent where the connection was used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DialTime(pub Duration);

/// What happened at one endpoint.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections that exist now (in use or idle).
    pub open: Cell<u64>,
    /// Requests being answered now.
    pub active: Cell<u64>,
    /// Connections made.
    pub dialled: Cell<u64>,
    /// Requests sent on a used connection.
    pub reused: Cell<u64>,
    /// Requests sent a second time.
    pub retried: Cell<u64>,
}

pub(super) fn add(counter: &Cell<u64>) {
    counter.set(counter.get().saturating_add(1));
}

fn subtract(counter: &Cell<u64>) {
    counter.set(counter.get().saturating_sub(1));
}

/// Counts one connection as open while it lives.
pub(super) struct Open(pub(super) Rc<Counters>);

impl Drop for Open {
    fn drop(&mut self) {
        subtract(&self.0.open);
    }
}

/// The idle connections of one endpoint.
pub(super) struct Shelf<B: RequestBody + Unpin> {
    limits: Cell<PoolLimits>,
    clock: Clock,
    pub(super) counters: Rc<Counters>,
    /// Boxed once: a connection moves between here and its users for every request.
    #[allow(clippy::vec_box)]
    idle: RefCell<Vec<Box<Connection<B>>>>,
}

impl<B: RequestBody + Unpin> Shelf<B>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// A connection whose answer is complete: kept if it can serve again, else closed.
    pub(super) fn give_back(&self, mut connection: Box<Connection<B>>) {
        let limits = self.limits.get();
        let now = self.clock.now();
        connection.served = connection.served.saturating_add(1);
        connection.idle_since = now;
        let mut idle = self.idle.borrow_mut();
        connection.rest();
        if connection.is_fresh()
            && !connection.watched.expired()
            && connection.served < limits.requests
            && now.saturating_sub(connection.born) < millis(limits.age)
            && idle.len() < limits.idle_per_endpoint
        {
            idle.push(connection);
        }
    }

    fn take(&self) -> Option<Box<Connection<B>>> {
        loop {
            let mut connection = self.idle.borrow_mut().pop()?;
            if connection.is_fresh() {
                return Some(connection);
            }
        }
    }

    fn sweep(&self, now: u64) {
        let limits = self.limits.get();
        self.idle.borrow_mut().retain_mut(|connection| {
            connection.is_fresh() // not closed meanwhile by the backend
                && now.saturating_sub(connection.idle_since) < millis(limits.idle)
                && now.saturating_sub(connection.born) < millis(limits.age)
        });
    }
}

pub(super) struct Shared<D> {
    pub(super) dialer: D,
    pub(super) clock: Clock,
    pub(super) limits: Cell<PoolLimits>,
    pub(super) watched: RefCell<Vec<Rc<Watched>>>,
}

/// All backends of a process.
pub struct Pool<D: Dialer, B: RequestBody + Unpin> {
    shared: Rc<Shared<D>>,
    slots: RefCell<HashMap<Endpoint, Rc<Slot<D, B>>>>,
}

/// A request that got no answer, and the request itself if it may be sent elsewhere.
pub struct Unanswered<B> {
    /// Why.
    pub error: SendError,
    /// Present when not a byte of it was sent, and also when it was, but may be repeated and nothing of an answer came.
    pub request: Option<Box<Request<B>>>,
}

/// One backend. Keep it where the endpoint is fixed: finding it costs a look-up.
pub struct Slot<D: Dialer, B: RequestBody + Unpin> {
    pub(super) endpoint: Endpoint,
    pub(super) shared: Rc<Shared<D>>,
    pub(super) shelf: Rc<Shelf<B>>,
    /// HTTP/2 connections, where those are spoken.
    pub(super) fleet: Fleet,
    /// Clock moment until which it is known that the backend chooses HTTP/1.1.
    http1_until: Cell<u64>,
}

impl<D: Dialer, B: RequestBody + Unpin> Pool<D, B>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// A pool that connects through `dialer`; `clock` must be moved on by the task that calls [`Pool::sweep`].
    pub fn new(dialer: D, limits: PoolLimits, clock: Clock) -> Self {
        let shared = Shared { dialer, clock, limits: Cell::new(limits), watched: RefCell::new(Vec::new()) };
        Pool { shared: Rc::new(shared), slots: RefCell::new(HashMap::new()) }
    }

    /// The slot of an endpoint.
    pub fn slot(&self, endpoint: &Endpoint) -> Rc<Slot<D, B>> {
        if let Some(slot) = self.slots.borrow().get(endpoint) {
            return Rc::clone(slot);
        }
        let limits = self.shared.limits.get();
        let shelf = Shelf {
            limits: Cell::new(limits),
            clock: self.shared.clock.clone(),
            counters: Rc::default(),
            idle: RefCell::new(Vec::new()),
        };
        let (shared, shelf) = (Rc::clone(&self.shared), Rc::new(shelf));
        let slot = Rc::new(Slot {
            endpoint: endpoint.clone(),
            shared,
            shelf,
            fleet: Fleet::default(),
            http1_until: Cell::new(0),
        });
        let mut slots = self.slots.borrow_mut();
        if slots.len() >= limits.endpoints {
            // Whoever fills this table with names must not make it grow: what is unused goes, else the new one is not remembered.
            slots.retain(|_, slot| slot.is_used());
        }
        if slots.len() < limits.endpoints {
            slots.insert(endpoint.clone(), Rc::clone(&slot));
        }
        slot
    }

    /// New limits for all that happens from now on (reload).
    pub fn set_limits(&self, limits: PoolLimits) {
        self.shared.limits.set(limits);
        for slot in self.slots.borrow().values() {
            slot.shelf.limits.set(limits);
        }
    }

    /// Looks at every connection once: cuts off those that are silent for too long, closes idle ones that are old or closed by their
    /// backend, forgets unused endpoints. Call it every [`crate::guarded::SWEEP_INTERVAL`]. Returns how many requests ran out of time.
    pub fn sweep(&self) -> usize {
        let now = self.shared.clock.now();
        let mut expired = 0;
        self.shared.watched.borrow_mut().retain(|watched| {
            if Rc::strong_count(watched) == 1 {
                return false;
            }
            expired += usize::from(watched.sweep(now));
            true
        });
        self.slots.borrow_mut().retain(|_, slot| {
            slot.shelf.sweep(now);
            let limits = self.shared.limits.get();
            if let Some(h2) = &limits.h2 {
                slot.fleet.sweep(now, &limits, h2);
            }
            slot.is_used()
        });
        expired
    }

    /// The dialler.
    pub fn dialer(&self) -> &D {
        &self.shared.dialer
    }
}

impl<D: Dialer, B: RequestBody + Unpin> Slot<D, B>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Where this is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What happened here.
    pub fn counters(&self) -> &Counters {
        &self.shelf.counters
    }

    /// Idle connections now.
    pub fn idle(&self) -> usize {
        self.shelf.idle.borrow().len().saturating_add(self.fleet.idle())
    }

    /// Closes all idle connections (the backend is being drained, or its address changed).
    pub fn close_idle(&self) {
        self.shelf.idle.borrow_mut().clear();
        self.fleet.retire();
    }

    /// Somebody holds it (for a request or as part of the configuration), or it has connections.
    fn is_used(self: &Rc<Self>) -> bool {
        Rc::strong_count(self) > 1 || self.shelf.counters.open.get() > 0
    }

    /// Sends `request` (origin-form target and `Host` already set) and waits for the head of the answer.
    /// Dropping the future, or later the body, closes the connection.
    ///
    /// # Errors
    /// No answer came; see [`SendError`]. After an error nothing of the request is kept.
    pub async fn send(&self, request: Request<B>) -> Result<Response<ResponseBody<B>>, SendError> {
        self.send_or_return(request).await.map_err(|unanswered| unanswered.error)
    }

    /// Like [`Slot::send`], but a request that may be sent elsewhere comes back with the error.
    ///
    /// # Errors
    /// See [`Unanswered`].
    pub async fn send_or_return(&self, request: Request<B>) -> Result<Response<ResponseBody<B>>, Unanswered<B>> {
        let mut request = request;
        if let Some(h2) = &self.shared.limits.get().h2 {
            if !(self.speaks_http1(h2) || h2.or_http1 && request.headers().contains_key(UPGRADE)) {
                // Boxed, as dialling is below: what is seldom or large must not be room that every request carries about.
                match Box::pin(h2::send(self, h2, request)).await {
                    Err(Unanswered { request: Some(again), .. }) if self.speaks_http1(h2) => request = *again,
                    answered => return answered,
                }
            }
            request.headers_mut().remove(TE); // in HTTP/1.1 it belongs to one hop
        }
        let _active = Active::new(&self.shelf.counters);
        let (parts, mut body) = request.into_parts();
        let repeatable = may_repeat(&parts, &body);
        let mut second_try = false;
        loop {
            let used = if second_try { None } else { self.shelf.take() };
            let reused = used.is_some();
            let mut dialled = None;
            let mut connection = match used {
                Some(connection) => connection,
                None => match Box::pin(self.connect()).await {
                    Ok((connection, time)) => {
                        dialled = Some(time);
                        connection
                    }
                    Err(error) => return Err(unanswered(error, Some((parts, body)))),
                },
            };
            if reused {
                add(&self.shelf.counters.reused);
            }
            connection.watched.start(millis(self.shared.limits.get().first_byte));
            match connection.exchange(&parts, body).await {
                Ok(response) => {
                    let mut answer =
                        self.receive(response, connection).await.map_err(|error| unanswered(error, None))?;
                    if let Some(time) = dialled {
                        answer.extensions_mut().insert(time);
                    }
                    return Ok(answer);
                }
                // The idle list is finite and each turn takes one from it, so this ends.
                Err(Failed { unsent: Some(unsent), .. }) if reused => body = unsent,
                Err(Failed { error, unsent: Some(unsent) }) => return Err(unanswered(error, Some((parts, unsent)))),
                Err(Failed { error: SendError::Closed(_), .. }) if reused && repeatable => {
                    add(&self.shelf.counters.retried);
                    second_try = true;
                    body = B::empty();
                }
                Err(Failed { error, .. }) => {
                    let nothing_came = matches!(error, SendError::Closed(_) | SendError::FirstByte);
                    let again = repeatable && nothing_came;
                    return Err(unanswered(error, again.then(|| (parts, B::empty()))));
                }
            }
        }
    }

    async fn receive(
        &self,
        response: Response<()>,
        connection: Box<Connection<B>>,
    ) -> Result<Response<ResponseBody<B>>, SendError> {
        let lease = Lease { connection, shelf: Rc::clone(&self.shelf) };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            lease.connection.watched.stop();
            return Ok(response.map(|()| ResponseBody::switching(lease)));
        }
        lease.connection.watched.start(millis(self.shared.limits.get().body_idle));
        let mut body = ResponseBody::new(lease);
        std::future::poll_fn(|cx| Poll::Ready(body.look_ahead(cx))).await?;
        Ok(response.map(|()| body))
    }

    /// The backend could choose HTTP/2 and did not, a moment ago.
    pub(super) fn speaks_http1(&self, h2: &H2Limits) -> bool {
        h2.or_http1 && self.shared.clock.now() < self.http1_until.get()
    }

    /// A fresh connection on which the backend chose HTTP/1.1: the next request takes it, and for a while nobody asks again.
    pub(super) fn shelve(&self, io: D::Io) {
        self.http1_until.set(self.shared.clock.now().saturating_add(HTTP1_KNOWN));
        let connection = Box::new(self.opened(io));
        self.shelf.idle.borrow_mut().push(connection);
    }

    async fn connect(&self) -> Result<(Box<Connection<B>>, DialTime), SendError> {
        let began = Instant::now();
        let limits = self.shared.limits.get();
        let deadline = Instant::now().checked_add(limits.connect).unwrap_or_else(Instant::now);
        let dialer = &self.shared.dialer;
        let io = match &limits.h2 {
            None => dialer.dial(&self.endpoint, deadline).await,
            Some(_) => dialer.dial_http1(&self.endpoint, deadline).await,
        };
        let io = io.map_err(SendError::Dial)?;
        Ok((Box::new(self.opened(io)), DialTime(began.elapsed())))
    }

    fn opened(&self, io: D::Io) -> Connection<B> {
        let limits = self.shared.limits.get();
        let watched = Rc::new(Watched::new(self.shared.clock.clone()));
        self.shared.watched.borrow_mut().push(Rc::clone(&watched));
        add(&self.shelf.counters.dialled);
        add(&self.shelf.counters.open);
        let open = Open(Rc::clone(&self.shelf.counters));
        Connection::new(io, &limits, watched, open, self.shared.clock.now())
    }
}

pub(super) fn unanswered<B>(error: SendError, request: Option<(Parts, B)>) -> Unanswered<B> {
    Unanswered { error, request: request.map(|(parts, body)| Box::new(Request::from_parts(parts, body))) }
}

/// Counts one request as active while it lives.
pub(super) struct Active<'a>(&'a Counters);

impl<'a> Active<'a> {
    pub(super) fn new(counters: &'a Counters) -> Self {
        add(&counters.active);
        Active(counters)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        subtract(&self.0.active);
    }
}

/// Idempotent, and nothing in it that cannot be said again (RFC 9110 §9.2.2).
pub(super) fn may_repeat<B: Body>(parts: &Parts, body: &B) -> bool {
    let idempotent = matches!(
        parts.method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE
    );
    idempotent && body.is_end_stream() && !parts.headers.contains_key(http::header::UPGRADE)
}
