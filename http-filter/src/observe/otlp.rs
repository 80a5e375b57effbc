//! Recorded spans to an OpenTelemetry collector: OTLP over HTTP, in JSON (opentelemetry-proto 1.x, `/v1/traces`). Why it is
//! written here and not taken from the OpenTelemetry crates: docs/decisions/0015-own-otlp-exporter.md.
//!
//! The collector is a pool of the configuration, reached through passthrough-relay as every backend. Requests never wait for
//! it: spans go into a bounded queue ([`Queue`]), one task sends them in batches; what does not fit, and what the collector
//! refuses for good, is dropped and counted.

mod span;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use common::config::{self, Config, Files, Trace, TraceMode};
use common::ipc::messages::filter_to_relay::{Dial, Dialed};
use common::ipc::sender::Sender;
use common_http::guarded::Clock;
use common_http::upstream::{Endpoint, Pool, PoolLimits, RequestBody, Slot};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;

use self::span::Span;
use crate::journey::Account;
use crate::metrics::Metrics;
use crate::upstream::dialer::RelayDialer;

/// Spans of one request to the collector; so many are sent without waiting.
const BATCH: usize = 512;
/// How long the collector may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// First and longest pause after a failure.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// How long the last spans of the process may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Sends the spans of one configuration.
#[derive(Debug, Clone)]
pub struct Exporter {
    queue: Rc<Queue>,
    made_from: Rc<(Trace, config::Pool)>,
}

#[derive(Debug)]
struct Queue {
    waiting: RefCell<VecDeque<Span>>,
    limit: usize,
    many: Notify,
    metrics: Metrics,
}

/// What came of one try.
enum Outcome {
    Sent,
    /// The collector does not want these, and never will.
    Refused(String),
    /// Later it might.
    Failed(String),
}

impl Exporter {
    /// The exporter that the configuration wants; the one before if nothing of it has changed. Call inside the runtime.
    ///
    /// # Errors
    /// What is wrong with the TLS files of the pool.
    pub fn new(
        config: &Config,
        files: &Files,
        relay: &Sender<Dial, Dialed>,
        clock: &Clock,
        metrics: &Metrics,
        previous: Option<&Self>,
    ) -> Result<Option<Self>, String> {
        let trace = &config.http_filter.observe.trace;
        let named = trace.export.as_ref().and_then(|name| config.pool(name));
        let Some(pool) = named.filter(|_| trace.mode == TraceMode::Span) else { return Ok(None) };
        let dialer = RelayDialer::new(relay.clone(), &pool.transport, files)?;
        let made_from = (trace.clone(), pool.clone());
        if let Some(previous) = previous.filter(|previous| *previous.made_from == made_from) {
            return Ok(Some(previous.clone()));
        }
        let queue = Rc::new(Queue {
            waiting: RefCell::default(),
            limit: trace.queue,
            many: Notify::new(),
            metrics: metrics.clone(),
        });
        let collector = Collector::new(pool, trace, dialer, clock.clone());
        tokio::task::spawn_local(send(Rc::downgrade(&queue), collector, trace.interval));
        Ok(Some(Self { queue, made_from: Rc::new(made_from) }))
    }

    /// A request is over; its span is taken if it is recorded.
    pub fn record(&self, account: &Account, total: Duration) {
        let Some(here) = account.context.here.filter(|here| here.sampled) else { return };
        self.queue.put(Span::of(account, here, SystemTime::now(), total));
    }

    /// Before the process ends: waits a moment until what is queued has been sent.
    pub async fn finish(&self) {
        self.queue.many.notify_one();
        let empty = async {
            while !self.queue.waiting.borrow().is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, empty).await;
    }
}

impl Queue {
    fn put(&self, span: Span) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= self.limit {
            self.metrics.spans_dropped.up();
            return;
        }
        waiting.push_back(span);
        if waiting.len() >= BATCH.min(self.limit) {
            self.many.notify_one();
        }
    }

    /// The oldest spans as a body; they stay in the queue until [`Self::done`].
    fn batch(&self) -> (usize, Bytes) {
        let waiting = self.waiting.borrow();
        let count = waiting.len().min(BATCH);
        (count, span::body(waiting.iter().take(count)))
    }

    fn done(&self, count: usize, sent: bool) {
        self.waiting.borrow_mut().drain(..count);
        let figure = if sent { &self.metrics.spans_sent } else { &self.metrics.spans_dropped };
        figure.add(u64::try_from(count).unwrap_or(u64::MAX));
    }
}

