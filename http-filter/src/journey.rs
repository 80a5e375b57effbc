//! One request from its head to the last byte of its answer: the counters, and one line in the log.
//!
//! With `log.access = false` nothing is collected but counters.

use std::rc::Rc;
use std::time::Instant;

use common_http::target::Target;
use common_http::upstream::SendError;
use http::{Request, StatusCode};
use hyper::body::Incoming;

use super::app::App;
use super::connection::Connection;
use super::response::Refusal;
use super::stages::rate_limit::Counted;
use super::upstream::body::Meter;

/// Bytes of a path or method that a log line shows at most.
const LONGEST: usize = 1024;

/// The account of one request; writes its line when dropped.
pub struct Journey {
    app: Rc<App>,
    bytes_out: u64,
    meter: Option<Meter>,
    counted: Option<Box<Counted>>,
    line: Option<Box<Line>>,
}

struct Line {
    connection: Rc<Connection>,
    began: Instant,
    method: http::Method,
    version: http::Version,
    host: Box<str>,
    path: Box<str>,
    status: u16,
    decision: &'static str,
    rule: Option<Box<str>>,
    observed: Option<Box<str>>,
    route: Option<std::sync::Arc<str>>,
    pool: Option<std::sync::Arc<str>>,
    server: Option<Box<str>>,
    first_byte: Option<u64>,
    error: Option<Box<str>>,
}

impl Journey {
    /// Begins the account.
    pub fn begin(app: &Rc<App>, connection: &Rc<Connection>, request: &Request<Incoming>) -> Self {
        app.metrics.requests.up();
        app.metrics.requests_active.up();
        let line = app.log.then(|| {
            Box::new(Line {
                connection: Rc::clone(connection),
                began: Instant::now(),
                method: request.method().clone(),
                version: request.version(),
                host: Box::default(),
                path: Box::default(),
                status: 0,
                decision: "passed",
                rule: None,
                observed: None,
                route: None,
                pool: None,
                server: None,
                first_byte: None,
                error: None,
            })
        });
        Self { app: Rc::clone(app), bytes_out: 0, meter: None, counted: None, line }
    }

    fn note(&mut self, write: impl FnOnce(&mut Line)) {
        if let Some(line) = &mut self.line {
            write(line);
        }
    }

    /// Host and path in their one form.
    pub fn saw(&mut self, target: &Target<'_>) {
        self.note(|line| {
            line.host = (*target.host).into();
            line.path = cut(&target.path).into();
        });
    }

    /// A rule in observe mode would have refused it.
    pub fn observed(&mut self, rule: &str) {
        self.note(|line| line.observed = Some(rule.into()));
    }

    /// Rate and concurrency limits count it until it is over.
    pub fn counted(&mut self, counted: Box<Counted>) {
        self.counted = Some(counted);
    }

    /// What the client is told about limits.
    pub fn write_limits(&self, headers: &mut http::HeaderMap) {
        if let Some(counted) = &self.counted {
            counted.write(headers);
        }
    }

    /// Where it goes.
    pub fn routed(&mut self, route: &std::sync::Arc<str>, pool: &std::sync::Arc<str>) {
        self.note(|line| {
            line.route = Some(route.clone());
            line.pool = Some(pool.clone());
        });
    }

    /// To which server; the last one counts.
    pub fn sent_to(&mut self, server: &str, meter: &Meter) {
        self.meter.get_or_insert_with(|| meter.clone());
        self.note(|line| line.server = Some(server.into()));
    }

    /// The connection is no longer HTTP.
    pub fn switched(&mut self) {
        self.note(|line| line.decision = "switched");
    }

    /// The head of an answer.
    pub fn answered(&mut self, status: StatusCode) {
        match status.as_u16() {
            200..300 => self.app.metrics.answers_2xx.up(),
            300..400 => self.app.metrics.answers_3xx.up(),
            400..500 => self.app.metrics.answers_4xx.up(),
            500.. => self.app.metrics.answers_5xx.up(),
            _ => {}
        }
        self.note(|line| {
            line.status = status.as_u16();
            line.first_byte = Some(milliseconds(line.began));
        });
    }

    /// Our own answer.
    pub fn refused(&mut self, refusal: &Refusal) {
        self.answered(refusal.status);
        self.note(|line| {
            line.decision = refusal.decision;
            line.rule = refusal.rule.clone();
        });
    }

    /// Bytes of the answer's body.
    pub fn wrote(&mut self, bytes: usize) {
        self.bytes_out = self.bytes_out.saturating_add(bytes as u64);
    }

    /// The answer ended before its end.
    pub fn broke(&mut self, error: &SendError) {
        self.note(|line| line.error = Some(error.to_string().into()));
    }
}

impl Drop for Journey {
    fn drop(&mut self) {
        self.app.metrics.requests_active.down();
        let bytes_in = self.meter.as_ref().map_or(0, Meter::bytes);
        self.app.metrics.bytes_in.add(bytes_in);
        self.app.metrics.bytes_out.add(self.bytes_out);
        let Some(line) = &self.line else { return };
        let client = &line.connection.client;
        let tls = client.tls.as_ref();
        tracing::info!(
            client = %client.ends.client, server_name = client.server_name(), tls = tls.map(|tls| &*tls.version),
            ja4 = tls.map(|tls| &*tls.ja4), protocol = ?line.version, method = cut(line.method.as_str()),
            host = &*line.host, path = &*line.path, status = line.status, decision = line.decision,
            rule = line.rule.as_deref(), observed = line.observed.as_deref(), route = line.route.as_deref(),
            pool = line.pool.as_deref(), server = line.server.as_deref(), bytes_in, bytes_out = self.bytes_out,
            first_byte_ms = line.first_byte, total_ms = milliseconds(line.began), error = line.error.as_deref(),
            "request"
        );
    }
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn cut(text: &str) -> &str {
    text.get(..LONGEST).unwrap_or(text)
}
