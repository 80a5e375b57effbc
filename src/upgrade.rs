//! `bulkhead upgrade [PROCESS]`: the programs that are on the disk now take the place of those that run. The new generation starts beside
//! the old one; only when all of it serves, the old one finishes what it has begun, hands its living connections on and ends. If the
//! new one does not serve it is stopped, and the old one goes on as if nothing had happened.
//!
//! Receivers first: what a sender of the new release may want must be there before it comes.

use std::time::Instant;

use common::complain::complain;
use common::process::Process;

use crate::ask::event_loop;
use crate::check::{self, Why};
use crate::command_line::UpgradeOrder;
use crate::instances::{Instances, free_numbers, list, serve};
use crate::reload::ORDER;
use crate::say::{say, span};

/// Replaces one process or all, and says what came of each.
///
/// # Errors
/// Who does not serve in its new form, and why; it goes on in its old one.
pub fn run(order: &UpgradeOrder) -> Result<(), String> {
    let instances = Instances::at(&order.place)?;
    let meant = |process: &Process| order.process.is_none_or(|one| one == *process);
    let there: Vec<Process> =
        ORDER.into_iter().filter(meant).filter(|process| !instances.of(*process).is_empty()).collect();
    if there.is_empty() {
        let who = order.process.map_or("bulkhead", Process::name);
        return Err(format!("error: no {who} runs here: there is nothing to upgrade"));
    }
    if let Some(file) = instances.file() {
        // What starts now reads the file as it is now. The new programs judge it before anything is touched.
        check::judge(&file, Why::Reload).map_err(|why| format!("{why}\nnothing was upgraded"))?;
    }
    event_loop()?.block_on(async {
        for (done, process) in there.iter().enumerate() {
            let outcome = replace(&instances, *process).await;
            let told = outcome.map_err(|why| failure(&why, there.get(..done).unwrap_or_default(), order))?;
            say(&told);
        }
        match order.process {
            None => instances.start_page_again().await.map_err(|why| format!("error: page of figures: {why}")),
            Some(_) => Ok(()),
        }
    })
}

fn failure(why: &str, done: &[Process], order: &UpgradeOrder) -> String {
    let names: Vec<&str> = done.iter().map(|process| process.name()).collect();
    match (order.process, names.is_empty()) {
        (Some(_), _) | (None, true) => why.to_owned(),
        (None, false) => format!("{why}\nupgraded before that, and at work: {}", names.join(", ")),
    }
}

/// Replaces all instances of a process, as many at a time as there are free numbers.
async fn replace(instances: &Instances, process: Process) -> Result<String, String> {
    let begun = Instant::now();
    let before = instances.of(process);
    let was = version(instances, process, &before).await;
    let mut old = before.clone();
    while !old.is_empty() {
        let there = instances.of(process);
        let new = free_numbers(&there, old.len());
        if new.is_empty() {
            let most = there.len();
            return Err(format!(
                "error: {process}: {most} run and no more may: `bulkhead scale {process} {}` first",
                most - 1
            ));
        }
        let (now, later) = old.split_at(new.len());
        start(instances, process, &new, &there).await?;
        stop(instances, process, now).await;
        old = later.to_vec();
    }
    if instances.numbers_are_names() {
        // The second half: back to the numbers that are enabled, and have settings of their own.
        let bridge = instances.of(process);
        let missing: Vec<u32> = before.iter().filter(|number| !bridge.contains(number)).copied().collect();
        let spare: Vec<u32> = bridge.iter().filter(|number| !before.contains(number)).copied().collect();
        start(instances, process, &missing, &bridge).await?;
        stop(instances, process, &spare).await;
    }
    let after = instances.of(process);
    let is = version(instances, process, &after).await;
    let release = if was == is { is } else { format!("{was} → {is}") };
    let numbers = if before == after { list(&after) } else { format!("{} → {}", list(&before), list(&after)) };
    Ok(format!("{process}: {release}, instance {numbers}, after {}", span(begun.elapsed())))
}

async fn start(instances: &Instances, process: Process, new: &[u32], old: &[u32]) -> Result<(), String> {
    let started = instances.start(process, new).await;
    started.map_err(|why| format!("{why}\nrolled back: {process} goes on as it was: {}", serve(old)))
}

/// Who had to be killed is told; the new generation is at work all the same.
async fn stop(instances: &Instances, process: Process, old: &[u32]) {
    if let Err(why) = instances.stop(process, old).await {
        complain(why.replace("error: ", "warning: "));
    }
}

async fn version(instances: &Instances, process: Process, numbers: &[u32]) -> String {
    for number in numbers {
        if let Some(status) = instances.status(process, *number).await {
            return status.version.into();
        }
    }
    "unknown release".to_owned()
}
