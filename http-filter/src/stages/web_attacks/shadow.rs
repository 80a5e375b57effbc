//! Shadow rules: another rule set sees what the rules at work see, on a thread of its own, and what it would have decided otherwise is written
//! down. So an update of the Core Rule Set, or a step from the starter rules to it, is tried on live traffic before anybody is refused by it.
//!
//! It never delays and never refuses: a request is handed over when it has been decided, and where the thread has no room for one more it
//! is left out and counted. It holds no more than `max_waiting` requests, and bodies of a quarter of `max_held`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use common::config::{self, WebAttackMode};
use common::observe::output;
use common_access::{Environment, Facts};
use common_http::guarded::Clock;
use http::request::Parts;
use seclang::{RuleSet, Store, Transaction, Verdict};

use super::audit::Record;
use super::no_threads;
use super::scope::Scopes;
use super::tell;
use super::threads::Threads;
use super::verdict::Fault;
use crate::connection::Connection;
use crate::metrics::Metrics;
use crate::normalise::Seen;
use crate::upstream::held::{Holding, Share};

/// Transactions whose memory is kept.
const SPARE: usize = 16;
/// What part of `max_held` bodies may hold here.
const PART: u64 = 4;

/// What a thread brings back: the transaction, and why not all of it was looked at.
type Judged = (Box<Transaction>, Option<Fault>);

/// The shadow rules of one configuration.
#[derive(Debug)]
pub struct Shadow {
    set: Arc<RuleSet>,
    scopes: Scopes,
    budget: u64,
    clock: Clock,
    mask: Vec<Arc<str>>,
    store: Arc<Store>,
    bodies: Holding,
    threads: Rc<Threads<Judged>>,
    #[allow(clippy::vec_box, reason = "they are large, and go from hand to hand")]
    spare: RefCell<Vec<Box<Transaction>>>,
}

impl Shadow {
    /// The shadow of a configuration, `None` if it has none.
    ///
    /// # Errors
    /// What is wrong with scopes and exclusions, which hold for these rules as well; or there is no thread.
    pub fn new(
        own: &config::WebAttacks,
        set: Option<&Arc<RuleSet>>,
        (budget, clock): (u64, &Clock),
        environment: &Environment,
        previous: Option<&Shadow>,
    ) -> Result<Option<Rc<Self>>, Vec<String>> {
        let Some(set) = set else { return Ok(None) };
        let threads = previous.map(|old| &old.threads).filter(|threads| threads.is(1, own.max_waiting));
        let threads = threads.map_or_else(|| Threads::start(1, own.max_waiting).map(Rc::new), |old| Ok(Rc::clone(old)));
        Ok(Some(Rc::new(Self {
            set: Arc::clone(set),
            scopes: Scopes::new(own, set, environment)?,
            budget,
            clock: clock.clone(),
            mask: own.mask.clone(),
            store: Arc::new(Store::new(own.collections)),
            bodies: previous
                .map_or_else(|| Holding::new(own.max_held / PART), |old| old.bodies.with_limit(own.max_held / PART)),
            threads: threads.map_err(|error| vec![no_threads(&error)])?,
            spare: RefCell::default(),
        })))
    }

    /// A request that the rules at work look at; `None` if a scope switches the stage off for it.
    pub fn see(
        self: &Rc<Self>,
        connection: &Connection,
        (seen, parts, known): (&Seen<'_>, &Parts, &Facts<'_>),
        id: &str,
    ) -> Option<Box<Beside>> {
        let mut failures = 0; // counted by the rules at work
        let mut choice = self.scopes.choose(known, &mut failures);
        if choice.mode == WebAttackMode::Off {
            return None;
        }
        // What it would do shows where it runs to its end.
        choice.mode = WebAttackMode::Detect;
        let mut transaction = self.spare.borrow_mut().pop().unwrap_or_else(|| {
            let mut new = Transaction::new(Arc::clone(&self.set), Some(Arc::clone(&self.store)));
            new.set_budget(self.budget);
            Box::new(new)
        });
        transaction.begin(self.clock.now() / 1000, id.as_bytes());
        self.scopes.apply(&choice, &mut transaction, known, &mut failures);
        tell::request(&mut transaction, connection, seen.client, parts, &seen.target.path);
        let subject = Subject {
            id: id.to_owned(),
            method: parts.method.as_str().to_owned(),
            host: seen.target.host.to_string(),
            path: seen.target.path.to_string(),
        };
        Some(Box::new(Beside { shadow: Rc::clone(self), transaction, subject, body: Body::Unread }))
    }
}

/// One request beside the one that is decided.
#[derive(Debug)]
pub struct Beside {
    shadow: Rc<Shadow>,
    transaction: Box<Transaction>,
    subject: Subject,
    body: Body,
}

/// What a line of the log calls a request by.
#[derive(Debug)]
struct Subject {
    id: String,
    method: String,
    host: String,
    path: String,
}

#[derive(Debug)]
enum Body {
    /// Nobody reads it, or it is not there.
    Unread,
    /// What the rules at work saw.
    Read(Bytes, Share),
    /// They saw it, and there is no room for it here.
    NoRoom,
}

impl Beside {
    /// The rules at work see this body.
    pub fn body(&mut self, body: &Bytes) {
        let mut share = self.shadow.bodies.share();
        let fits = share.grow(body.len());
        self.body = if fits { Body::Read(body.clone(), share) } else { Body::NoRoom };
    }

