//! Web attacks: requests are judged by rules (the OWASP Core Rule Set, or our own few) before an application sees them.
//!
//! In the order in which a request meets the files: [`files`] and [`rules`] (what is asked), [`scope`] (what holds for this request), [`tell`] (what the
//! engine is told), [`unseen`] (which bodies are not looked at), [`body`] (reading a body in order to look at it), [`threads`] (where large ones
//! are looked at), [`verdict`] (what follows), [`audit`] (what is written down), [`shadow`] (other rules that are tried on the same requests),
//! [`explain`].
//!
//! The header is judged behind the limits and before the route; the body, if rules want it, just before the request leaves, so a redirect
//! never waits for an upload. Without the stage a request costs one look at an `Option`.

pub mod answer;
pub mod audit;
pub mod body;
pub mod explain;
pub mod files;
pub mod rules;
pub mod scope;
pub mod shadow;
pub mod tell;
pub mod threads;
pub mod unseen;
pub mod verdict;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use common::config::{self, Files, WebAttackMode};
use common_access::{Environment, Facts};
use common_http::guarded::Clock;
use http::request::Parts;
use seclang::{Store, Transaction, Verdict};

use self::audit::Record;
use self::rules::{Recipe, Rules};
use self::scope::{Choice, Scopes};
use self::shadow::{Beside, Shadow};
use self::threads::Threads;
use self::verdict::{Fault, Policy};
use crate::app::App;
use crate::connection::Connection;
use crate::journey::Journey;
use crate::normalise::Seen;
use crate::response::Refusal;
use crate::upstream::held::Holding;

/// Transactions whose memory is kept for later requests.
const SPARE: usize = 64;

/// What a body's inspection brings back.
pub type Inspected = (Box<Transaction>, Verdict);

/// What one configuration makes.
#[derive(Debug)]
pub struct WebAttacks {
    own: config::WebAttacks,
    rules: Rules,
    scopes: Scopes,
    /// Units of work that one request may cost.
    budget: u64,
    clock: Clock,
    store: Arc<Store>,
    holding: Holding,
    threads: Rc<Threads<Inspected>>,
    shadow: Option<Rc<Shadow>>,
    #[allow(clippy::vec_box, reason = "they are large, and go from hand to hand")]
    spare: RefCell<Vec<Box<Transaction>>>,
}

impl WebAttacks {
    /// The stage of a configuration, `None` if it is off. What has not changed is taken over: collections, places, threads.
    ///
    /// # Errors
    /// Each thing that is wrong with scopes and exclusions; or the system starts no threads.
    pub fn new(
        own: &config::WebAttacks,
        rules: Option<Rules>,
        environment: &Environment,
        clock: &Clock,
        previous: Option<&WebAttacks>,
    ) -> Result<Option<Rc<Self>>, Vec<String>> {
        let Some(rules) = rules else { return Ok(None) };
        let scopes = Scopes::new(own, &rules.set, environment)?;
        scopes.notes().iter().for_each(|note| tracing::warn!("{note}"));
        let threads = previous.map(|old| &old.threads).filter(|threads| threads.is(own.threads, own.max_waiting));
        let threads =
            threads.map_or_else(|| Threads::start(own.threads, own.max_waiting).map(Rc::new), |old| Ok(Rc::clone(old)));
        let threads = threads.map_err(|error| vec![no_threads(&error)])?;
        let store = previous.filter(|old| old.own.collections == own.collections).map(|old| Arc::clone(&old.store));
        let budget = rules.units(own.budget);
        let old_shadow = previous.and_then(|old| old.shadow.as_deref());
        Ok(Some(Rc::new(Self {
            shadow: Shadow::new(own, rules.shadow.as_ref(), (budget, clock), environment, old_shadow)?,
            budget,
            scopes,
            clock: clock.clone(),
            store: store.unwrap_or_else(|| Arc::new(Store::new(own.collections))),
            holding: previous.map_or_else(|| Holding::new(own.max_held), |old| old.holding.with_limit(own.max_held)),
            threads,
            spare: RefCell::default(),
            own: own.clone(),
            rules,
        })))
    }

    /// The rules at work.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What holds for which requests.
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    fn transaction(&self) -> Box<Transaction> {
        self.spare.borrow_mut().pop().unwrap_or_else(|| {
            let mut new = Transaction::new(Arc::clone(&self.rules.set), Some(Arc::clone(&self.store)));
            new.set_budget(self.budget);
            Box::new(new)
        })
    }

    fn give_back(&self, transaction: Box<Transaction>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE {
            spare.push(transaction);
        }
    }
}

