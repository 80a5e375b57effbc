//! The guard in the pipeline: the first that a request meets, before anything reads it.

use std::pin::pin;

use common::config::HttpFilter;
use http::{Request, StatusCode};
use hyper::body::Incoming;

use super::{Admission, Noted};
use crate::app::App;
use crate::connection::Connection;
use crate::response::Refusal;

/// How many deaths are too many; `None`: the guard is off.
pub fn limit(filter: &HttpFilter) -> Option<u64> {
    Some(u64::from(filter.max_deaths)).filter(|max| *max > 0)
}

/// Notes a request, or refuses it. Of one that is refused nothing is read any more: its headers are gone.
pub fn enter(app: &App, connection: &Connection, request: &mut Request<Incoming>) -> (Option<Noted>, Option<Refusal>) {
    let (Some(journal), Some(max)) = (&connection.journal, limit(&app.config)) else { return (None, None) };
    match journal.enter(request, max) {
        Admission::Noted(noted) => (Some(noted), None),
        Admission::Full => {
            app.metrics.journal_full.up();
            (None, None)
        }
        Admission::Refused(fingerprint) => {
            request.headers_mut().clear();
            app.metrics.query_of_death_refused.up();
            (None, Some(refusal(fingerprint, !connection.h2)))
        }
    }
}

/// 500 and not 503: nobody who balances over several of us should try it at the next.
fn refusal(fingerprint: u64, close: bool) -> Refusal {
    let reason = format!(
        "This server has failed at requests like this one and does not take it again for now. Tell its operator this fingerprint: \
         {fingerprint:016x}."
    );
    Refusal {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        reason: reason.into(),
        rule: Some("http-filter.max_deaths".into()),
        decision: "query-of-death",
        close,
    }
}

/// Does the work of a request, which is known to be at work each time that its own code runs.
pub async fn watch<T>(noted: Option<&Noted>, work: impl Future<Output = T>) -> T {
    let Some(noted) = noted else { return work.await };
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        let _at_work = noted.at_work();
        work.as_mut().poll(context)
    })
    .await
}
