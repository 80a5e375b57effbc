//! `bulkhead up`: the launcher for machines without systemd. It speaks the same protocol, so the processes cannot tell the
//! difference: inherited sockets, one directory per edge, one control socket each.
//!
//! [`run`] is the whole story. The launcher keeps every socket it made for as long as it lives, so a process that dies takes
//! no listener with it: clients wait in the kernel's queue until the next incarnation accepts them. It never accepts or
//! reads a client's connection itself, and while there are children it has one thread, because the kernel ties "be killed
//! with your parent" to the thread that started you.

mod agreement;
mod backoff;
mod changed;
mod children;
mod house;
mod last_words;
mod metrics_page;
mod orders;
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
use children::Recipe;
use house::House;
use metrics_page::MetricsPage;
use runtime_dir::RuntimeDir;
use signals::{Signals, Wish};
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
    let home = RuntimeDir::claim(&config.bulkhead.runtime_dir)?;
    let house = House::new(&plan, &file, &config, home)?; // outlives the runtime, and takes the names of the sockets with it
    let page = config.metrics.listen.map(|address| MetricsPage::new(address, &file)).transpose()?;
    let recipes = plan.instances().map(|(process, instance)| house.recipe(process, instance));
    let recipes = recipes.collect::<Result<Vec<Recipe>, String>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .map_err(|error| format!("error: cannot start an event loop: {error}"))?;
    let digest = text.digest();
    let at_work = AtWork::new(text, &config);
    drop((config, plan));
    let runtime_dir = house.runtime_dir();
    runtime.block_on(supervise(&house, Launch { recipes, page, file, runtime_dir, digest, at_work }))
}

/// Everything that is ready when the first process is started.
struct Launch {
    recipes: Vec<Recipe>,
    page: Option<MetricsPage>,
    file: PathBuf,
    runtime_dir: PathBuf,
    digest: String,
    at_work: AtWork,
}

async fn supervise(house: &Rc<House>, launch: Launch) -> Result<(), String> {
    let Launch { recipes, page, file, runtime_dir, digest, at_work } = launch;
    let mut signals = Signals::listen().map_err(|error| format!("error: cannot listen for signals: {error}"))?;
    let begun = Instant::now();
    let door = house.open_door()?;
    recipes.into_iter().for_each(|recipe| drop(house.keep(recipe)));
    let start = async {
        agreement::reach(&house.keepers(), house.changed(), &file, &digest).await?;
        page.as_ref().map_or(Ok(()), MetricsPage::listen)?;
        let listening = house.let_clients_in()?;
        common::sys::memory::give_back();
        everybody_serves(house).await.map(|()| listening)
    };
    let outcome = tokio::select! {
        outcome = start => outcome,
        signal = signals.end() => {
            tracing::info!("{signal}: stopping before everybody served");
            stop::in_order(house, &mut signals).await;
            return Ok(());
        }
    };
    if outcome.is_err() && !house.was_given_the_word() {
        stop::at_once(house).await;
        return outcome.map(drop);
    }
    if let Ok(listening) = &outcome {
        page.into_iter().for_each(|page| house.start_page(Rc::new(page)));
        let many = count(house.keepers().len(), "process serves", "processes serve");
        say(&format!("ready: {many} after {}; listening: {listening}", span(begun.elapsed())));
        let hearing = orders::hear(Rc::clone(house), door);
        serve(file, runtime_dir, at_work, &mut signals).await;
        hearing.abort();
    }
    stop::in_order(house, &mut signals).await;
    outcome.map(drop)
}

/// Until told to end: reloads when told, renews certificates.
async fn serve(file: PathBuf, runtime_dir: PathBuf, at_work: AtWork, signals: &mut Signals) {
    let told = Rc::new(Notify::new());
    let reloading = tokio::task::spawn_local(reload::whenever(Rc::clone(&told), file.clone()));
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

/// Waits until every process has answered once, or until one of them has proved unable to start.
async fn everybody_serves(house: &House) -> Result<(), String> {
    let keepers = house.keepers();
    let late = || keepers.iter().filter(|keeper| !keeper.served());
    let outcome = house.changed().until(|| match keepers.iter().find_map(|keeper| keeper.given_up()) {
        Some(why) => Some(Err(format!("error: {why}; its own lines above say why"))),
        None => late().next().is_none().then_some(Ok(())),
    });
    let outcome = tokio::time::timeout(READY_DEADLINE, outcome).await;
    outcome.unwrap_or_else(|_| {
        let late: Vec<String> = late().map(|keeper| keeper.name()).collect();
        Err(format!("error: not serving after {}: {}", span(READY_DEADLINE), late.join(", ")))
    })
}

/// Every connection costs a few descriptors, and the processes inherit our limit.
fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(soft, hard)| if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) });
    if let Err(error) = raised {
        tracing::warn!("the limit of open files stays as it is: {error}");
    }
}
