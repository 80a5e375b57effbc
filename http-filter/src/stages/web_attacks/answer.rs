//! Answers under inspection (phases 3 and 4), where the configuration wants it (`responses`): the head is judged, and of the types that rules name
//! as much of the body as they may look at, before the client gets the first byte. Everything else streams.
//!
//! Only a rule withholds an answer. One that cannot be looked at as a whole (too large, compressed although we asked for the plain text, no room)
//! passes, is counted and noted: it is the application's, not a stranger's.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use common_http::upstream::{ResponseBody, SendError};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, StatusCode};
use http_body::Body as _;
use seclang::{Transaction, Verdict};

use super::verdict::{self, Fault};
use super::{Inspection, tell};
use crate::app::App;
use crate::journey::Journey;
use crate::response::Refusal;
use crate::upstream::body::{Ahead, ClientBody};
use crate::upstream::held::{Gathered, Holding};
use crate::upstream::pool::{Answer, Busy, Streamed};
use crate::upstream::send::broken;

/// Why the client does not get an answer.
enum Withheld {
    /// A rule says so, or nobody could ask the rules.
    For(Fault),
    /// It broke off before the client was told that there is one.
    Broken(SendError),
}

impl From<Fault> for Withheld {
    fn from(fault: Fault) -> Self {
        Self::For(fault)
    }
}

impl Inspection {
    /// Judges the answer; it comes back as it was.
    ///
    /// # Errors
    /// What the client gets instead.
    pub async fn answer(
        mut self: Box<Self>,
        app: &App,
        mut answer: Answer,
        h2: bool,
        journey: &mut Journey,
    ) -> Result<Answer, Refusal> {
        match self.look_at_answer(app, &mut answer, h2, journey).await {
            Ok(()) => {
                self.finish(None, app, journey);
                Ok(answer)
            }
            Err(Withheld::For(fault)) => {
                journey.stage("web-attacks");
                let refusal = journey.with_id(|id| verdict::withheld(&fault, id.unwrap_or_default()));
                self.finish(Some((&fault, None)), app, journey);
                Err(refusal)
            }
            Err(Withheld::Broken(error)) => {
                self.finish(None, app, journey);
                Err(broken(app, &error))
            }
        }
    }

    async fn look_at_answer(
        &mut self,
        app: &App,
        answer: &mut Answer,
        h2: bool,
        journey: &Journey,
    ) -> Result<(), Withheld> {
        let status = answer.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(());
        }
        app.metrics.web_attack_answers_inspected.up();
        let protocol: &[u8] = if h2 { b"HTTP/2.0" } else { b"HTTP/1.1" };
        let verdict = self.with(|transaction| {
            tell::answer(transaction, answer.headers());
            transaction.response_headers(status.as_u16(), protocol)
        });
        self.answer_judged(verdict, app)?;
        if !self.transaction.as_ref().is_some_and(|transaction| transaction.wants_body().1) {
            return Ok(());
        }
        let coded = is_coded(answer.headers());
        let Streamed::Body(body, busy) = answer.body_mut() else { return Ok(()) };
        if coded {
            return Ok(self.overlook(Fault::Coded, app)?);
        }
        let most = self.stage.own.max_response_body;
        let (data, ahead) = read_ahead(body, busy, most, &self.stage.holding).await.map_err(Withheld::Broken)?;
        match ahead {
            Ahead::Whole => {}
            Ahead::Larger => self.overlook(Fault::Large, app)?,
            Ahead::NoRoom => return Ok(self.overlook(Fault::Busy, app)?),
        }
        app.metrics.web_attack_answer_bodies_inspected.up();
        let data = data.slice(..data.len().min(most));
        Ok(self.phase_4(data, app, journey).await?)
    }

    async fn phase_4(&mut self, data: Bytes, app: &App, journey: &Journey) -> Result<(), Fault> {
        if data.len() <= self.stage.own.inline_body {
            let verdict = self.with(|transaction| transaction.response_body(&data));
            return self.answer_judged(verdict, app);
        }
        if !self.stage.threads.has_room() {
            return self.overlook(Fault::Busy, app);
        }
        let ask = move |transaction: &mut Transaction| transaction.response_body(&data);
        match self.elsewhere(journey, ask).await {
            Ok(verdict) => self.answer_judged(verdict, app),
            Err(fault @ Fault::Failed) => self.meet(fault, app),
            Err(fault) => self.overlook(fault, app),
        }
    }

    fn answer_judged(&mut self, verdict: Verdict, app: &App) -> Result<(), Fault> {
        match Fault::of(verdict) {
            None => Ok(()),
            Some(fault @ Fault::Attack { .. }) => self.meet(fault, app),
            // The same that was the matter with the request already is said again.
            Some(fault) if self.note.as_ref() == Some(&fault) => Ok(()),
            Some(fault) => self.overlook(fault, app),
        }
    }

    /// It passes although rules have not seen all of it.
    fn overlook(&mut self, fault: Fault, app: &App) -> Result<(), Fault> {
        app.metrics.web_attack_answers_overlooked.up();
        self.note.get_or_insert(fault);
        Ok(())
    }
}

fn is_coded(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(CONTENT_ENCODING).iter();
    codings.into_iter().any(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}

/// Reads a backend's body to its end or until more than `most` bytes are there, and gives all of it back to the body. Its deadlines hold.
async fn read_ahead(
    body: &mut ResponseBody<ClientBody>,
    busy: &Busy,
    most: usize,
    holding: &Holding,
) -> Result<(Bytes, Ahead), SendError> {
    let mut gathered = Gathered::new(holding, 0);
    let mut trailers = None;
    let ahead = loop {
        if body.is_end_stream() {
            break Ahead::Whole;
        }
        let next = poll_fn(|cx| match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Pending if busy.is_overdue(cx) => Poll::Ready(Some(Err(SendError::Overdue))),
            polled => polled,
        });
        let Some(frame) = next.await else { break Ahead::Whole };
        let data = match frame?.into_data() {
            Ok(data) => data,
            Err(frame) => {
                trailers = Some(frame);
                break Ahead::Whole;
            }
        };
        let last = body.is_end_stream();
        if !gathered.add(data, last) {
            break Ahead::NoRoom;
        }
        if gathered.len() > most {
            break Ahead::Larger;
        }
    };
    let data = gathered.finish();
    body.put_back(data.clone(), trailers);
    Ok((data, ahead))
}
