//! `bulkhead up`: the launcher for machines without systemd. It speaks the same protocol, so the processes cannot tell the
//! difference: inherited sockets, one directory per edge, one control socket each.
//!
//! [`run`] is the whole story. The launcher keeps every socket it made for as long as it lives, so a process that dies takes
//! no listener with it: clients wait in the kernel's queue until the next incarnation accepts them. It never accepts or
//! reads a client's connection itself, and while there are children it has one thread, because the kernel ties "be killed
//! with your parent" to the thread that started you.

mod agreement;
mod backoff;
mod children;
mod metrics_page;
mod port_owner;
mod reload;
mod runtime_dir;
mod signals;
mod sockets;
mod stop;
mod watch;

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::config::NamedFiles;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::fs::Mode;
use tokio::sync::Notify;

use crate::check::{self, Judged};
use crate::say::{count, say, span};
use children::{Keeper, Recipe, Shared};
use metrics_page::MetricsPage;
use runtime_dir::RuntimeDir;
use signals::{Signals, Wish};
use sockets::Sockets;
use watch::AtWork;

/// How long it may take until every process serves.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// Starts everything, supervises it, and stops it in order when told to.
///
/// # Errors
/// Why nothing was started, or why what was started had to be stopped again. Nothing is left behind in either case.
pub fn run(file: &Path) -> Result<(), String> {
    let file = std::path::absolute(file).map_err(|error| format!("error: {}: {error}", file.display()))?;
    let Judged { text, config, plan, .. } = check::look(&file, NamedFiles::Required)?;
    common::observe::log::start("bulkhead", &config.log);
    rustix::process::umask(Mode::from_raw_mode(0o077)); // what we make is for its owner alone; the processes inherit it
    raise_open_files();
    let mut home = RuntimeDir::claim(&config.bulkhead.runtime_dir)?;
    let sockets = Sockets::open(&plan, &mut home)?;
    let page = config.metrics.listen.map(|address| MetricsPage::new(address, &file)).transpose()?;
    let recipes = children::recipes(&plan, &file, home.path(), &sockets)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .map_err(|error| format!("error: cannot start an event loop: {error}"))?;
    let digest = text.digest();
    let at_work = AtWork::new(text, &config);
    drop((config, plan));
    let runtime_dir = home.path().to_owned();
    runtime.block_on(supervise(Launch { recipes, sockets, page, file, runtime_dir, digest, at_work }))
    // `home` goes last and takes the names of the sockets with it
}

/// Everything that is ready when the first process is started.
struct Launch {
    recipes: Vec<Recipe>,
    sockets: Sockets,
    page: Option<MetricsPage>,
    file: PathBuf,
    runtime_dir: PathBuf,
    digest: String,
    at_work: AtWork,
}

async fn supervise(launch: Launch) -> Result<(), String> {
    let Launch { recipes, sockets, page, file, runtime_dir, digest, at_work } = launch;
    let mut signals = Signals::listen().map_err(|error| format!("error: cannot listen for signals: {error}"))?;
    let begun = Instant::now();
    let shared = Rc::new(Shared::new(&runtime_dir));
    let keepers: Vec<Rc<Keeper>> = recipes.into_iter().map(|recipe| Keeper::start(recipe, &shared)).collect();
    let start = async {
        agreement::reach(&keepers, &shared.changed, &file, &digest).await?;
        let listening = open_the_doors(sockets, page.as_ref())?;
        shared.give_the_word();
        everybody_serves(&keepers, &shared.changed).await.map(|()| listening)
    };
    let outcome = tokio::select! {
        outcome = start => outcome,
        signal = signals.end() => {
            tracing::info!("{signal}: stopping before everybody served");
            stop::in_order(&keepers, &shared.changed, &mut signals).await;
            return Ok(());
        }
    };
    if outcome.is_err() && !shared.was_given_the_word() {
        stop::at_once(&keepers, &shared.changed).await;
        return outcome.map(drop);
    }
    if let Ok(listening) = &outcome {
        let _page = page.map(MetricsPage::start); // it ends when this ends: the last figures are of a living house
        let many = count(keepers.len(), "process serves", "processes serve");
        say(&format!("ready: {many} after {}; listening: {listening}", span(begun.elapsed())));
        let told = Rc::new(Notify::new());
        let reloading = reload::whenever(Rc::clone(&told), file.clone());
        let reloading = tokio::task::spawn_local(reloading);
        let watching = tokio::task::spawn_local(watch::watch(file, at_work, runtime_dir));
        let signal = loop {
            match signals.next().await {
                Wish::Reload => told.notify_one(),
                Wish::End(signal) => break signal,
            }
        };
        tracing::info!("{signal}: stopping");
        reloading.abort();
        watching.abort();
    }
    stop::in_order(&keepers, &shared.changed, &mut signals).await;
    outcome.map(drop)
}

/// Lets clients in, and lets go of the listeners: the keepers hold what the processes need. Says where clients get in.
fn open_the_doors(sockets: Sockets, page: Option<&MetricsPage>) -> Result<String, String> {
    sockets.listen()?;
    page.map_or(Ok(()), MetricsPage::listen)?;
    Ok(sockets.listening().join(", "))
}

/// Waits until every process has answered once, or until one of them has proved unable to start.
async fn everybody_serves(keepers: &[Rc<Keeper>], changed: &Notify) -> Result<(), String> {
    let deadline = Instant::now() + READY_DEADLINE;
    loop {
        if let Some(why) = keepers.iter().find_map(|keeper| keeper.given_up()) {
            return Err(why);
        }
        let late: Vec<String> = keepers.iter().filter(|keeper| !keeper.served()).map(|keeper| keeper.name()).collect();
        if late.is_empty() {
            return Ok(());
        }
        if tokio::time::timeout_at(deadline.into(), changed.notified()).await.is_err() {
            return Err(format!("error: not serving after {}: {}", span(READY_DEADLINE), late.join(", ")));
        }
    }
}

/// Every connection costs a few descriptors, and the processes inherit our limit.
fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(soft, hard)| if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) });
    if let Err(error) = raised {
        tracing::warn!("the limit of open files stays as it is: {error}");
    }
}
