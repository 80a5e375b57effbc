//! The first step of a start: everybody has judged the configuration and agrees to serve it, or nobody serves (decision 0023).

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use common::agreement::Judgement;
use tokio::time::timeout;

use super::changed::Changed;
use super::children::Keeper;
use crate::check::complaint_of;
use crate::say::span;

/// How long judging may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until every process has agreed to serve the text with this digest.
///
/// # Errors
/// What they have against it, all of it; or who proved unable to start.
pub async fn reach(keepers: &[Rc<Keeper>], changed: &Changed, file: &Path, digest: &str) -> Result<(), String> {
    let look = || judged(keepers, file, digest);
    timeout(DEADLINE, changed.until(look)).await.unwrap_or_else(|_| {
        let silent = keepers.iter().filter(|keeper| keeper.judgement().is_none());
        let silent: Vec<String> = silent.map(|keeper| keeper.name()).collect();
        Err(format!("error: no verdict after {}: {}", span(DEADLINE), silent.join(", ")))
    })
}

/// `None`: somebody still ponders.
fn judged(keepers: &[Rc<Keeper>], file: &Path, digest: &str) -> Option<Result<(), String>> {
    let judgements: Vec<Option<Judgement>> = keepers.iter().map(|keeper| keeper.judgement()).collect();
    let given_up = keepers.iter().find_map(|keeper| keeper.given_up());
    if given_up.is_none() && judgements.iter().any(Option::is_none) {
        return None;
    }
    let mut complaints = complaints(keepers, &judgements);
    complaints.extend(given_up.map(|why| format!("error: {why}; its own lines above say why")));
    if !complaints.is_empty() {
        return Some(Err(complaints.join("\n")));
    }
    let same = |judged: &Option<Judgement>| *judged == Some(Judgement::Agreed(digest.to_owned()));
    if judgements.iter().all(same) {
        return Some(Ok(()));
    }
    Some(Err(format!("error: {} was changed while it was judged; nothing was started: try again", file.display())))
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
