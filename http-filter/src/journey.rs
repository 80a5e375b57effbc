//! One request from its head to the last byte of its answer: the account that counters, log line and span are made from.
//!
//! The memory of its texts is used again by later requests. Who decides something about a request tells it here
//! in one call; what is made of it stands in [`crate::observe`].

use std::borrow::Cow;
use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::observe::metrics::Held;
use common_http::upstream::{DialTime, SendError};
use http::header::{HeaderValue, REFERER, USER_AGENT};
use http::{Extensions, HeaderMap, Request, StatusCode};
use hyper::body::Incoming;

use super::app::App;
use super::connection::Connection;
use super::journal::{AtWork, Mark, Noted};
use super::normalise::Seen;
use super::observe::access_line;
use super::observe::context::Context;
use super::observe::labelled::{RouteFigures, ServerFigures};
use super::observe::request_id::RequestId;
use super::response::Refusal;
use super::stages::rate_limit::Counted;
use super::stages::web_attacks::audit::{self, Record};
use super::upstream::body::Meter;

/// Accounts whose memory is kept for later requests.
const SPARE: usize = 256;
/// Bytes of text that an account keeps room for; longer ones are given back.
const ROOM: usize = 2048;

/// The account of one request; closed when dropped.
pub struct Journey {
    app: Rc<App>,
    account: Option<Box<Account>>,
    counted: Option<Box<Counted>>,
    noted: Option<Noted>,
    mark: Option<Mark>,
}

/// What is known of one request so far.
pub struct Account {
    pub(super) connection: Rc<Connection>,
    pub(super) context: Context,
    pub(super) began: Instant,
    pub(super) method: http::Method,
    pub(super) version: http::Version,
    /// Host and path have been read.
    pub(super) read: bool,
    pub(super) client: Option<IpAddr>,
    pub(super) host: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) user_agent: Option<HeaderValue>,
    pub(super) referer: Option<HeaderValue>,
    pub(super) status: u16,
    pub(super) stage: &'static str,
    pub(super) decision: &'static str,
    pub(super) rule: Option<Box<str>>,
    pub(super) reason: Option<Cow<'static, str>>,
    pub(super) observed: Option<Box<str>>,
    pub(super) route: Option<Arc<str>>,
    pub(super) pool: Option<Arc<str>>,
    pub(super) server: String,
    pub(super) attempts: u16,
    pub(super) bytes_out: u64,
    pub(super) client_ms: u64,
    pub(super) queue: Option<Duration>,
    pub(super) connect: Option<Duration>,
    pub(super) first_byte: Option<Duration>,
    pub(super) error: Option<Box<str>>,
    /// What rules against web attacks found.
    pub(super) attack: Option<Box<Record>>,
    /// The last byte of the answer was given to the client's side.
    complete: bool,
    meter: Option<Meter>,
    route_figures: Option<Rc<RouteFigures>>,
    asked: Option<Asked>,
}

/// The server that is being asked.
#[derive(Debug)]
struct Asked {
    figures: Rc<ServerFigures>,
    at: Instant,
    answered: bool,
    _active: Held,
}

thread_local! {
    // What an account keeps alive is dropped before it is put here; what stays is the memory of its texts.
    static SPARES: RefCell<Vec<[String; 4]>> = const { RefCell::new(Vec::new()) };
}

impl Account {
    fn new(app: &App, connection: &Rc<Connection>, request: &Request<Incoming>) -> Self {
        let spare = SPARES.with(|spares| spares.borrow_mut().pop());
        let [host, path, query, server] = spare.unwrap_or_default();
        let trusted = connection.forwarder.borrow().is_trusted();
        let fields = app.observe.fields;
        let header = |shown: bool, name| shown.then(|| request.headers().get(name).cloned()).flatten();
        Self {
            context: Context::read(&app.observe, request.headers(), trusted),
            connection: Rc::clone(connection),
            began: Instant::now(),
            method: request.method().clone(),
            version: request.version(),
            read: false,
            client: None,
            host,
            path,
            query,
            user_agent: header(fields.user_agent, USER_AGENT),
            referer: header(fields.referer, REFERER),
            status: 0,
            stage: "receive",
            decision: "passed",
            rule: None,
            reason: None,
            observed: None,
            route: None,
            pool: None,
            server,
            attempts: 0,
            bytes_out: 0,
            client_ms: if connection.h2 { 0 } else { connection.ledger.head_took() },
            queue: None,
            connect: None,
            first_byte: None,
            error: None,
            attack: None,
            complete: false,
            meter: None,
            route_figures: None,
            asked: None,
        }
    }

    /// Bytes of the request's body that were read.
    pub(super) fn bytes_in(&self) -> u64 {
        self.meter.as_ref().map_or(0, Meter::bytes)
    }

    /// The client left before the last byte of its answer.
    pub(super) fn aborted(&self) -> bool {
        !self.complete && self.error.is_none()
    }

