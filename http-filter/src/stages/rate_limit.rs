//! Rate limits: every `[[http-filter.rate-limit]]` and `[[http-filter.concurrency-limit]]` that applies counts the request; the first without
//! room refuses it (429, RFC 6585 §4), and then it counts for none. Without limits this is one look at an empty list.
//!
//! The clock is read only where there are limits: the coarse one is too coarse to tell a burst from a pace.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::config::{self, HttpFilter};
use common::ipc::messages::explain::Step;
use common_access::Environment;
use common_http::limit::fields::Fields;
use common_http::limit::gcra::{Rate, Standing, Verdict};
use common_http::limit::places::{Place, Places};
use common_http::limit::table::Table;
use http::{HeaderMap, StatusCode};

use super::limit_scope::{Facts, Scope};
use crate::app::App;
use crate::journey::Journey;
use crate::response::Refusal;

/// The limits of one configuration.
#[derive(Debug, Default)]
pub struct Limits {
    rates: Vec<RateLimit>,
    concurrent: Vec<ConcurrencyLimit>,
}

#[derive(Debug)]
struct RateLimit {
    own: config::RateLimit,
    scope: Scope,
    origin: Instant,
    table: Rc<RefCell<Table>>,
}

#[derive(Debug)]
struct ConcurrencyLimit {
    own: config::ConcurrencyLimit,
    scope: Scope,
    places: Places,
}

/// What a request takes with it until its answer is written.
#[derive(Debug, Default)]
pub struct Counted {
    fields: Fields,
    places: Vec<Place>,
}

impl Counted {
    /// Tells the client where it stands.
    pub fn write(&self, headers: &mut HeaderMap) {
        self.fields.write(headers);
    }
}

impl Limits {
    /// The configured limits. One that has not changed keeps its counts.
    ///
    /// # Errors
    /// Each thing that is wrong with one of them.
    pub fn new(filter: &HttpFilter, environment: &Environment, previous: Option<&Limits>) -> Result<Self, Vec<String>> {
        let (mut made, mut errors) = (Limits::default(), Vec::new());
        for own in &filter.rate_limits {
            let known = previous.and_then(|limits| limits.rates.iter().find(|limit| limit.own == *own));
            match RateLimit::new(own, environment, known) {
                Ok(limit) => made.rates.push(limit),
                Err(faults) => errors.extend(named("rate-limit", &own.name, faults)),
            }
        }
        for own in &filter.concurrency_limits {
            let known = previous.and_then(|limits| limits.concurrent.iter().find(|limit| limit.own == *own));
            match ConcurrencyLimit::new(own, environment, known) {
                Ok(limit) => made.concurrent.push(limit),
                Err(faults) => errors.extend(named("concurrency-limit", &own.name, faults)),
            }
        }
        if errors.is_empty() { Ok(made) } else { Err(errors) }
    }

    fn is_empty(&self) -> bool {
        self.rates.is_empty() && self.concurrent.is_empty()
    }
}

/// What was drawn names its place itself.
fn named<'a>(kind: &'a str, name: &'a str, faults: Vec<String>) -> impl Iterator<Item = String> + use<'a> {
    faults.into_iter().map(move |fault| match fault.starts_with("error") {
        true => fault,
        false => format!("http-filter.{kind} '{name}': {fault}"),
    })
}

impl RateLimit {
    /// `known` is the same limit of the configuration before: its counts stay.
    fn new(own: &config::RateLimit, environment: &Environment, known: Option<&Self>) -> Result<Self, Vec<String>> {
        let keying = known.map(|limit| limit.scope.keying()).unwrap_or_default();
        let table = known.map_or_else(
            || Rc::new(RefCell::new(Table::new(Rate::new(own.requests, own.per, own.burst), own.max_keys))),
            |limit| Rc::clone(&limit.table),
        );
        let origin = known.map_or_else(Instant::now, |limit| limit.origin);
        Ok(Self { own: own.clone(), scope: Scope::new(&own.scope, environment, keying)?, origin, table })
    }

    /// `None`: it does not count here.
    fn judge(&self, facts: &Facts<'_>, now: Instant) -> Option<Verdict> {
        let key = self.scope.key(facts)?;
        let now = now.saturating_duration_since(self.origin);
        // A schedule of 0 means an unknown key, so time begins later.
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        Some(self.table.borrow_mut().judge(key, now))
    }

    /// As [`Self::judge`], but the request does not count.
    fn look(&self, facts: &Facts<'_>, now: Instant) -> Option<Verdict> {
        let key = self.scope.key(facts)?;
        let now = now.saturating_duration_since(self.origin);
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        Some(self.table.borrow_mut().look(key, now))
    }

    fn give_back(&self, facts: &Facts<'_>) {
        if let Some(key) = self.scope.key(facts) {
            self.table.borrow_mut().give_back(key);
        }
    }

