//! `bulkhead drain POOL SERVER`: asks every process that balances the pool to give the server nothing new; `undrain` takes it back.

use common::ipc::messages::control::{Control, ControlReply};
use common::process::Process;

use crate::ask::{Crew, Reply};
use crate::command_line::DrainOrder;
use crate::say::say;

/// Asks everybody who balances, and says who does it.
///
/// # Errors
/// Nobody knows the pool or the server, or somebody who may does not answer.
pub fn run(order: &DrainOrder) -> Result<(), String> {
    let mut crew = Crew::at(&order.place)?;
    crew.targets.retain(|target| matches!(target.process, Process::HttpFilter | Process::PassthroughRelay));
    let (pool, server) = (order.pool.as_str().into(), order.server.as_str().into());
    let replies = crew.ask(Control::DrainServer { pool, server, drain: order.drain })?;
    let Outcome { done, refused, silent } = sort(&replies);
    if !silent.is_empty() {
        return Err(format!("{}\nit may still be used there; done by: {}", silent.join("\n"), list(&done)));
    }
    if done.is_empty() {
        return Err(refused.join("\n"));
    }
    let what = if order.drain { "gets nothing new" } else { "is used again" };
    say(&format!("{} of {} {what}: {}", order.server, order.pool, list(&done)));
    Ok(())
}

struct Outcome {
    done: Vec<String>,
    refused: Vec<String>,
    silent: Vec<String>,
}

/// A pool is used by one of the two kinds of process or by both, so a refusal alone is no failure.
fn sort(replies: &[Reply]) -> Outcome {
    let mut outcome = Outcome { done: Vec::new(), refused: Vec::new(), silent: Vec::new() };
    for (target, answer) in replies {
        let name = format!("{}@{}", target.process, target.instance);
        match answer {
            Ok(ControlReply::Done) => outcome.done.push(name),
            Ok(ControlReply::Refused(why)) => outcome.refused.push(format!("error: {name}: {}", why.join("; "))),
            Ok(_) => outcome.silent.push(format!("error: {name}: answered something else: another release?")),
            Err(silence) => outcome.silent.push(format!("error: {name}: {silence}")),
        }
    }
    if replies.is_empty() {
        outcome.refused.push("error: nobody balances anything here".to_owned());
    }
    outcome
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}
