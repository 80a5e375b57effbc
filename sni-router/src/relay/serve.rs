//! The process as a whole: what it opens before its sandbox closes, and the three services it offers.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use common::config::{self, Config, Relay};
use common::ipc::Nothing;
use common::ipc::directory::Directory;
use common::ipc::messages::filter_to_relay::{Dial, Dialed};
use common::ipc::messages::forward_to_relay::Outward;
use common::ipc::messages::relay_to_successor::HandedOn;
use common::ipc::messages::router_to_relay::Passthrough;
use common::ipc::receiver::{Arrival, Receiver, Verdict};
use common::ipc::succession::Successor;
use common::net::client_limit::ClientLimit;
use common::pool_desk::PoolDesk;
use common::reload::Commit;
use common::startup::{Context, HasFigures, Opening, StartError};
use common::wiring::{FILTER_TO_RELAY, FORWARD_TO_RELAY, RELAY_TO_SUCCESSOR, ROUTER_TO_RELAY};
use tokio::task::JoinHandle;

use super::address_guard::Guard;
use super::dial::{DialService, Known};
use super::explain::explain;
use super::leaving::Leaving;
use super::metrics::Metrics;
use super::passthrough::PassthroughService;
use super::pipes::{PIPE_SIZE, PipePool};
use super::resolve::Resolver;
use super::socket_options::SocketOptions;
use super::splice::{self, Splice};
use super::succession;
use super::tunnel::TunnelOptions;
use super::tunnels::Tunnels;

/// How long a successor that lives may take to say so.
const SHORTLY: Duration = Duration::from_millis(100);

/// Everything that was opened before the sandbox closed.
#[derive(Debug)]
pub struct Opened {
    config: Rc<Config>,
    resolver: Resolver,
    router: Option<OwnedFd>,
    filter: Option<OwnedFd>,
    forward: Option<OwnedFd>,
    predecessor: OwnedFd,
    successor: Directory,
    metrics: Metrics,
}

impl HasFigures<Metrics> for Opened {
    fn figures(&self) -> Metrics {
        self.metrics.clone()
    }
}

/// Takes the receiving ends of the edges and the letter box, reads the resolver's files.
pub fn open(opening: &mut Opening) -> Result<Opened, StartError> {
    let config = opening.config.clone();
    let resolver = Resolver::from_system();
    if let Some(problem) = resolver.problem() {
        tracing::warn!("names cannot be looked up: {problem}; addresses and /etc/hosts still work");
    }
    Ok(Opened {
        router: ROUTER_TO_RELAY.is_used(&config).then(|| opening.edge_from(&ROUTER_TO_RELAY)).transpose()?,
        filter: FILTER_TO_RELAY.is_used(&config).then(|| opening.edge_from(&FILTER_TO_RELAY)).transpose()?,
        forward: FORWARD_TO_RELAY.is_used(&config).then(|| opening.edge_from(&FORWARD_TO_RELAY)).transpose()?,
        predecessor: opening.edge_from(&RELAY_TO_SUCCESSOR)?,
        successor: opening.edge_to(&RELAY_TO_SUCCESSOR)?,
        resolver,
        config,
        metrics: Metrics::default(),
    })
}

