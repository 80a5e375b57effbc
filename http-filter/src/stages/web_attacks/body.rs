//! The body of a request under inspection: read within limits, looked at here or on a thread, and left where the backend gets it from.

use bytes::Bytes;
use seclang::{Transaction, Verdict};

use super::verdict::Fault;
use super::{Inspected, Inspection, tell};
use crate::app::App;
use crate::journey::Journey;
use crate::response::Refusal;
use crate::upstream::body::{Ahead, BodyError, ClientBody};

/// Why a request does not go on.
#[derive(Debug)]
pub enum Stopped {
    /// It is refused.
    Refused(Refusal),
    /// Its body cannot be read.
    Unreadable(BodyError),
}

impl Inspection {
    /// Reads the body and judges it. What comes back is to be asked about the answer.
    ///
    /// # Errors
    /// The refusal, or why there is no body to send.
    pub async fn body(
        mut self: Box<Self>,
        app: &App,
        body: &mut ClientBody,
        h2: bool,
        journey: &mut Journey,
    ) -> Result<Option<Box<Self>>, Stopped> {
        let ahead = body.read_ahead(self.choice.max_body, &self.stage.holding).await;
        if let (Some(trailers), Some(transaction)) = (body.trailers(), &mut self.transaction) {
            tell::trailers(transaction, trailers);
        }
        let looked = match ahead {
            Err(error) => {
                self.finish(None, app, journey);
                return Err(Stopped::Unreadable(error));
            }
            Ok(Ahead::Whole) => self.look(body.ahead(), app, journey).await,
            Ok(Ahead::Larger) => self.look_at_part(body.ahead(), app, journey).await,
            Ok(Ahead::NoRoom) => self.pass_unseen(Fault::Busy, app),
        };
        match looked {
            Ok(()) if self.choice.responses => {
                self.wants_body = false;
                Ok(Some(self))
            }
            Ok(()) => {
                self.finish(None, app, journey);
                Ok(None)
            }
            Err(fault) => Err(Stopped::Refused(self.refuse(&fault, app, h2, journey))),
        }
    }

    async fn look_at_part(&mut self, body: Bytes, app: &App, journey: &Journey) -> Result<(), Fault> {
        self.meet(Fault::Large, app)?;
        if self.policy.looks_at_part() {
            self.part = true;
            self.look(body.slice(..body.len().min(self.choice.max_body)), app, journey).await
        } else {
            self.pass_unseen(Fault::Large, app)
        }
    }

    /// Judges the rest of the request, unless it is refused for this.
    fn pass_unseen(&mut self, fault: Fault, app: &App) -> Result<(), Fault> {
        self.meet(fault, app)?;
        let verdict = self.with(Transaction::request_body_unread);
        self.judge(verdict, app)
    }

    async fn look(&mut self, body: Bytes, app: &App, journey: &Journey) -> Result<(), Fault> {
        app.metrics.web_attack_bodies_inspected.add(u64::from(!body.is_empty()));
        if let Some(beside) = &mut self.beside {
            beside.body(&body);
        }
        if body.len() <= self.stage.own.inline_body {
            return self.phase_2(&body, app);
        }
        if !self.stage.threads.has_room() {
            return self.pass_unseen(Fault::Busy, app);
        }
        match self.elsewhere(journey, move |transaction| transaction.request_body(&body)).await {
            Ok(verdict) => self.body_judged(verdict, app),
            Err(fault) => self.meet(fault, app),
        }
    }

    /// Asks on an inspection thread.
    pub(super) async fn elsewhere(
        &mut self,
        journey: &Journey,
        ask: impl FnOnce(&mut Transaction) -> Verdict + Send + 'static,
    ) -> Result<Verdict, Fault> {
        let Some(mut transaction) = self.transaction.take() else { return Ok(Verdict::Pass) };
        let mark = journey.mark();
        let handed = self.stage.threads.hand(Box::new(move |number| -> Inspected {
            let _at_work = mark.and_then(|mark| mark.at_work(number)); // should it end the process, the next life knows for whom
            let verdict = ask(&mut transaction);
            (transaction, verdict)
        }));
        let (transaction, verdict) = handed.ok_or(Fault::Busy)?.await.map_err(|_| {
            tracing::error!("an inspection failed: this is a mistake of ours, please report it");
            Fault::Failed
        })?;
        self.transaction = Some(transaction);
        Ok(verdict)
    }
}
