//! Takes a question from process to process: each says where the request would go next.

use std::time::Duration;

use common::ipc::messages::control::{Control, ControlReply};
use common::ipc::messages::explain::{Explain, Explained, Then};
use common::process::Process;

use super::words::RequestOrder;
use crate::ask::{Crew, event_loop, one};

/// How long a process may take: the way out looks names up.
const DEADLINE: Duration = Duration::from_secs(6);
/// No request meets more processes.
const MOST: usize = 4;

/// What one process said.
#[derive(Debug)]
pub struct Stage {
    /// Which.
    pub process: Process,
    /// Which instance of it.
    pub instance: u32,
    /// The file that it works with.
    pub file: String,
    /// Its decisions.
    pub explained: Explained,
}

/// All that would happen.
///
/// # Errors
/// When a process that it would meet does not answer.
pub fn walk(crew: &Crew, order: RequestOrder) -> Result<Vec<Stage>, String> {
    let mut question = order.question;
    let mut next = Some(if order.proxy { Process::ForwardProxy } else { Process::SniRouter });
    let mut stages = Vec::new();
    event_loop()?.block_on(async {
        while let Some(process) = next.take().filter(|_| stages.len() < MOST) {
            let stage = ask(crew, process, &question).await?;
            question.identity = stage.explained.identity.clone();
            next = match stage.explained.then.clone() {
                Then::Ends => None,
                Then::Terminator => Some(Process::TlsTerminator),
                Then::Filter(protocol) => {
                    question.protocol = protocol;
                    Some(Process::HttpFilter)
                }
                Then::Relay(reach) => {
                    question.reach = Some(reach);
                    Some(Process::PassthroughRelay)
                }
            };
            stages.push(stage);
        }
        Ok(stages)
    })
}

/// The first instance that answers: all of them work with the same configuration.
async fn ask(crew: &Crew, process: Process, question: &Explain) -> Result<Stage, String> {
    let mut why = format!("it does not run in {}", crew.runtime_dir.display());
    for target in crew.targets.iter().filter(|target| target.process == process) {
        let question = Control::Explain(Box::new(question.clone()));
        match one(&target.socket, &question, DEADLINE).await {
            Ok(ControlReply::Explained(file, explained)) => {
                let (file, instance) = (file.into(), target.instance);
                return Ok(Stage { process, instance, file, explained: *explained });
            }
            Ok(ControlReply::Refused(reasons)) => why = reasons.join("; "),
            Ok(_) => "answered something else: another release?".clone_into(&mut why),
            Err(silence) => why = silence.to_string(),
        }
    }
    Err(format!("error: the request would meet {process}, which cannot be asked: {why}"))
}