/// Serves until told to stop, then gives tunnels to a successor, or lets them finish.
pub async fn serve(opened: Opened, context: Context) {
    let Opened { config, resolver, router, filter, forward, predecessor, successor, metrics } = opened;
    let resolver = Rc::new(resolver);
    let relay = &config.passthrough_relay;
    let tunnels = Rc::new(Tunnels {
        options: Cell::new(tunnel_options(relay)),
        pipes: PipePool::new(relay.splice_pipes, PIPE_SIZE),
        limit: ClientLimit::new(relay.max_connections, relay.max_connections_per_address),
        log: Cell::new(config.log.writes_access()),
        leaving: Leaving::default(),
        metrics: metrics.clone(),
    });
    let dials = DialService::new(known(&config), Rc::clone(&resolver), metrics.clone());
    let passthrough =
        PassthroughService::new(&passed_to(&config), Rc::clone(&resolver), socket_options(relay), Rc::clone(&tunnels));
    context.offer_pools(Rc::clone(&passthrough) as Rc<dyn PoolDesk>);
    context.on_explain({
        let (dials, passthrough) = (Rc::clone(&dials), Rc::clone(&passthrough));
        move |question, _| explain(Rc::clone(&dials), Rc::clone(&passthrough), Rc::clone(&resolver), question)
    });
    context.on_reload({
        let (dials, passthrough, tunnels) = (Rc::clone(&dials), Rc::clone(&passthrough), Rc::clone(&tunnels));
        move |config, _| {
            let commit = Box::new(prepare(&dials, &passthrough, &tunnels, &config)) as Commit;
            std::future::ready(Ok(commit))
        }
    });

    let from_router = Receiver::new(ROUTER_TO_RELAY.name, context.peers(&ROUTER_TO_RELAY), {
        let passthrough = Rc::clone(&passthrough);
        move |arrival: Arrival<Passthrough, Nothing>| passthrough.take(arrival.parcel)
    });
    let from_filter = Receiver::new(FILTER_TO_RELAY.name, context.peers(&FILTER_TO_RELAY), {
        let dials = Rc::clone(&dials);
        move |arrival: Arrival<Dial, Dialed>| dials.configured(arrival.parcel, arrival.replier)
    });
    let from_forward = Receiver::new(FORWARD_TO_RELAY.name, context.peers(&FORWARD_TO_RELAY), {
        let (dials, tunnels) = (Rc::clone(&dials), Rc::clone(&tunnels));
        move |arrival: Arrival<Outward, Dialed>| outward(&dials, &tunnels, arrival)
    });
    let from_predecessor = Receiver::heir(RELAY_TO_SUCCESSOR.name, context.peers(&RELAY_TO_SUCCESSOR), {
        let passthrough = Rc::clone(&passthrough);
        move |arrival: Arrival<HandedOn, Nothing>| succession::take(&passthrough, arrival.parcel)
    });
    start(&context, &from_router, router);
    start(&context, &from_filter, filter);
    start(&context, &from_forward, forward);
    let letter_box = start(&context, &from_predecessor, Some(predecessor));
    drop(config);

    context.stopping().await;
    from_router.drain();
    from_filter.drain();
    from_forward.drain();
    from_predecessor.drain();
    if let Some(letter_box) = letter_box {
        let _ = letter_box.await; // our end is closed: who is to find a successor must not find itself
    }
    leave(&context, &passthrough, &dials, successor).await;
}

/// Gives everything that lives to a successor, and waits for what stays.
async fn leave(context: &Context, passthrough: &Rc<PassthroughService>, dials: &DialService, directory: Directory) {
    let tunnels = &passthrough.tunnels;
    let back = Rc::clone(passthrough);
    let back = move |parcel| succession::came_back(&back, parcel);
    let successor = Successor::find(&RELAY_TO_SUCCESSOR, directory, back).await;
    if let Some(successor) = &successor {
        tunnels.leaving.begin(successor.clone());
    }
    let busy = || tunnels.metrics.connections.get() > 0 || tunnels.limit.taken() > 0 || dials.under_way() > 0;
    let finished = async {
        loop {
            while busy() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            tokio::task::yield_now().await; // the last answers leave behind the tasks that gave them
            let Some(successor) = &successor else { return };
            successor.settled().await;
            if !busy() {
                return;
            }
        }
    };
    let patience = async {
        tokio::time::sleep(SHORTLY).await;
        let patience = Successor::patience(successor.as_ref(), &context.shared());
        tokio::time::sleep(patience.saturating_sub(SHORTLY)).await;
    };
    tokio::select! {
        () = finished => {}
        () = patience => tracing::warn!("stopping with {} tunnels open", tunnels.metrics.connections.get()),
    }
    if successor.is_some() {
        let (given, back) = (tunnels.metrics.handed_on.get(), tunnels.metrics.came_back.get());
        tracing::info!("{given} tunnels were handed on, {back} of them came back");
    }
}