/// What is to be done when there are no threads.
pub fn no_threads(error: &std::io::Error) -> String {
    format!(
        "http-filter.web-attacks: no inspection thread can be started ({error}): a process that was started with mode = \"off\" everywhere \
         may have none, so `bulkhead upgrade http-filter` (which loses nothing) or a restart is needed instead of a reload"
    )
}

/// Judges a configuration's rules without using them: what `check` does.
///
/// # Errors
/// Each mistake.
pub fn check(own: &config::WebAttacks, files: &Files, environment: &Environment) -> Result<(), Vec<String>> {
    if !own.is_on() {
        return Ok(());
    }
    let rules = Recipe::new(own, files)?.load()?;
    for set in [Some(&rules.set), rules.shadow.as_ref()].into_iter().flatten() {
        Scopes::new(own, set, environment)?;
    }
    rules.keep_for_the_start();
    Ok(())
}

/// One request under inspection.
#[derive(Debug)]
pub struct Inspection {
    stage: Rc<WebAttacks>,
    /// Absent while a thread has it.
    transaction: Option<Box<Transaction>>,
    policy: Policy,
    choice: Choice,
    /// The first thing that was the matter without a refusal.
    note: Option<Fault>,
    /// Whether the body is still to be looked at.
    wants_body: bool,
    /// What is looked at is the beginning of the body only: its end is missing, and it need not be what it says.
    part: bool,
    /// The same request under the shadow rules.
    beside: Option<Box<Beside>>,
}

/// Judges the header of a request, and all of it if its body is not to be read. What comes back is to be asked about the body, if it
/// [wants](Inspection::wants_body) one.
///
/// # Errors
/// The refusal.
pub fn judge(
    app: &App,
    connection: &Connection,
    (seen, parts, known): (&Seen<'_>, &Parts, &Facts<'_>),
    has_body: bool,
    journey: &mut Journey,
) -> Result<Option<Box<Inspection>>, Refusal> {
    let Some(stage) = &app.web_attacks else { return Ok(None) };
    let mut failures = 0;
    let choice = stage.scopes.choose(known, &mut failures);
    let inspection = (choice.mode != WebAttackMode::Off).then(|| {
        journey.stage("web-attacks");
        let mut transaction = stage.transaction();
        let now = stage.clock.now() / 1000;
        journey.with_id(|id| transaction.begin(now, id.unwrap_or_default().as_bytes()));
        stage.scopes.apply(&choice, &mut transaction, known, &mut failures);
        tell::request(&mut transaction, connection, seen.client, parts, &seen.target.path);
        let policy = Policy {
            mode: choice.mode,
            over_limit: choice.over_limit,
            malformed_body: stage.own.malformed_body,
            over_budget: stage.own.over_budget,
        };
        app.metrics.web_attacks_inspected.up();
        let transaction = Some(transaction);
        let see = |shadow: &Rc<Shadow>| {
            journey.with_id(|id| shadow.see(connection, (seen, parts, known), id.unwrap_or_default()))
        };
        let beside = stage.shadow.as_ref().and_then(see);
        Box::new(Inspection {
            stage: Rc::clone(stage),
            transaction,
            policy,
            choice,
            note: None,
            wants_body: false,
            part: false,
            beside,
        })
    });
    app.metrics.expression_failures.add(failures);
    let Some(mut inspection) = inspection else { return Ok(None) };
    match inspection.header(parts, has_body, app) {
        Err(fault) => Err(inspection.refuse(&fault, app, connection.h2, journey)),
        Ok(()) if inspection.wants_body || inspection.choice.responses => Ok(Some(inspection)),
        Ok(()) => {
            inspection.finish(None, app, journey);
            Ok(None)
        }
    }
}

impl Inspection {
    /// Whether the body is to be looked at.
    pub fn wants_body(&self) -> bool {
        self.wants_body
    }

    /// Phase 1, and phase 2 if no body is to be read.
    fn header(&mut self, parts: &Parts, has_body: bool, app: &App) -> Result<(), Fault> {
        let verdict = self.with(Transaction::request_headers);
        self.judge(verdict, app)?;
        // One reader takes the first, another the last.
        if has_body && unseen::has_two_types(parts) {
            self.meet(Fault::Malformed, app)?;
        }
        let reads = has_body && self.transaction.as_ref().is_some_and(|transaction| transaction.reads_body());
        if !reads || unseen::is_unread(&self.stage.own, parts) {
            let empty = |transaction: &mut Transaction| transaction.request_body(b"");
            let verdict = if has_body { self.with(Transaction::request_body_unread) } else { self.with(empty) };
            return self.judge(verdict, app);
        }
        let unseen = unseen::before(parts, self.choice.max_body);
        let Some(fault) = unseen else {
            self.wants_body = true;
            return Ok(());
        };
        let looks = fault == Fault::Large && self.policy.looks_at_part();
        self.meet(fault, app)?;
        if looks {
            self.wants_body = true;
            return Ok(());
        }
        let verdict = self.with(Transaction::request_body_unread);
        self.judge(verdict, app)
    }

