//! What the stage would say to a request that nobody sends: the very inspection that requests get, without a trace. Collections that outlive a
//! request are neither read nor changed, so a rule that counts requests says what it says to a client's first one.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use common::config::WebAttackMode;
use common::ipc::messages::explain::Step;
use common_access::Facts;
use http::request::Parts;
use seclang::Transaction;

use super::audit::Record;
use super::verdict::{self, Fault, Policy};
use super::{Inspection, WebAttacks, tell};
use crate::app::App;
use crate::connection::Connection;
use crate::normalise::Seen;
use crate::response::Refusal;

/// Hits that are told.
const HITS: usize = 16;

/// What comes of it.
pub struct Look {
    /// For the operator.
    pub step: Step,
    /// It is refused; `true`: only when its body has been read, which a route that answers itself never waits for.
    pub refusal: Option<(Refusal, bool)>,
}

/// `None` if the stage is off for every request.
pub fn look(
    app: &App,
    connection: &Connection,
    (seen, parts, known): (&Seen<'_>, &Parts, &Facts<'_>),
    body: Option<&[u8]>,
) -> Option<Look> {
    let stage = app.web_attacks.as_ref()?;
    let mut failures = 0;
    let choice = stage.scopes.choose(known, &mut failures);
    let names = stage.scopes.names(known);
    if choice.mode == WebAttackMode::Off {
        let step =
            named(Step::new("web-attacks", "not looked at: a scope says mode = \"off\", or nothing else does"), &names);
        return Some(Look { step, refusal: None });
    }
    let mut transaction = Box::new(Transaction::new(Arc::clone(&stage.rules.set), None));
    transaction.set_budget(stage.budget);
    transaction.begin(stage.clock.now() / 1000, b"explain");
    stage.scopes.apply(&choice, &mut transaction, known, &mut failures);
    tell::request(&mut transaction, connection, seen.client, parts, &seen.target.path);
    let policy = Policy {
        mode: choice.mode,
        over_limit: choice.over_limit,
        malformed_body: stage.own.malformed_body,
        over_budget: stage.own.over_budget,
    };
    let transaction = Some(transaction);
    let mut inspection = Inspection {
        stage: Rc::clone(stage),
        transaction,
        policy,
        choice,
        note: None,
        wants_body: false,
        part: false,
        beside: None,
    };
    let refused = inspection.whole(parts, body, app).err();
    // Taken out: it must not come back to live requests, because it keeps no collections.
    let transaction = inspection.transaction.take()?;
    let told =
        Told { stage, transaction: &transaction, refused: refused.as_ref(), note: inspection.note.as_ref(), policy };
    let mut step = named(told.step(), &names);
    step = match (body, inspection.wants_body) {
        (Some(_), false) => step.fact("body", "not looked at"),
        (Some(body), true) => {
            step.fact("body", format!("{} bytes, looked at before the request is sent on", body.len()))
        }
        (None, _) => step,
    };
    if let Some(shadow) = &stage.shadow
        && let Some(beside) = shadow.see(connection, (seen, parts, known), "explain")
    {
        let (record, refuses) = beside.now(body.filter(|_| inspection.wants_body));
        let word = if refuses { "would refuse" } else { "would pass" };
        step = step.fact("shadow rules", format!("{word} (score {}, rules {})", record.score, list(&record)));
    }
    let refusal =
        refused.map(|fault| (verdict::refusal(&fault, "(the request's id)", connection.h2).0, inspection.wants_body));
    Some(Look { step, refusal })
}

impl Inspection {
    /// All that [`super::judge`] and [`Inspection::body`] do, here and at once.
    fn whole(&mut self, parts: &Parts, body: Option<&[u8]>, app: &App) -> Result<(), Fault> {
        self.header(parts, body.is_some_and(|body| !body.is_empty()), app)?;
        if !self.wants_body {
            return Ok(());
        }
        let body = body.unwrap_or_default();
        self.phase_2(&Bytes::copy_from_slice(body.get(..self.choice.max_body).unwrap_or(body)), app)
    }
}

fn named(mut step: Step, [scopes, excludes]: &[Vec<Arc<str>>; 2]) -> Step {
    for (name, applied) in [("scopes", scopes), ("exclusions", excludes)] {
        if !applied.is_empty() {
            step = step.fact(name, applied.iter().map(|name| &**name).collect::<Vec<_>>().join(", "));
        }
    }
    step
}

fn list(record: &Record) -> &str {
    if record.rules.is_empty() { "none" } else { &record.rules }
}

/// What an inspection came to.
struct Told<'a> {
    stage: &'a WebAttacks,
    transaction: &'a Transaction,
    refused: Option<&'a Fault>,
    note: Option<&'a Fault>,
    policy: Policy,
}

impl Told<'_> {
    fn step(&self) -> Step {
        let record = Record::of(self.transaction, self.policy.mode, &self.stage.own.mask);
        let threshold = self.transaction.score("inbound_anomaly_score_threshold");
        let block = Policy { mode: WebAttackMode::Block, ..self.policy };
        let would = record.is_disruptive() || self.note.is_some_and(|fault| block.refuses(fault));
        let decision = match (self.refused, would) {
            (Some(Fault::Attack { rule, .. }), _) => format!("refused by rule {rule}"),
            (Some(fault), _) => format!("refused: {}", fault.word()),
            (None, true) => "would be refused in block mode; passes in detect mode".to_owned(),
            (None, false) if record.is_empty() => "no rule matches".to_owned(),
            (None, false) => "passes".to_owned(),
        };
        let mut step = Step::new("web-attacks", decision);
        if let Some(Fault::Attack { rule, .. }) = self.refused {
            step = step.by(&rule.to_string(), None);
        }
        step = step.fact("mode", if self.policy.mode == WebAttackMode::Detect { "detect" } else { "block" });
        step = step.fact("score", format!("{}, refused from {threshold} on", record.score));
        for (rule, words) in record.hits_in_words().take(HITS) {
            step = step.fact(&format!("rule {rule}"), words);
        }
        match self.note {
            Some(fault) => step.fact("not all was looked at", fault.word()),
            None => step,
        }
    }
}
