//! `bulkhead metrics`: the figures of every process as one page for Prometheus, printed once or served on a port.
//!
//! The processes are asked over their control sockets and write their figures into streams that we give them. Nobody else
//! can ask them; so the port is served by a process of its own, which can do nothing else ([`serve`]).

mod page;
mod serve;

use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use common::ipc::ask::{AskError, ask_with};
use common::ipc::messages::control::{Control, ControlReply};
use common::observe::{exposition, page as own_page};
use tokio::net::UnixStream;

use crate::ask::{Crew, DEADLINE, Silence, Target};
use crate::command_line::MetricsOrder;
use crate::say::say;

pub use serve::run as serve;

/// How long all of the answer may take: the question, and the text.
const WHOLE: Duration = Duration::from_secs(5);

/// Prints the page.
///
/// # Errors
/// When somebody who is needed does not answer; the page of the others is printed.
pub fn run(order: &MetricsOrder) -> Result<(), String> {
    if order.serve {
        return serve(order);
    }
    let crew = Crew::to_observe(&order.place)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .map_err(|error| format!("error: cannot start an event loop: {error}"))?;
    let (text, silent) = runtime.block_on(gather(&crew.targets));
    say(&text);
    match (crew.targets.is_empty(), silent.is_empty()) {
        (true, _) => Err(format!("error: no bulkhead runs in {}", crew.runtime_dir.display())),
        (false, true) => Ok(()),
        (false, false) => Err(format!("error: no answer from {}", silent.join(", "))),
    }
}

/// Asks everybody at once. The page, and who did not answer.
async fn gather(targets: &[Target]) -> (String, Vec<String>) {
    let tasks: Vec<_> = targets
        .iter()
        .map(|target| {
            let socket = target.socket.clone();
            tokio::task::spawn_local(async move { one(&socket).await })
        })
        .collect();
    let (mut pages, mut silent) = (vec![String::new()], Vec::new());
    let mut up = String::from("# HELP bulkhead_up 1 if the process answered\n# TYPE bulkhead_up gauge\n");
    for (target, task) in targets.iter().zip(tasks) {
        let text = task.await.ok().and_then(Result::ok);
        let Target { process, instance, .. } = target;
        let answered = u8::from(text.is_some());
        up.push_str(&format!("bulkhead_up{{process=\"{process}\",instance=\"{instance}\"}} {answered}\n"));
        match text {
            Some(text) => pages.push(text),
            None => silent.push(format!("{process}@{instance}")),
        }
    }
    if let Some(first) = pages.first_mut() {
        *first = up;
    }
    (exposition::merge(&pages), silent)
}

fn broken(error: std::io::Error) -> Silence {
    Silence::Other(AskError::Connect(error))
}

/// The text of one process.
async fn one(socket: &Path) -> Result<String, Silence> {
    let talk = async {
        let (ours, theirs) = UnixStream::pair().map_err(broken)?;
        let theirs = theirs.into_std().map_err(broken)?;
        let stream = [theirs.as_fd()];
        let asked = ask_with(socket, &Control::Metrics, &stream);
        let reply: ControlReply =
            tokio::time::timeout(DEADLINE, asked).await.map_err(|_| Silence::NoAnswer(DEADLINE))??;
        drop(theirs); // the text ends when the process has written it
        match reply {
            ControlReply::Done => own_page::receive(ours).await.map_err(broken),
            _ => Err(Silence::NoAnswer(DEADLINE)),
        }
    };
    tokio::time::timeout(WHOLE, talk).await.unwrap_or(Err(Silence::NoAnswer(WHOLE)))
}
