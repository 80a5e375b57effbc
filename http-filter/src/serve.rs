//! The process as a whole: what it opens before its sandbox closes, how it begins and ends, and the one sweep.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use common::config::{Config, Files};
use common::ipc::Nothing;
use common::ipc::directory::Directory;
use common::ipc::messages::filter_to_successor::HandedOn;
use common::ipc::messages::router_to_filter::PlainHttp;
use common::ipc::messages::terminator_to_filter::Decrypted;
use common::ipc::receiver::{Arrival, Receiver};
use common::ipc::sender::Sender;
use common::ipc::succession::Successor;
use common::pool_desk::PoolDesk;
use common::process::Process;
use common::reload::Commit;
use common::startup::{Context, HasFigures, Opening, StartError};
use common::wiring::{FILTER_TO_RELAY, FILTER_TO_SUCCESSOR, ROUTER_TO_FILTER, TERMINATOR_TO_FILTER};
use common_http::guarded::SWEEP_INTERVAL;

use super::app::{Instance, relay_limits};
use super::explain::explain;
use super::journal::{Journal, guard};
use super::metrics::Metrics;
use super::{receive, succession};

/// A living successor answers sooner than this.
const SHORTLY: Duration = Duration::from_millis(100);
/// How long the last lines and spans may take to leave.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Everything that was opened before the sandbox closed.
#[derive(Debug)]
pub struct Opened {
    config: Rc<Config>,
    files: Files,
    relay: Directory,
    router: Option<OwnedFd>,
    terminator: Option<OwnedFd>,
    letter_box: OwnedFd,
    successors: Directory,
    journal: Option<Rc<Journal>>,
    metrics: Metrics,
}

impl HasFigures<Metrics> for Opened {
    fn figures(&self) -> Metrics {
        self.metrics.clone()
    }
}

/// Takes the receiving ends of its edges, opens the sending one.
pub fn open(opening: &mut Opening) -> Result<Opened, StartError> {
    let config = opening.config.clone();
    let metrics = Metrics::default();
    Ok(Opened {
        journal: journal(opening, &metrics),
        relay: opening.edge_to(&FILTER_TO_RELAY)?,
        router: ROUTER_TO_FILTER.is_used(&config).then(|| opening.edge_from(&ROUTER_TO_FILTER)).transpose()?,
        terminator: TERMINATOR_TO_FILTER
            .is_used(&config)
            .then(|| opening.edge_from(&TERMINATOR_TO_FILTER))
            .transpose()?,
        letter_box: opening.edge_from(&FILTER_TO_SUCCESSOR)?,
        successors: opening.edge_to(&FILTER_TO_SUCCESSOR)?,
        files: opening.files(Process::HttpFilter)?,
        config,
        metrics,
    })
}

/// The journal that the starter keeps. Without one everything is served, and nothing is known after a death.
fn journal(opening: &mut Opening, metrics: &Metrics) -> Option<Rc<Journal>> {
    let max = guard::limit(&opening.config.http_filter);
    let file = match opening.journal() {
        Ok(file) => file?,
        Err(error) => {
            max.inspect(|_| {
                tracing::warn!("no journal, so a request that kills this process will not be known: {error}")
            });
            return None;
        }
    };
    match Journal::open(file, opening.instance, max) {
        Ok((journal, charged)) => {
            metrics.deaths_recorded.add(charged);
            Some(journal)
        }
        Err(error) => {
            tracing::warn!(
                "the journal cannot be used, so a request that kills this process will not be known: {error}"
            );
            None
        }
    }
}

/// Serves until told to stop, then lets requests finish.
pub async fn serve(opened: Opened, context: Context) {
    let Opened { config, files, relay, router, terminator, letter_box, successors, journal, metrics } = opened;
    let relay = Sender::start(FILTER_TO_RELAY.name, relay, relay_limits(&config.http_filter), |_, _| {});
    let instance = match Instance::new(&config, &files, relay, metrics) {
        Ok(mut instance) => {
            instance.journal = journal;
            Rc::new(instance)
        }
        Err(error) => return tracing::error!("{error}"),
    };
    let sweeping = tokio::task::spawn_local(sweep(Rc::clone(&instance)));
    context.vital("the sweep that keeps every deadline", sweeping.abort_handle());
    context.offer_pools(Rc::clone(&instance) as Rc<dyn PoolDesk>);
    context.on_explain({
        let instance = Rc::clone(&instance);
        move |question, config| std::future::ready(explain(&instance, &config, &question))
    });
    context.on_reload({
        let instance = Rc::clone(&instance);
        move |config, files| {
            let instance = Rc::clone(&instance);
            async move {
                let commit = instance.prepare(&config, &files).await.map_err(|error| vec![error])?;
                Ok(Box::new(commit) as Commit)
            }
        }
    });

    let from_router = Receiver::new(ROUTER_TO_FILTER.name, context.peers(&ROUTER_TO_FILTER), {
        let instance = Rc::clone(&instance);
        move |arrival: Arrival<PlainHttp, Nothing>| receive::plain(&instance, arrival.parcel)
    });
    let from_terminator = Receiver::new(TERMINATOR_TO_FILTER.name, context.peers(&TERMINATOR_TO_FILTER), {
        let instance = Rc::clone(&instance);
        move |arrival: Arrival<Decrypted, Nothing>| receive::decrypted(&instance, arrival.parcel)
    });
    let from_predecessor = Receiver::heir(FILTER_TO_SUCCESSOR.name, context.peers(&FILTER_TO_SUCCESSOR), {
        let instance = Rc::clone(&instance);
        move |arrival: Arrival<HandedOn, Nothing>| succession::take(&instance, arrival.parcel)
    });
    let reading_letters = tokio::task::spawn_local(Rc::clone(&from_predecessor).serve(letter_box));
    context.vital("receiving from an http-filter that finishes", reading_letters.abort_handle());
    if let Some(socket) = router {
        let task = tokio::task::spawn_local(Rc::clone(&from_router).serve(socket));
        context.vital("receiving from sni-router", task.abort_handle());
    }
    if let Some(socket) = terminator {
        let task = tokio::task::spawn_local(Rc::clone(&from_terminator).serve(socket));
        context.vital("receiving from tls-terminator", task.abort_handle());
    }

    drop((config, files));
    context.stopping().await;
    instance.journal.iter().for_each(|journal| journal.goodbye());
    from_router.drain();
    from_terminator.drain();
    from_predecessor.drain();
    let _ = reading_letters.await; // our own end of the letter box is closed: what is put in now is for somebody else
    let successor = Successor::find(&FILTER_TO_SUCCESSOR, successors, {
        let instance = Rc::clone(&instance);
        move |parcel| succession::let_go(&instance, parcel)
    });
    let successor = successor.await;
    instance.leave(successor.clone());
    let patience = async {
        tokio::time::sleep(SHORTLY).await; // whoever lives has said so by then
        let patience = Successor::patience(successor.as_ref(), &context.shared());
        tokio::time::sleep(patience.saturating_sub(SHORTLY)).await;
    };
    let finished = async {
        while instance.metrics.connections.get() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = finished => {}
        () = patience => tracing::warn!("stopping with {} connections open", instance.metrics.connections.get()),
    }
    if let Some(successor) = &successor {
        successor.settled().await;
        tracing::info!("{} connections handed on", instance.metrics.handed_on.get());
    }
    let _ = tokio::time::timeout(LAST_WORDS, instance.app().observe.finish()).await;
}

/// The one timer.
async fn sweep(instance: Rc<Instance>) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        instance.sweep();
    }
}