    /// Nothing about it is worth a line of its own.
    pub(super) fn is_success(&self) -> bool {
        let passed = self.reason.is_none() && (100..400).contains(&self.status);
        let quiet = self.observed.is_none() && !self.attack.as_ref().is_some_and(|record| record.is_remarkable());
        passed && self.complete && self.error.is_none() && quiet
    }

    /// Ends the try at a server.
    fn server_done(&mut self, failed: bool) {
        if let Some(asked) = self.asked.take()
            && failed
            && !asked.answered
        {
            asked.figures.failures.up();
        }
    }

    /// Gives the memory of its texts to a later one.
    fn give_back(self) {
        let mut texts = [self.host, self.path, self.query, self.server];
        for text in &mut texts {
            text.clear();
            text.shrink_to(ROOM);
        }
        SPARES.with(|spares| {
            let mut spares = spares.borrow_mut();
            if spares.len() < SPARE {
                spares.push(texts);
            }
        });
    }
}

impl Journey {
    /// Begins the account.
    pub fn begin(app: &Rc<App>, connection: &Rc<Connection>, request: &Request<Incoming>) -> Self {
        app.metrics.requests.up();
        app.metrics.requests_active.up();
        let account = Account::new(app, connection, request);
        Self { app: Rc::clone(app), account: Some(Box::new(account)), counted: None, noted: None, mark: None }
    }

    fn note(&mut self, write: impl FnOnce(&mut Account)) {
        if let Some(account) = &mut self.account {
            write(account);
        }
    }

    /// The stage that looks at the request from now on: a word for the log.
    pub fn stage(&mut self, stage: &'static str) {
        self.note(|account| account.stage = stage);
    }

    /// Client, host and path in their one form.
    pub fn saw(&mut self, seen: &Seen<'_>) {
        let fields = self.app.observe.fields;
        self.note(|account| {
            account.read = true;
            account.client = Some(seen.client);
            account.host.push_str(&seen.target.host);
            account.path.push_str(beginning(&seen.target.path));
            if fields.query
                && let Some(query) = seen.target.query
            {
                account.query.push_str(beginning(query));
            }
        });
    }

    /// A rule in observe mode would have refused it.
    pub fn observed(&mut self, rule: &str) {
        self.app.metrics.labelled.rule(rule).observed.up();
        self.note(|account| account.observed = Some(rule.into()));
    }

    /// Its body is read before it is sent.
    pub fn reads(&mut self, meter: &Meter) {
        self.note(|account| account.meter = Some(meter.clone()));
    }

    /// What rules against web attacks found in it.
    pub fn attacked(&mut self, record: Record) {
        self.note(|account| account.attack = Some(Box::new(record)));
    }

    /// Where a refused client is sent.
    pub fn sends_to(&self) -> Option<HeaderValue> {
        self.account.as_ref()?.attack.as_ref()?.location.clone()
    }

    /// Rate and concurrency limits count it until it is over.
    pub fn counted(&mut self, counted: Box<Counted>) {
        self.counted = Some(counted);
    }

    /// Threads that work for it say so.
    pub fn marked(&mut self, mark: Option<Mark>) {
        self.mark = mark;
    }

    /// What such a thread says it with.
    pub fn mark(&self) -> Option<Mark> {
        self.mark
    }

    /// It is noted in the journal until it is over.
    pub fn noted(&mut self, noted: Option<Noted>) {
        self.noted = noted;
    }