/// http-filter may reach the servers of its own routes, not those of passthrough pools.
fn known(config: &Config) -> Rc<Known> {
    let exports = |pool: &config::Pool| config.http_filter.observe.trace.export.as_ref() == Some(&pool.name);
    let leads =
        |pool: &config::Pool| config.http_filter.routes.iter().any(|route| route.pools().any(|own| *own == pool.name));
    let routed = |pool: &&config::Pool| leads(pool) || exports(pool);
    let relay = &config.passthrough_relay;
    Known::new(config.pools.iter().filter(routed), guard(config), relay.resolve_deadline, socket_options(relay))
}

/// No keep-alive probes (two system calls per connection): every idle connection has a deadline of its own, in a tunnel as in
/// the pools, and `user_timeout` finds a peer that is gone while bytes wait for it.
fn socket_options(relay: &Relay) -> SocketOptions {
    SocketOptions { user_timeout: Some(relay.user_timeout), keepalive: None, ..SocketOptions::default() }
}

fn tunnel_options(relay: &Relay) -> TunnelOptions {
    TunnelOptions { idle: relay.idle_deadline, half_closed: relay.half_closed_deadline }
}

/// Builds what another configuration needs. Tunnels that are open keep their deadlines.
fn prepare(
    dials: &Rc<DialService>,
    passthrough: &Rc<PassthroughService>,
    tunnels: &Rc<Tunnels>,
    config: &Config,
) -> impl FnOnce() + use<> {
    let (dials, passthrough, tunnels) = (Rc::clone(dials), Rc::clone(passthrough), Rc::clone(tunnels));
    let (known, pools) = (known(config), passthrough.prepare(&passed_to(config)));
    let (relay, log) = (config.passthrough_relay.clone(), config.log.writes_access());
    move || {
        dials.take_over(known);
        passthrough.take_over(pools, socket_options(&relay));
        tunnels.options.set(tunnel_options(&relay));
        tunnels.limit.set_limits(relay.max_connections, relay.max_connections_per_address);
        tunnels.log.set(log);
    }
}

fn start<M: common::ipc::Message, R: common::ipc::Message>(
    context: &Context,
    receiver: &Rc<Receiver<M, R>>,
    socket: Option<OwnedFd>,
) -> Option<JoinHandle<std::io::Result<()>>> {
    let task = tokio::task::spawn_local(Rc::clone(receiver).serve(socket?));
    context.vital("receiving on an edge", task.abort_handle());
    Some(task)
}

fn outward(dials: &Rc<DialService>, tunnels: &Rc<Tunnels>, arrival: Arrival<Outward, Dialed>) -> Verdict {
    match arrival.parcel.body {
        Outward::Dial { host, port, deadline_ms } => dials.outward(host, port, deadline_ms, arrival.replier),
        Outward::Splice { ends, label, user, to_server, to_client } => {
            let sockets = arrival.parcel.descriptors;
            let (to_server, to_client) = (to_server.into_vec(), to_client.into_vec());
            splice::take(tunnels, Splice { ends, label, user, sockets, to_server, to_client })
        }
    }
}

/// The pools that connections are passed to. The others are http-filter's to watch.
fn passed_to(config: &Config) -> Vec<config::Pool> {
    config.pools.iter().filter(|pool| config.passes_to(&pool.name)).cloned().collect()
}

/// What clients going out may reach: everything public, the configuration's exceptions, never this proxy itself.
fn guard(config: &Config) -> Guard {
    let outward = &config.passthrough_relay.outward;
    let router = config.sni_router.listen.iter().flat_map(|listener| &listener.addresses);
    let forward = config.forward_proxy.listen.iter().flat_map(|listener| &listener.addresses);
    Guard {
        allow: outward.allow.as_slice().to_vec(),
        deny: outward.deny.as_slice().to_vec(),
        own_listeners: router.chain(forward).copied().collect(),
    }
}
