//! Stopping in order: first nothing new comes in, then what is inside goes out the way it came, the way out last.
//!
//! A process that is told to stop finishes what it has begun. Its time is bounded; a second signal to the launcher ends the
//! patience at once.

use std::rc::Rc;
use std::time::{Duration, Instant};

use common::process::Process;

use super::changed::Changed;
use super::children::Keeper;
use super::house::House;
use super::signals::Signals;

/// Who stops together.
const STAGES: [&[Process]; 4] = [
    &[Process::SniRouter, Process::ForwardProxy],
    &[Process::TlsTerminator],
    &[Process::HttpFilter],
    &[Process::PassthroughRelay],
];
const PER_STAGE: Duration = Duration::from_secs(5);
const ALL_STAGES: Duration = Duration::from_secs(15);
/// What the stages before must leave to each one after them.
const RESERVED: Duration = Duration::from_secs(1);
/// SIGKILL cannot be refused, but a process can hang inside the kernel.
const AFTER_KILL: Duration = Duration::from_secs(2);

/// Ends every process. Nobody is started again from here on.
pub async fn in_order(house: &House, signals: &mut Signals) {
    house.close();
    let (keepers, changed) = (house.keepers(), house.changed());
    let begun = Instant::now();
    let mut patient = true;
    for (stage, processes) in (1u32..).zip(STAGES) {
        let members: Vec<&Rc<Keeper>> = keepers.iter().filter(|keeper| processes.contains(&keeper.process())).collect();
        members.iter().for_each(|keeper| keeper.terminate());
        if patient {
            let later = u32::try_from(STAGES.len()).unwrap_or(u32::MAX).saturating_sub(stage);
            let time = budget(begun.elapsed(), later);
            tokio::select! {
                done = all_gone(&members, changed, time) => if !done {
                    tracing::warn!("{} did not finish within {time:?} and must be killed", names(&members));
                },
                signal = signals.end() => {
                    tracing::warn!("{signal} again: killing what is left");
                    patient = false;
                }
            }
        }
        members.iter().for_each(|keeper| keeper.kill());
        if !all_gone(&members, changed, AFTER_KILL).await {
            tracing::error!("{} did not end even when killed: they hang inside the kernel", names(&members));
        }
    }
}

/// Ends every process at once: nothing was served, and whoever started us is told why by one line of ours.
pub async fn at_once(house: &House) {
    house.close();
    let (keepers, changed) = (house.keepers(), house.changed());
    keepers.iter().for_each(|keeper| keeper.dismiss());
    let members: Vec<&Rc<Keeper>> = keepers.iter().collect();
    if !all_gone(&members, changed, AFTER_KILL).await {
        tracing::error!("{} did not end even when killed: they hang inside the kernel", names(&members));
    }
}

/// What a stage may use when so much is used up and so many stages come after it.
fn budget(used: Duration, later: u32) -> Duration {
    PER_STAGE.min(ALL_STAGES.saturating_sub(used).saturating_sub(RESERVED * later))
}

async fn all_gone(members: &[&Rc<Keeper>], changed: &Changed, time: Duration) -> bool {
    let all = changed.until(|| members.iter().all(|keeper| keeper.gone()).then_some(()));
    tokio::time::timeout(time, all).await.is_ok()
}

fn names(members: &[&Rc<Keeper>]) -> String {
    let left = members.iter().filter(|keeper| !keeper.gone()).map(|keeper| keeper.name());
    left.collect::<Vec<String>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_stage_and_all_stages_fit() {
        for process in Process::ALL {
            assert_eq!(STAGES.iter().filter(|stage| stage.contains(&process)).count(), 1, "{process}");
        }
        let mut used = Duration::ZERO;
        for later in (0..4).rev() {
            let time = budget(used, later);
            assert!(time >= RESERVED, "stage with {later} after it: {time:?}");
            used += time;
        }
        assert!(used <= ALL_STAGES, "{used:?}");
    }
}