    /// The request is decided, as the record says. What the shadow rules say is found out elsewhere.
    pub fn compare(self, record: &Record, metrics: &Metrics) {
        let Self { shadow, transaction, subject, body } = self;
        let live = Said::of(record);
        let handed = match body {
            Body::NoRoom => None,
            Body::Unread => shadow.threads.hand(Box::new(move |_| judge(transaction, None))),
            Body::Read(body, share) => shadow.threads.hand(Box::new(move |_| {
                let judged = judge(transaction, Some(&body));
                drop((body, share));
                judged
            })),
        };
        let metrics = metrics.clone();
        let Some(answer) = handed else { return metrics.web_attack_shadow_dropped.up() };
        tokio::task::spawn_local(async move {
            let Ok((transaction, fault)) = answer.await else {
                tracing::error!("the shadow rules failed on a request: this is a mistake of ours, please report it");
                return;
            };
            metrics.web_attack_shadow_judged.up();
            let record = Record::of(&transaction, WebAttackMode::Detect, &shadow.mask);
            let mut spare = shadow.spare.borrow_mut();
            if spare.len() < SPARE {
                spare.push(transaction);
            }
            if let Some(difference) = Difference::between(&live, &Said::of(&record)) {
                metrics.web_attack_shadow_differences.up();
                difference.write(&subject, fault.as_ref());
            }
        });
    }

    /// What the shadow rules say, found out here and now: for `explain`.
    pub fn now(self, body: Option<&[u8]>) -> (Record, bool) {
        let (transaction, _) = judge(self.transaction, body);
        let record = Record::of(&transaction, WebAttackMode::Detect, &self.shadow.mask);
        let refuses = record.is_disruptive();
        (record, refuses)
    }
}

/// All phases of a request.
fn judge(mut transaction: Box<Transaction>, body: Option<&[u8]>) -> Judged {
    let head = transaction.request_headers();
    let rest = match body {
        Some(body) => transaction.request_body(body),
        None => transaction.request_body_unread(),
    };
    transaction.logging();
    let partial = |verdict: Verdict| Fault::of(verdict).filter(|fault| !matches!(fault, Fault::Attack { .. }));
    (transaction, partial(head).or_else(|| partial(rest)))
}

/// What rules said of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    refuses: bool,
    score: i64,
    rules: Vec<String>,
}

impl Said {
    fn of(record: &Record) -> Self {
        let rules = record.ids().map(str::to_owned).collect();
        Self { refuses: record.is_disruptive(), score: record.score, rules }
    }

    fn word(&self) -> &'static str {
        if self.refuses { "refuse" } else { "pass" }
    }
}

/// How two rule sets disagree about a request.
#[derive(Debug, PartialEq, Eq)]
struct Difference {
    live: (&'static str, i64),
    shadow: (&'static str, i64),
    only_live: String,
    only_shadow: String,
}

impl Difference {
    /// `None` if both would do the same for the same reasons.
    fn between(live: &Said, shadow: &Said) -> Option<Self> {
        let only = |one: &Said, other: &Said| -> String {
            let missing = one.rules.iter().filter(|rule| !other.rules.contains(rule));
            missing.map(String::as_str).collect::<Vec<_>>().join(",")
        };
        let (only_live, only_shadow) = (only(live, shadow), only(shadow, live));
        let alike = live.refuses == shadow.refuses && only_live.is_empty() && only_shadow.is_empty();
        (!alike).then(|| Self {
            live: (live.word(), live.score),
            shadow: (shadow.word(), shadow.score),
            only_live,
            only_shadow,
        })
    }

    fn write(&self, subject: &Subject, fault: Option<&Fault>) {
        output::access("web-attack-shadow", |line| {
            line.text("request_id", &subject.id);
            line.text("method", &subject.method);
            line.text("host", &subject.host);
            line.text("path", &subject.path);
            line.word("live", self.live.0);
            line.word("shadow", self.shadow.0);
            line.number("live_score", u64::try_from(self.live.1).unwrap_or(0));
            line.number("shadow_score", u64::try_from(self.shadow.1).unwrap_or(0));
            line.text("only_live", &self.only_live);
            line.text("only_shadow", &self.only_shadow);
            if let Some(fault) = fault {
                line.word("shadow_note", fault.word());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn said(refuses: bool, rules: &[&str]) -> Said {
        Said { refuses, score: 5, rules: rules.iter().map(|rule| (*rule).to_owned()).collect() }
    }

    #[test]
    fn only_what_differs_is_told() {
        assert_eq!(Difference::between(&said(true, &["1", "2"]), &said(true, &["2", "1"])), None);
        assert_eq!(Difference::between(&said(false, &[]), &said(false, &[])), None);
        let told = Difference::between(&said(true, &["1", "2"]), &said(false, &["2", "3"])).unwrap();
        assert_eq!((told.live.0, told.shadow.0), ("refuse", "pass"));
        assert_eq!((told.only_live.as_str(), told.only_shadow.as_str()), ("1", "3"));
        let told = Difference::between(&said(true, &["1"]), &said(true, &["2"])).unwrap();
        assert_eq!((told.live.0, told.shadow.0), ("refuse", "refuse"));
    }
}