/// The one task; it ends when its configuration is gone and nothing waits.
async fn send(queue: Weak<Queue>, collector: Collector, interval: Duration) {
    let mut pause = None;
    loop {
        let Some(own) = queue.upgrade() else { return };
        match pause {
            Some(pause) => tokio::time::sleep(pause).await,
            None if own.waiting.borrow().len() >= BATCH => {}
            None => drop(tokio::time::timeout(interval, own.many.notified()).await),
        }
        collector.connections.sweep();
        let (count, body) = own.batch();
        if count == 0 {
            continue;
        }
        pause = match collector.send(body).await {
            Outcome::Sent => {
                own.done(count, true);
                None
            }
            Outcome::Refused(why) => {
                tracing::warn!(pool = &*collector.pool, spans = count, "the collector refuses spans: {why}");
                own.done(count, false);
                None
            }
            Outcome::Failed(why) => {
                let next = pause.map_or(PAUSES[0], |pause: Duration| (pause * 2).min(PAUSES[1]));
                tracing::warn!(
                    pool = &*collector.pool,
                    seconds = next.as_secs(),
                    "spans are not taken: {why}; next try"
                );
                Some(next)
            }
        };
    }
}

struct Collector {
    pool: std::sync::Arc<str>,
    path: std::sync::Arc<str>,
    connections: Pool<RelayDialer, Batch>,
    servers: Vec<(HeaderValue, Rc<Slot<RelayDialer, Batch>>)>,
}

impl Collector {
    fn new(pool: &config::Pool, trace: &Trace, dialer: RelayDialer, clock: Clock) -> Self {
        let limits = PoolLimits {
            idle_per_endpoint: 1,
            idle: pool.idle_deadline,
            connect: pool.connect_deadline,
            first_byte: ANSWER,
            body_idle: ANSWER,
            ..PoolLimits::default()
        };
        let connections = Pool::new(dialer, limits, clock);
        let server = |address: &config::ServerAddress| {
            let host = match &address.host {
                config::Host::Ip(ip) => ip.to_string(),
                config::Host::Name(name) => name.to_string(),
            };
            let endpoint = Endpoint::new(host, address.port);
            let host = HeaderValue::try_from(endpoint.to_string()).ok()?;
            Some((host, connections.slot(&endpoint)))
        };
        let servers = pool.servers.iter().filter_map(server).collect();
        Self { pool: pool.name.clone(), path: trace.path.clone(), connections, servers }
    }

    /// To the first server that takes it.
    async fn send(&self, body: Bytes) -> Outcome {
        let mut outcome = Outcome::Failed("the pool has no server".to_owned());
        for (host, server) in &self.servers {
            outcome = match tokio::time::timeout(ANSWER, self.post(host, server, body.clone())).await {
                Ok(outcome) => outcome,
                Err(_) => Outcome::Failed(format!("no answer within {} s", ANSWER.as_secs())),
            };
            if !matches!(outcome, Outcome::Failed(_)) {
                break;
            }
        }
        outcome
    }

    /// What is to be tried again follows the OTLP specification ("Retryable Response Codes").
    async fn post(&self, host: &HeaderValue, server: &Slot<RelayDialer, Batch>, body: Bytes) -> Outcome {
        let mut request = Request::new(Batch(Some(body.clone())));
        *request.method_mut() = Method::POST;
        let Ok(target) = self.path.parse() else { return Outcome::Refused(format!("{} is no path", self.path)) };
        *request.uri_mut() = target;
        let headers = request.headers_mut();
        headers.insert(HOST, host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        match server.send(request).await {
            Err(error) => Outcome::Failed(error.to_string()),
            Ok(answer) => {
                let status = answer.status();
                let mut body = answer.into_body();
                let mut left = 64_usize; // pieces; whoever says more is hung up on
                while left > 0 && std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.is_some() {
                    left -= 1;
                }
                match status.as_u16() {
                    200..300 => Outcome::Sent,
                    429 | 502..=504 => Outcome::Failed(status.to_string()),
                    _ => Outcome::Refused(status.to_string()),
                }
            }
        }
    }
}

/// The body of a request to the collector.
struct Batch(Option<Bytes>);

impl RequestBody for Batch {
    fn empty() -> Self {
        Self(None)
    }
}

impl Body for Batch {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_and_counts() {
        let metrics = Metrics::default();
        let queue = Queue { waiting: RefCell::default(), limit: 3, many: Notify::new(), metrics: metrics.clone() };
        for _ in 0..5 {
            queue.put(Span::default());
        }
        assert_eq!((queue.waiting.borrow().len(), metrics.spans_dropped.get()), (3, 2));
        let (count, _) = queue.batch();
        queue.done(count, true);
        assert_eq!((count, metrics.spans_sent.get(), queue.waiting.borrow().len()), (3, 3, 0));
    }
}
