//! Stands in for any of the five processes: starts as they do, answers control as they do, and fails on command.
//!
//! Which process it is, it learns from its own name. What is to go wrong stands in `<process>.behaviour` beside the
//! configuration: `refuse TEXT` (its check fails), `exit CODE` (at once), `stop MILLISECONDS` (after so long with code 7),
//! `leave MILLISECONDS` (stops serving after so long, untold), `vanish MILLISECONDS` (after so long with code 0),
//! `stay` (SIGTERM does not end it), `linger MILLISECONDS` (SIGTERM ends it after so long), `mute` (starts and never serves), `ponder` (judges for as long as that stands there), `edit` (the
//! file is another one when it reads it).

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use common::budget::{Budget, need};
use common::config::Config;
use common::ipc::directory::Directory;
use common::process::Process;
use common::reload::Commit;
use common::sandbox::Policy;
use common::startup::{Component, Context, HasFigures, Opening, StartError};
use common::wiring::EDGES;
use tokio::io::AsyncWriteExt;

common::figures! {
    /// What the tests look at.
    struct Figures {
        accepted: "connections accepted",
        edges_reached: "receivers that could be connected to",
        sockets_received: "edge sockets that were inherited",
    }
}

struct Opened {
    listeners: Vec<OwnedFd>,
    senders: Vec<Directory>,
    behaviour: String,
    figures: Figures,
}

impl HasFigures<Figures> for Opened {
    fn figures(&self) -> Figures {
        self.figures.clone()
    }
}

fn main() -> ExitCode {
    let process: Process = own_name().parse().unwrap();
    let component = Component {
        process,
        policy: Box::leak(Box::new(Policy::strict(process))),
        stricter: |_| None,
        figures: Figures::TABLE,
        check: |_, _| {
            while behaviour() == "ponder" {
                std::thread::sleep(Duration::from_millis(5));
            }
            match behaviour().strip_prefix("refuse ") {
                Some(text) => Err(vec![text.to_owned()]),
                None => Ok(()),
            }
        },
        budget: |_| Budget { connections: 5, descriptors: vec![need(50, "", "what it has")], ..Budget::default() },
    };
    if behaviour() == "edit" {
        let text = std::fs::read_to_string(config_file()).unwrap();
        std::fs::write(config_file(), text + "# edited\n").unwrap();
    }
    common::startup::run(&component, |opening| open(process, opening), serve)
}

fn own_name() -> String {
    std::env::current_exe().unwrap().file_name().unwrap().to_str().unwrap().to_owned()
}

fn config_file() -> PathBuf {
    let mut words = std::env::args_os().map(PathBuf::from);
    words.find(|word| word.extension().is_some_and(|end| end == "toml")).unwrap()
}

fn behaviour() -> String {
    let file = config_file().with_file_name(format!("{}.behaviour", own_name()));
    std::fs::read_to_string(file).unwrap_or_default().trim().to_owned()
}

fn open(process: Process, opening: &mut Opening) -> Result<Opened, StartError> {
    let behaviour = behaviour();
    if let Some(code) = behaviour.strip_prefix("exit ") {
        eprintln!("{process}: exiting as told");
        std::process::exit(code.parse().unwrap());
    }
    let figures = Figures::default();
    let names: Vec<String> = listener_names(process, &opening.config);
    let listeners = names.iter().map(|name| opening.listeners(name)).collect::<Result<Vec<_>, _>>()?;
    let senders = EDGES.iter().filter(|edge| edge.sender == process).flat_map(|edge| opening.edge_to(edge)).collect();
    for edge in EDGES.iter().filter(|edge| edge.receiver == process) {
        if let Ok(socket) = opening.edge_from(edge) {
            figures.sockets_received.up();
            std::mem::forget(socket); // stays open for as long as the process lives
        }
    }
    std::fs::write(config_file().with_file_name(format!("{process}.opened")), "").unwrap();
    Ok(Opened { listeners: listeners.into_iter().flatten().collect(), senders, behaviour, figures })
}

fn listener_names(process: Process, config: &Config) -> Vec<String> {
    match process {
        Process::SniRouter => config.sni_router.listen.iter().map(|one| one.descriptor_name()).collect(),
        Process::ForwardProxy => config.forward_proxy.listen.iter().map(|one| one.descriptor_name()).collect(),
        _ => Vec::new(),
    }
}

async fn serve(opened: Opened, context: Context) {
    let Opened { listeners, senders, behaviour, figures } = opened;
    if behaviour == "mute" {
        std::thread::sleep(Duration::from_secs(3600)); // blocks the event loop
    }
    let reached = senders
        .iter()
        .map(|edge| edge.instances().unwrap().iter().filter(|instance| edge.connect(instance).is_ok()).count());
    figures.edges_reached.set(u64::try_from(reached.sum::<usize>()).unwrap());
    for listener in listeners {
        let listener = tokio::net::TcpListener::from_std(listener.into()).unwrap();
        tokio::task::spawn_local(answer(listener, figures.clone()));
    }
    if let Some(time) = behaviour.strip_prefix("stop ") {
        tokio::time::sleep(Duration::from_millis(time.parse().unwrap())).await;
        std::process::exit(7);
    }
    if let Some(time) = behaviour.strip_prefix("vanish ") {
        tokio::time::sleep(Duration::from_millis(time.parse().unwrap())).await;
        std::process::exit(0);
    }
    if let Some(time) = behaviour.strip_prefix("leave ") {
        return tokio::time::sleep(Duration::from_millis(time.parse().unwrap())).await;
    }
    context.on_reload(|_, _| std::future::ready(Ok(Box::new(|| {}) as Commit)));
    context.stopping().await;
    if let Some(time) = behaviour.strip_prefix("linger ") {
        tokio::time::sleep(Duration::from_millis(time.parse().unwrap())).await;
    }
    if behaviour == "stay" {
        std::future::pending::<()>().await;
    }
}

/// Says who it is and closes.
async fn answer(listener: tokio::net::TcpListener, figures: Figures) {
    loop {
        let Ok((mut client, _)) = listener.accept().await else { return };
        figures.accepted.up();
        let _ = client.write_all(format!("{} {}\n", own_pid(), client.nodelay().unwrap()).as_bytes()).await;
    }
}

fn own_pid() -> u32 {
    std::process::id()
}
