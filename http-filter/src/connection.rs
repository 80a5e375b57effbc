//! One client connection: the guard against ambiguous bytes, hyper above it, requests into the pipeline.
//!
//! The protocol is what ALPN says, never a guess; plain HTTP is HTTP/1. All deadlines are kept by the two sweeps of
//! [`super::serve`], not by timers here.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use common::net::client_limit::{ClientLimit, Place};
use common::observe::metrics::Held;
use common_http::guarded::{Exchange, Guarded, Ledger};
use common_http::headers::{self, Forwarder};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Notify;

use super::app::{App, Instance};
use super::journal::Journal;
use super::receive::Client;
use super::streams::Executor;
use super::succession::{self, Leaving, Stream};
use super::unsent::Unsent;
use super::{cork, pipeline, rest, tls_stream};

/// What the requests of one connection share.
pub struct Connection {
    /// The client.
    pub client: Client,
    /// Framing verdicts and deadlines.
    pub ledger: Arc<Ledger>,
    /// Writes `Forwarded` and `X-Forwarded-*`.
    pub forwarder: RefCell<Forwarder>,
    /// By which configuration that was made.
    follows: Cell<u64>,
    /// HTTP/2.
    pub h2: bool,
    /// HTTP/2: what waits for the client to take it.
    pub unsent: Option<Rc<Unsent>>,
    /// The way out of this process.
    pub leaving: Rc<Leaving>,
    /// Where requests in flight are noted; `None`: nobody keeps one.
    pub journal: Option<Rc<Journal>>,
    /// It has brought as many requests as it may: the present ones are its last.
    enough: Notify,
    /// Its place among the connections: as long as anything of it lives, a WebSocket that it became included.
    _place: Place,
    _open: Held,
}

impl Connection {
    /// Nothing of the present configuration is kept but what holds for the whole connection.
    pub fn new(instance: &Instance, client: Client, place: Place) -> Self {
        let app = instance.app();
        let h2 = client.tls.as_ref().is_some_and(|tls| tls.h2);
        let watch = if h2 { &instance.watch_h2 } else { &instance.watch_h1 };
        Self {
            ledger: watch.ledger(),
            forwarder: RefCell::new(forwarder(&app, &client)),
            follows: Cell::new(app.generation),
            unsent: h2.then(|| instance.unsent.connection(client.ends.client.ip())),
            client,
            h2,
            leaving: Rc::clone(&instance.leaving),
            journal: instance.journal.clone(),
            enough: Notify::new(),
            _place: place,
            _open: instance.metrics.connections.hold(),
        }
    }
}

impl Connection {
    /// One that does not exist, for `explain`: it takes no place and nobody waits for it.
    ///
    /// # Errors
    /// Never: it has a place of its own.
    pub fn imagined(instance: &Instance, client: Client) -> Result<Self, &'static str> {
        let place = ClientLimit::new(1, 1).enter_unattributed().map_err(|_| "no place")?;
        Ok(Self::new(instance, client, place))
    }

    /// A request begins under this configuration: after a reload another one decides whom to believe and what to tell.
    pub fn follow(&self, app: &App) {
        if self.follows.replace(app.generation) != app.generation {
            *self.forwarder.borrow_mut() = forwarder(app, &self.client);
        }
    }

    /// Whether this is the last request that the connection may bring; HTTP/2 is told so at once (GOAWAY).
    pub fn is_last(&self, app: &App, exchange: &Exchange) -> bool {
        let last = app.config.max_requests_per_connection.is_some_and(|max| exchange.ordinal() >= max);
        if last && self.h2 {
            self.enough.notify_one();
        }
        last
    }
}

fn forwarder(app: &App, client: &Client) -> Forwarder {
    let facts = headers::Connection { peer: client.ends.client, local: client.ends.local, tls: client.tls.is_some() };
    Forwarder::new(app.forwarded.clone(), &facts, app.config.trusted_proxies.as_slice())
}

/// What a connection has been through in other processes.
#[derive(Debug, Default)]
pub struct Past {
    /// Requests that it has brought.
    pub requests: u64,
    /// Bytes of it that were read and not understood yet.
    pub ahead: Vec<u8>,
}

/// Serves a connection in a task of its own.
pub fn start<S: Stream>(instance: &Rc<Instance>, stream: S, client: Client, place: Place, past: Past) {
    // Counted before the task first runs: a process that is told to finish in this turn must wait for it.
    let connection = Rc::new(Connection::new(instance, client, place));
    let instance = Rc::clone(instance);
    tokio::task::spawn_local(async move {
        let result = if connection.h2 {
            serve_h2(&instance, stream, &connection).await
        } else {
            serve_h1(&instance, stream, &connection, past).await
        };
        if let Some(expired) = connection.ledger.expired() {
            instance.metrics.timeouts.up();
            tracing::debug!(client = %connection.client.ends.client, "connection closed: {expired:?}");
        } else if let Some(flood) = connection.ledger.flood() {
            instance.metrics.flood(flood);
            tracing::info!(client = %connection.client.ends.client, "connection closed: {flood}");
        } else if let Err(error) = result {
            instance.metrics.tls_fault(tls_stream::fault(&error));
            tracing::debug!(client = %connection.client.ends.client, "connection ended: {error}");
        }
    });
}

