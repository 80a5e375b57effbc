//! `bulkhead scale PROCESS N`: more or fewer instances, while everything goes on. More: the lowest free numbers are started, and if one
//! of them does not serve, all of them are stopped again. Fewer: those with the highest numbers finish what they have begun.

use std::time::Instant;

use common::process::Process;

use crate::ask::event_loop;
use crate::command_line::ScaleOrder;
use crate::instances::{Instances, free_numbers, serve};
use crate::say::{say, span};

/// Does it, and says how to make it last.
///
/// # Errors
/// Why it stays as it was, or what did not finish.
pub fn run(order: &ScaleOrder) -> Result<(), String> {
    let begun = Instant::now();
    let ScaleOrder { process, count, place } = order;
    let instances = Instances::at(place)?;
    let before = instances.of(*process);
    if before.is_empty() {
        return Err(format!("error: no {process} runs here: the configuration does not need it, or it is stopped"));
    }
    event_loop()?.block_on(async {
        change(&instances, *process, *count, &before).await?;
        let now = instances.of(*process);
        say(&format!("{process}: {}, after {}", serve(&now), span(begun.elapsed())));
        say(&instances.how_to_keep(*process, &now, &before).await);
        Ok(())
    })
}

async fn change(instances: &Instances, process: Process, count: usize, before: &[u32]) -> Result<(), String> {
    if let Some(more) = count.checked_sub(before.len()).filter(|more| *more > 0) {
        let started = instances.start(process, &free_numbers(before, more)).await;
        return started.map_err(|why| format!("{why}\nnothing has changed: {process}: {}", serve(before)));
    }
    let fewer = before.len().saturating_sub(count);
    let last: Vec<u32> = before.iter().rev().take(fewer).copied().collect();
    instances.stop(process, &last).await
}