    fn tell(&self, fields: &mut Fields, standing: Standing) {
        fields.add(&self.own.name, self.own.requests, self.own.per, standing);
    }
}

impl ConcurrencyLimit {
    fn new(
        own: &config::ConcurrencyLimit,
        environment: &Environment,
        known: Option<&Self>,
    ) -> Result<Self, Vec<String>> {
        let keying = known.map(|limit| limit.scope.keying()).unwrap_or_default();
        let places = known.map_or_else(|| Places::new(own.requests), |limit| limit.places.clone());
        Ok(Self { own: own.clone(), scope: Scope::new(&own.scope, environment, keying)?, places })
    }
}

/// Counts the request, or refuses it.
pub fn judge(app: &App, facts: &Facts<'_>, journey: &mut Journey) -> Result<(), Refusal> {
    if app.limits.is_empty() {
        return Ok(());
    }
    let mut counted = Box::new(Counted::default());
    let judged = rates(app, facts, &mut counted, journey).and_then(|()| {
        concurrent(app, facts, &mut counted, journey).inspect_err(|_| give_back(&app.limits.rates, facts))
    });
    app.metrics.expression_failures.add(u64::from(facts.failures.get()));
    journey.counted(counted);
    judged
}

/// What the limits would say, for `explain`: a step for each that counts the request, or the refusal. Nothing is counted.
pub fn look(app: &App, facts: &Facts<'_>) -> Result<Vec<Step>, Refusal> {
    let (now, mut steps) = (Instant::now(), Vec::new());
    for limit in &app.limits.rates {
        let own = &limit.own;
        let pace = format!("{} in {:?}, {} at once", own.requests, own.per, own.burst);
        let step = match limit.look(facts, now) {
            None => continue,
            Some(Verdict::Within(..)) => Step::new("rate", format!("counts: {pace}; there is room")),
            Some(Verdict::Beyond(after, _)) if limit.scope.observes() => {
                Step::new("rate", format!("would refuse (observe): {pace}; room again in {after:?}"))
            }
            Some(Verdict::Beyond(..)) => {
                let reason = "Too many requests: wait as long as Retry-After says, then send fewer.";
                return Err(refusal(&own.name, reason, "rate-limited"));
            }
        };
        steps.push(step.by(&own.name, None));
    }
    for limit in &app.limits.concurrent {
        if limit.scope.key(facts).is_some() {
            let text = format!("counts: {} at once", limit.own.requests);
            steps.push(Step::new("concurrency", text).by(&limit.own.name, None));
        }
    }
    Ok(steps)
}

fn rates(app: &App, facts: &Facts<'_>, counted: &mut Counted, journey: &mut Journey) -> Result<(), Refusal> {
    if app.limits.rates.is_empty() {
        return Ok(());
    }
    let now = Instant::now();
    for (at, limit) in app.limits.rates.iter().enumerate() {
        match limit.judge(facts, now) {
            Some(Verdict::Within(_, standing)) if limit.own.tell && !limit.scope.observes() => {
                limit.tell(&mut counted.fields, standing);
            }
            Some(Verdict::Beyond(..)) if limit.scope.observes() => observed(app, &limit.own.name, journey),
            Some(Verdict::Beyond(after, standing)) => {
                give_back(app.limits.rates.get(..at).unwrap_or_default(), facts);
                counted.fields = Fields::default();
                limit.tell(&mut counted.fields, standing);
                counted.fields.retry_after(after);
                app.metrics.rate_limited.up();
                let reason = "Too many requests: wait as long as Retry-After says, then send fewer.";
                return Err(refusal(&limit.own.name, reason, "rate-limited"));
            }
            Some(Verdict::Within(..)) | None => {}
        }
    }
    Ok(())
}

fn give_back(limits: &[RateLimit], facts: &Facts<'_>) {
    limits.iter().for_each(|limit| limit.give_back(facts));
}

fn concurrent(app: &App, facts: &Facts<'_>, counted: &mut Counted, journey: &mut Journey) -> Result<(), Refusal> {
    for limit in &app.limits.concurrent {
        let Some(key) = limit.scope.key(facts) else { continue };
        match limit.places.enter(key) {
            Some(place) => counted.places.push(place),
            None if limit.scope.observes() => observed(app, &limit.own.name, journey),
            None => {
                counted.places.clear();
                counted.fields.retry_after(Duration::from_secs(1));
                app.metrics.concurrency_limited.up();
                let reason = "Too many requests at once: wait for the answers to earlier ones.";
                return Err(refusal(&limit.own.name, reason, "too-many-at-once"));
            }
        }
    }
    Ok(())
}

fn observed(app: &App, name: &str, journey: &mut Journey) {
    app.metrics.observed.up();
    journey.observed(name);
}

fn refusal(name: &str, reason: &'static str, decision: &'static str) -> Refusal {
    let status = StatusCode::TOO_MANY_REQUESTS;
    Refusal { rule: Some(name.into()), ..Refusal::malformed(status, reason, decision, false) }
}