    /// Its own code runs until what is returned is dropped.
    pub fn at_work(&self) -> Option<AtWork<'_>> {
        self.noted.as_ref().map(Noted::at_work)
    }

    /// What the client is told about limits.
    pub fn write_limits(&self, headers: &mut HeaderMap) {
        if let Some(counted) = &self.counted {
            counted.write(headers);
        }
    }

    /// Where it goes.
    pub fn routed(&mut self, route: &Arc<str>, pool: Option<&Arc<str>>) {
        let labelled = self.app.metrics.labelled.clone();
        self.note(|account| {
            if account.route.as_ref().is_none_or(|known| !Arc::ptr_eq(known, route)) {
                account.route_figures = Some(labelled.route(route));
                account.route = Some(Arc::clone(route));
            }
            account.pool = pool.cloned();
        });
    }

    /// An answer of our own that is no refusal.
    pub fn answered_here(&mut self, decision: &'static str) {
        self.note(|account| account.decision = decision);
    }

    /// Writes request id and trace into what goes to the backend.
    pub fn send_on(&self, headers: &mut HeaderMap) {
        if let Some(account) = &self.account {
            account.context.write(&self.app.observe, headers);
        }
    }

    /// It waited so long for a place at the pool.
    pub fn queued(&mut self, waited: Duration) {
        self.note(|account| account.queue = Some(account.queue.unwrap_or_default() + waited));
    }

    /// To which server; the last one counts.
    pub fn sent_to(&mut self, server: &str, meter: &Meter) {
        let labelled = self.app.metrics.labelled.clone();
        self.note(|account| {
            account.server_done(true);
            account.meter.get_or_insert_with(|| meter.clone());
            account.attempts = account.attempts.saturating_add(1);
            account.server.clear();
            account.server.push_str(server);
            let figures = labelled.server(account.pool.as_deref().unwrap_or_default(), server);
            figures.requests.up();
            let active = figures.active.hold();
            // A first try that did not have to wait follows the request's beginning at once: that clock reading does for it.
            let at = if account.attempts == 1 && account.queue.is_none() { account.began } else { Instant::now() };
            account.asked = Some(Asked { figures, at, answered: false, _active: active });
        });
    }

    /// What the way to the backend noted at its answer.
    pub fn connected(&mut self, extensions: &Extensions) {
        if let Some(DialTime(time)) = extensions.get() {
            self.note(|account| account.connect = Some(*time));
        }
    }

    /// The connection is no longer HTTP.
    pub fn switched(&mut self) {
        self.note(|account| account.decision = "switched");
    }

    /// A backend's answer, from its head on.
    pub fn answered(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        let now = Instant::now();
        self.head(status, now);
        let app = Rc::clone(&self.app);
        self.note(|account| {
            account.context.tell_client(&app.observe, headers);
            if let Some(asked) = &mut account.asked {
                asked.answered = true;
                asked.figures.first_byte.observe(now.saturating_duration_since(asked.at));
            }
        });
    }

    /// Our own answer.
    pub fn refused(&mut self, refusal: &Refusal) {
        self.head(refusal.status, Instant::now());
        if let Some(rule) = &refusal.rule {
            self.app.metrics.labelled.rule(rule).refused.up();
        }
        self.note(|account| {
            account.server_done(refusal.status.is_server_error());
            account.decision = refusal.decision;
            account.rule.clone_from(&refusal.rule);
            account.reason = Some(refusal.reason.clone());
        });
    }

    /// The id of the request.
    pub fn request_id(&self) -> Option<RequestId> {
        self.account.as_ref().map(|account| account.context.id.clone())
    }

    /// Gives `show` the id of the request, for a page that the client sees.
    pub fn with_id<T>(&self, show: impl FnOnce(Option<&str>) -> T) -> T {
        match &self.account {
            Some(account) => account.context.id.with(|id| show(Some(id))),
            None => show(None),
        }
    }

    /// Writes what the client is told about its request; for answers of a backend [`Self::answered`] does.
    pub fn tell_client(&self, headers: &mut HeaderMap) {
        if let Some(account) = &self.account {
            account.context.tell_client(&self.app.observe, headers);
        }
    }

    fn head(&mut self, status: StatusCode, now: Instant) {
        match status.as_u16() {
            200..300 => self.app.metrics.answers_2xx.up(),
            300..400 => self.app.metrics.answers_3xx.up(),
            400..500 => self.app.metrics.answers_4xx.up(),
            500.. => self.app.metrics.answers_5xx.up(),
            _ => {}
        }
        self.note(|account| {
            let took = now.saturating_duration_since(account.began);
            account.status = status.as_u16();
            account.first_byte = Some(took);
            if let Some(route) = &account.route_figures {
                route.first_byte.observe(took);
            }
        });
    }

    /// Bytes of the answer's body.
    pub fn wrote(&mut self, bytes: usize) {
        self.note(|account| {
            account.bytes_out = account.bytes_out.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        });
    }

    /// The last byte of the answer is written.
    pub fn completed(&mut self) {
        self.note(|account| account.complete = true);
    }

    /// The answer ended before its end.
    pub fn broke(&mut self, error: &SendError) {
        self.note(|account| account.error = Some(error.to_string().into()));
    }
}

impl Drop for Journey {
    fn drop(&mut self) {
        let metrics = &self.app.metrics;
        metrics.requests_active.down();
        let Some(mut account) = self.account.take() else { return };
        account.server_done(false);
        let (total, bytes_in) = (account.began.elapsed(), account.bytes_in());
        metrics.bytes_in.add(bytes_in);
        metrics.bytes_out.add(account.bytes_out);
        if account.aborted() {
            metrics.aborted.up();
        }
        if let Some(route) = &account.route_figures {
            route.ended(account.status, total);
            route.bytes_in.add(bytes_in);
            route.bytes_out.add(account.bytes_out);
        }
        if let Some(noted) = self.noted.take()
            && account.complete
            && account.reason.is_none()
            && account.error.is_none()
        {
            noted.answered();
        }
        if let Some(record) = &account.attack {
            audit::write(record, &account);
        }
        access_line::write(&account, &self.app.observe, total);
        #[cfg(feature = "otlp")]
        if let Some(exporter) = &self.app.observe.exporter {
            exporter.record(&account, total);
        }
        account.give_back();
    }
}

/// As much of a text as an account keeps; the line shows less.
fn beginning(text: &str) -> &str {
    text.get(..text.floor_char_boundary(ROOM)).unwrap_or_default()
}