/// Serves requests and, between them, rests: see [`rest`].
async fn serve_h1<S: Stream>(
    instance: &Rc<Instance>,
    stream: S,
    connection: &Rc<Connection>,
    past: Past,
) -> hyper::Result<()> {
    connection.ledger.go_on_after(past.requests);
    let mut stream = Guarded::go_on(stream, instance.app().framing, Arc::clone(&connection.ledger), past.ahead);
    let mut ahead = Vec::new();
    loop {
        let (lent, lender) = rest::lend(stream, ahead);
        let service = service_fn(|request| pipeline::run(instance.app(), Rc::clone(connection), request));
        let serving = h1(&instance.app()).serve_connection(TokioIo::new(lent), service).with_upgrades();
        let mut serving = Box::pin(serving);
        let until_rest = std::future::poll_fn(|cx| match serving.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if connection.ledger.may_rest() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        tokio::select! {
            biased;
            ended = until_rest => if let Some(result) = ended { return result },
            () = connection.leaving.told() => {
                if connection.leaving.successor().is_none() {
                    serving.as_mut().graceful_shutdown();
                    return serving.await;
                }
                let until_movable = std::future::poll_fn(|cx| match serving.as_mut().poll(cx) {
                    Poll::Ready(result) => Poll::Ready(Some(result)),
                    Poll::Pending if connection.ledger.may_move() => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                });
                if let Some(result) = until_movable.await { return result; }
            }
        }
        let Some(mut resting) = lender.recall(serving) else { return Ok(()) };
        ahead = tokio::select! {
            biased;
            () = connection.leaving.told() => return leave(connection, resting).await,
            first = rest::first_bytes(&mut resting) => first.unwrap_or_default(),
        };
        if ahead.is_empty() {
            return Ok(());
        }
        connection.ledger.resume();
        stream = resting;
    }
}

/// A connection with nothing under way leaves this process, or ends if it cannot.
async fn leave<S: Stream>(connection: &Connection, stream: Guarded<S>) -> hyper::Result<()> {
    if let Err(mut stream) = succession::hand_on(connection, stream) {
        let _ = stream.shutdown().await;
    }
    Ok(())
}

fn h1(app: &App) -> hyper::server::conn::http1::Builder {
    let mut builder = hyper::server::conn::http1::Builder::new();
    // The guard refuses larger heads with words; hyper's own limits only stand behind it.
    builder.header_read_timeout(None).max_buf_size(app.buffer_limit());
    builder.half_close(app.config.answers_half_closed);
    if app.config.max_headers > HYPERS_HEADERS {
        builder.max_headers(app.config.max_headers); // with any number but its own, hyper allocates its tables for each request
    }
    builder
}

async fn serve_h2<S>(instance: &Rc<Instance>, stream: S, connection: &Rc<Connection>) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = Guarded::h2(stream, Arc::clone(&instance.app().h2_budgets), Arc::clone(&connection.ledger));
    let (stream, handle) = cork::cork(stream);
    // In boxes, so that neither the future of a request is moved from hand to hand, nor every connection's task as large as the largest.
    let service = service_fn(|request| Box::pin(pipeline::run(instance.app(), Rc::clone(connection), request)));
    let mut serving = Box::pin(h2(instance, &instance.app()).serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        biased;
        result = turns(serving.as_mut(), &handle) => return result,
        () = connection.leaving.told() => serving.as_mut().graceful_shutdown(),
        () = connection.enough.notified() => serving.as_mut().graceful_shutdown(),
    }
    turns(serving.as_mut(), &handle).await
}

/// Runs a connection turn by turn, and sends at the end of each what it wrote.
async fn turns<F: Future, S: AsyncWrite + Unpin>(mut serving: Pin<&mut F>, handle: &cork::Handle<S>) -> F::Output {
    std::future::poll_fn(|cx| {
        let polled = serving.as_mut().poll(cx);
        handle.uncork(cx); // also at the end: a GOAWAY may be its last word
        polled
    })
    .await
}

fn h2(instance: &Instance, app: &App) -> hyper::server::conn::http2::Builder<Executor> {
    let mut builder = hyper::server::conn::http2::Builder::new(Executor(Rc::clone(&instance.streams)));
    builder
        .max_concurrent_streams(app.config.max_streams)
        // A page that is left at once resets all that it asked for; the guard counts the rest.
        .max_pending_accept_reset_streams(usize::try_from(app.config.max_streams).ok())
        .max_header_list_size(u32::try_from(app.config.max_header_bytes).unwrap_or(u32::MAX))
        .max_send_buf_size(SEND_BUFFER)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(16 * 1024)
        .enable_connect_protocol(); // WebSocket (RFC 8441); every other CONNECT is refused by the pipeline
    builder
}

/// Header fields that hyper reads without being told a number.
const HYPERS_HEADERS: usize = 100;
/// Bytes of an answer that hyper buffers per stream for a client that reads slowly.
pub const SEND_BUFFER: usize = 64 * 1024;
/// Bytes of a request body in flight per stream.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Bytes of request bodies in flight per connection.
pub const CONNECTION_WINDOW: u32 = 1024 * 1024;
