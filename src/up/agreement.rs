//! The first step of a start: everybody has judged the configuration and agrees to serve it, or nobody serves (decision 0023).

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use common::agreement::Judgement;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::children::Keeper;
use crate::check::complaint_of;
use crate::say::span;

/// How long judging may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until every process has agreed to serve the text with this digest.
///
/// # Errors
/// What they have against it, all of it; or who proved unable to start.
pub async fn reach(keepers: &[Rc<Keeper>], changed: &Notify, file: &Path, digest: &str) -> Result<(), String> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let judgements: Vec<Option<Judgement>> = keepers.iter().map(|keeper| keeper.judgement()).collect();
        let given_up = keepers.iter().find_map(|keeper| keeper.given_up());
        if given_up.is_some() || judgements.iter().all(Option::is_some) {
            let mut complaints = complaints(keepers, &judgements);
            complaints.extend(given_up);
            if !complaints.is_empty() {
                return Err(complaints.join("\n"));
            }
            let same = |judged: &Option<Judgement>| *judged == Some(Judgement::Agreed(digest.to_owned()));
            if judgements.iter().all(same) {
                return Ok(());
            }
            return Err(format!(
                "error: {} was changed while it was judged; nothing was started: try again",
                file.display()
            ));
        }
        if timeout_at(deadline, changed.notified()).await.is_err() {
            let silent = keepers.iter().zip(&judgements).filter(|(_, judged)| judged.is_none());
            let silent: Vec<String> = silent.map(|(keeper, _)| keeper.name()).collect();
            return Err(format!("error: no verdict after {}: {}", span(DEADLINE), silent.join(", ")));
        }
    }
}

/// What was said, once for all instances of a process.
fn complaints(keepers: &[Rc<Keeper>], judgements: &[Option<Judgement>]) -> Vec<String> {
    let mut said = BTreeSet::new();
    let all = keepers.iter().zip(judgements).filter_map(|(keeper, judged)| match judged {
        Some(Judgement::Refused(text)) => Some(complaint_of(keeper.process(), text)),
        _ => None,
    });
    all.filter(|complaint| said.insert(complaint.clone())).collect()
}
