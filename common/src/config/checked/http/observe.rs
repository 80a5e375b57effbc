//! Request ids and `[http-filter.trace]`.

use std::sync::Arc;
use std::time::Duration;

/// What makes a request findable elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observe {
    /// `request_id`
    pub request_id: RequestIdPolicy,
    /// `[http-filter.trace]`
    pub trace: Trace,
}

/// `http-filter.request_id`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestIdPolicy {
    /// Nobody is told.
    Off,
    /// The backend is told.
    Backend,
    /// Backend and client are told.
    Both,
}

/// `[http-filter.trace]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// What happens to a request's trace.
    pub mode: TraceMode,
    /// Whose traces are continued.
    pub accept: TraceTrust,
    /// Of so many traces that begin here one is recorded; 0: none.
    pub sample: u32,
    /// The collector's pool.
    pub export: Option<Arc<str>>,
    /// The path at the collector.
    pub path: Arc<str>,
    /// Spans that wait at most.
    pub queue: usize,
    /// How long spans gather.
    pub interval: Duration,
}

/// `http-filter.trace.mode`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceMode {
    /// Headers like any other.
    Off,
    /// Valid ones go on, invalid ones are dropped.
    Pass,
    /// The request is a span.
    Span,
}

/// `http-filter.trace.accept`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceTrust {
    /// Everybody's.
    Anybody,
    /// Those of `trusted_proxies`.
    Trusted,
}