    /// Phase 2 on this thread.
    fn phase_2(&mut self, body: &Bytes, app: &App) -> Result<(), Fault> {
        let verdict = self.with(|transaction| transaction.request_body(body));
        self.body_judged(verdict, app)
    }

    /// What phase 2 said; a body that is not what it says is a matter of its own.
    fn body_judged(&mut self, verdict: Verdict, app: &App) -> Result<(), Fault> {
        self.judge(verdict, app)?;
        let faulty = self.transaction.as_ref().is_some_and(|transaction| transaction.body_fault().is_some());
        if faulty && !self.part { self.meet(Fault::Malformed, app) } else { Ok(()) }
    }

    fn with(&mut self, ask: impl FnOnce(&mut Transaction) -> Verdict) -> Verdict {
        self.transaction.as_mut().map_or(Verdict::Pass, |transaction| ask(transaction))
    }

    fn judge(&mut self, verdict: Verdict, app: &App) -> Result<(), Fault> {
        Fault::of(verdict).map_or(Ok(()), |fault| self.meet(fault, app))
    }

    /// Something is the matter: it is counted once, and refused or noted.
    fn meet(&mut self, fault: Fault, app: &App) -> Result<(), Fault> {
        if self.note.as_ref() == Some(&fault) {
            return Ok(());
        }
        self.count(&fault, app);
        if self.policy.refuses(&fault) {
            return Err(fault);
        }
        self.note.get_or_insert(fault);
        Ok(())
    }

    fn count(&self, fault: &Fault, app: &App) {
        let metrics = &app.metrics;
        match fault {
            Fault::Attack { .. } => {}
            Fault::Large | Fault::Limit | Fault::Coded => metrics.web_attack_over_limit.up(),
            Fault::Budget => metrics.web_attack_over_budget.up(),
            Fault::Malformed => metrics.web_attack_malformed_bodies.up(),
            Fault::Busy => metrics.web_attack_busy.up(),
            Fault::Failed => metrics.web_attack_failed.up(),
        }
    }

    /// Ends it: nothing of the request or its answer is left to look at.
    pub fn end(mut self, app: &App, journey: &mut Journey) {
        self.finish(None, app, journey);
    }

    /// Ends it with a refusal.
    fn refuse(&mut self, fault: &Fault, app: &App, h2: bool, journey: &mut Journey) -> Refusal {
        let (refusal, location) = journey.with_id(|id| verdict::refusal(fault, id.unwrap_or_default(), h2));
        self.finish(Some((fault, location)), app, journey);
        refusal
    }

    /// Ends it: phase 5, the record, the figures.
    fn finish(&mut self, refused: Option<(&Fault, Option<http::HeaderValue>)>, app: &App, journey: &mut Journey) {
        let refused_by = refused.as_ref().map(|(fault, _)| *fault);
        // What was refused for anything else has no score to report.
        let mut record = match self.transaction.take() {
            Some(mut transaction) => {
                transaction.logging();
                let record = Record::of(&transaction, self.policy.mode, &self.stage.own.mask);
                self.stage.give_back(transaction);
                record
            }
            None => Record::empty(self.policy.mode),
        };
        let block = Policy { mode: WebAttackMode::Block, ..self.policy };
        let noted = refused_by.or(self.note.as_ref());
        record.note = noted.filter(|fault| !matches!(fault, Fault::Attack { .. })).map(Fault::word);
        record.refused = refused_by.is_some();
        let would = record.is_disruptive() || noted.is_some_and(|fault| block.refuses(fault));
        record.detected = self.policy.mode == WebAttackMode::Detect && would;
        record.location = refused.and_then(|(_, location)| location);
        if record.refused {
            app.metrics.web_attacks_refused.up();
        }
        if record.detected {
            app.metrics.web_attacks_detected.up();
        }
        for id in record.ids() {
            let figures = app.metrics.labelled.rule(&format!("web-attack:{id}"));
            if record.refused { figures.refused.up() } else { figures.observed.up() }
        }
        if let Some(beside) = self.beside.take() {
            beside.compare(&record, &app.metrics);
        }
        if !record.is_empty() {
            journey.attacked(record);
        }
    }
}

impl Drop for Inspection {
    /// The client left in the middle.
    fn drop(&mut self) {
        if let Some(transaction) = self.transaction.take() {
            self.stage.give_back(transaction);
        }
    }
}
