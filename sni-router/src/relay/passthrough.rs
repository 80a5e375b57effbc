//! Passthrough: a client's socket and the name of a pool → a server of the pool, bytes untouched.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use common::config::{self, HealthCheck, SendProxy};
use common::ipc::messages::Ends;
use common::ipc::messages::control::PoolState;
use common::ipc::messages::relay_to_successor::{HandedOn, Service};
use common::ipc::messages::router_to_relay::Passthrough;
use common::ipc::receiver::Verdict;
use common::ipc::sender::Parcel;
use common::net::client_limit::{NoPlace, Place};
use common::net::proxy_protocol::{encode_v1, encode_v2};
use common::pool_desk::{self, PoolDesk};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::connect::{ConnectOptions, Connected, connect};
use super::generations::Generations;
use super::health::{self, Checks};
use super::literal::Host;
use super::resolve::{Purpose, Resolver};
use super::socket_options::SocketOptions;
use super::tunnel::Tunnel;
use super::tunnels::{Parties, Tunnels};
use common::net::balance::{Ask, Balancer, Choice, Pick, ServerStatus, hash};

/// A server as the pool's table names it.
#[derive(Debug)]
pub struct Server {
    /// `host:port`, for logs and for Dial.
    pub label: Box<str>,
    /// Where.
    pub host: Host,
    /// Port.
    pub port: u16,
}

/// A pool that connections can be sent to.
#[derive(Debug)]
pub struct Pool {
    made_from: config::Pool,
    pub(super) name: Arc<str>,
    pub(super) servers: Vec<Server>,
    pub(super) balancer: Balancer,
    pub(super) health: Option<HealthCheck>,
    pub(super) checks: Checks,
    connect_deadline: Duration,
    proxy: SendProxy,
}

/// The service.
#[derive(Debug)]
pub struct PassthroughService {
    pools: RefCell<Generations<Pools>>,
    resolver: Rc<Resolver>,
    socket: RefCell<SocketOptions>,
    pub(super) tunnels: Rc<Tunnels>,
}

/// The pools of one configuration, by name.
pub type Pools = HashMap<Arc<str>, Rc<Pool>>;

impl Server {
    /// From the configuration, which has checked host and port.
    pub fn new(address: &config::ServerAddress) -> Self {
        let host = match &address.host {
            config::Host::Ip(ip) => Host::Address(*ip),
            config::Host::Name(name) => Host::Name(name.to_string()),
        };
        Self { label: address.to_string().into(), host, port: address.port }
    }
}

impl Pool {
    /// From the configuration. What `old`, the pool of that name before a reload, knew of servers that stay holds on.
    pub fn new(pool: &config::Pool, old: Option<&Pool>) -> Self {
        let weight = |server: &config::ServerAddress| u16::try_from(server.weight).unwrap_or(u16::MAX);
        let servers: Vec<Server> = pool.servers.iter().map(Server::new).collect();
        let members = servers.iter().zip(&pool.servers).map(|(server, own)| (&*server.label, weight(own)));
        let balancer = Balancer::new(pool.into(), members, old.map(|old| &old.balancer));
        Self {
            made_from: pool.clone(),
            name: Arc::clone(&pool.name),
            balancer,
            servers,
            health: pool.health.clone(),
            checks: Checks::default(),
            connect_deadline: pool.connect_deadline,
            proxy: pool.proxy_protocol,
        }
    }
}

impl Pool {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it balances and connects, in a sentence.
    pub fn describe(&self) -> String {
        let announced = match self.proxy {
            SendProxy::None => "",
            SendProxy::V1 => ", announced by PROXY v1",
            SendProxy::V2 => ", announced by PROXY v2",
        };
        format!(
            "{:?}, {} servers, connected within {:?}{announced}",
            self.made_from.balance,
            self.servers.len(),
            self.connect_deadline
        )
    }

    /// Its servers, and how each is.
    pub fn servers(&self) -> Vec<(&Server, String)> {
        let states = self.balancer.status(std::time::Instant::now());
        self.servers.iter().zip(states.iter().map(ServerStatus::in_words)).collect()
    }
}

impl PoolDesk for PassthroughService {
    fn pools(&self) -> Vec<PoolState> {
        let pools = self.pools.borrow();
        let mut states: Vec<PoolState> =
            pools.current().values().map(|pool| pool_desk::state(&pool.name, &pool.balancer)).collect();
        states.sort_by(|one, other| one.name.cmp(&other.name));
        states
    }

    fn drain(&self, pool: &str, server: &str, drain: bool) -> Result<(), String> {
        let pools = self.pools.borrow();
        let Some(known) = pools.current().get(pool) else {
            let known = pools.current().keys().map(|name| &**name);
            return Err(pool_desk::no_pool("passthrough-relay", pool, known));
        };
        if known.balancer.drain(server, drain, std::time::Instant::now()) {
            let what = if drain { "draining: it gets nothing new" } else { "no longer draining" };
            tracing::info!(pool, server, "{what}");
            return Ok(());
        }
        Err(pool_desk::no_server(pool, server, &known.balancer))
    }
}

impl PassthroughService {
    /// For these pools.
    pub fn new(
        pools: &[config::Pool],
        resolver: Rc<Resolver>,
        socket: SocketOptions,
        tunnels: Rc<Tunnels>,
    ) -> Rc<Self> {
        let pools = pools.iter().map(|pool| (Arc::clone(&pool.name), Rc::new(Pool::new(pool, None)))).collect();
        let pools = RefCell::new(Generations::new(pools));
        let service = Rc::new(Self { pools, resolver, socket: RefCell::new(socket), tunnels });
        service.start_checks();
        service
    }

    /// The pools of another configuration. One that has not changed is taken over; of a changed one what is known of the servers that stay.
    pub fn prepare(&self, pools: &[config::Pool]) -> Pools {
        let now = self.pools.borrow();
        let make = |pool: &config::Pool| match now.current().get(&pool.name) {
            Some(same) if same.made_from == *pool => Rc::clone(same),
            old => Rc::new(Pool::new(pool, old.map(|old| &**old))),
        };
        pools.iter().map(|pool| (Arc::clone(&pool.name), make(pool))).collect()
    }

    /// Connections that come from now on find these.
    pub fn take_over(self: &Rc<Self>, pools: Pools, socket: SocketOptions) {
        self.pools.borrow_mut().replace(pools, std::time::Instant::now());
        *self.socket.borrow_mut() = socket;
        self.start_checks();
    }

    fn start_checks(self: &Rc<Self>) {
        self.pools.borrow().current().values().for_each(|pool| health::start(self, pool));
    }

    /// A pool by its name; for a while also one that the last reload has taken away, because sni-router is told later.
    pub fn pool(&self, name: &str) -> Option<Rc<Pool>> {
        self.pools.borrow().find(std::time::Instant::now(), |pools| pools.get(name).cloned())
    }

    /// Gives the server (`host:port` as configured) of the pool no new connections from now on (`true`), or takes that back. Those
    /// that are open stay.
    ///
    /// # Errors
    /// One sentence: which name is not known.
    pub fn drain_server(&self, pool: &str, server: &str, drain: bool) -> Result<(), String> {
        let found = self.pool(pool).ok_or_else(|| format!("nothing is passed to a pool `{pool}`"))?;
        if !found.balancer.drain(server, drain, std::time::Instant::now()) {
            return Err(format!("the pool `{pool}` has no server `{server}`"));
        }
        let what = if drain { "draining: it gets nothing new" } else { "no longer draining" };
        tracing::info!(pool, server, "{what}");
        Ok(())
    }

    /// Takes a client, or returns it to the router when this process is full.
    pub fn take(self: &Rc<Self>, parcel: Parcel<Passthrough>) -> Verdict {
        let place = match self.tunnels.enter(parcel.body.ends.client.ip()) {
            Ok(place) => place,
            Err(NoPlace::Full) => return Verdict::Full,
            Err(NoPlace::ClientFull) => return Verdict::Taken, // ours to refuse: dropped here
        };
        self.tunnels.metrics.passthrough.up();
        if let Some(socket) = parcel.descriptors.into_iter().next() {
            tokio::task::spawn_local(Rc::clone(self).serve(parcel.body, socket, Some(place), true));
        }
        Verdict::Taken
    }

    /// Connects a client and moves its bytes. If it `may_leave`, all of that can go on with a successor.
    pub(super) async fn serve(
        self: Rc<Self>,
        message: Passthrough,
        socket: OwnedFd,
        place: Option<Place>,
        may_leave: bool,
    ) {
        let _place = place;
        let Ok(client) = TcpStream::from_std(socket.into()) else { return };
        let Some(pool) = self.pool(&message.pool) else {
            return tracing::error!(pool = &*message.pool, "sni-router names a pool that this process does not know");
        };
        let reached = tokio::select! {
            biased;
            reached = self.reach(&pool, message.ends) => reached,
            () = self.tunnels.leaving.impatient(), if may_leave => return self.give_client(message, client),
        };
        let Some((connected, server, pick)) = reached else {
            self.tunnels.metrics.no_server.up();
            return tracing::warn!(client = %message.ends.client, pool = &*pool.name, "no server could be reached");
        };
        let greeting = announcement(pool.proxy, &message);
        let parties = Parties {
            ends: message.ends,
            service: Service::Passthrough,
            name: message.server_name.as_deref(),
            server: &server.label,
            pool: Some(&pool.name),
            user: None,
        };
        let Ok(stream) = connected.stream.into_registered() else { return };
        let tunnel = Tunnel::new(client, stream, greeting, Vec::new());
        self.tunnels.carry(tunnel, parties, may_leave).await;
        drop(pick); // the connection counts for the balancer until here
    }

    /// As it came: not a byte of it was touched.
    fn give_client(&self, message: Passthrough, client: TcpStream) {
        if let Ok(client) = client.into_std() {
            self.tunnels.metrics.handed_on.up();
            self.tunnels.leaving.give(HandedOn::Client(message), vec![client.into()]);
        }
    }

    /// A connected server: the balancer's choice, and after each failure its next one.
    async fn reach<'a>(&self, pool: &'a Pool, ends: Ends) -> Option<(Connected, &'a Server, Pick)> {
        let mut tried = Vec::new();
        // The only thing that is known of the client here: other keys of `hash_on` are for HTTP.
        let hash = Some(hash::address(ends.client.ip()));
        loop {
            let ask = Ask { tried: &tried, hash, prefer: None };
            let pick = match pool.balancer.pick(&ask, std::time::Instant::now()) {
                Choice::Server(pick) => pick,
                Choice::Nobody => return None,
                Choice::Full => {
                    self.tunnels.metrics.pool_full.up();
                    return None;
                }
            };
            let server = pool.servers.get(pick.server)?;
            match self.dial(server, pool.connect_deadline).await {
                Ok(connected) => {
                    pool.balancer.succeeded(pick.server, std::time::Instant::now());
                    return Some((connected, server, pick));
                }
                Err((why, blame)) => {
                    self.tunnels.metrics.connects_failed.up();
                    tracing::warn!(client = %ends.client, pool = &*pool.name, server = &*server.label, "{why}");
                    if blame && let Some(time) = pool.balancer.failed(pick.server, std::time::Instant::now()) {
                        self.tunnels.metrics.ejections.up();
                        tracing::warn!(
                            pool = &*pool.name,
                            server = &*server.label,
                            seconds = time.as_secs(),
                            "left out"
                        );
                    }
                    tried.push(pick.server);
                }
            }
        }
    }

    /// The error says why, and whether it speaks against the server.
    pub(super) async fn dial(&self, server: &Server, deadline: Duration) -> Result<Connected, (String, bool)> {
        let deadline = Instant::now() + deadline;
        let options = ConnectOptions { socket: self.socket.borrow().clone(), ..ConnectOptions::until(deadline) };
        if let Host::Address(ip) = server.host {
            return connect(&[SocketAddr::new(ip, server.port)], &options)
                .await
                .map_err(|e| (e.to_string(), e.kind.blames_server()));
        }
        let resolved = self.resolver.resolve(&server.host, server.port, Purpose::Backend, deadline.into_std()).await;
        let addresses = resolved.map_err(|error| (error.to_string(), false))?;
        connect(&addresses, &options).await.map_err(|e| (e.to_string(), e.kind.blames_server()))
    }
}

fn announcement(proxy: SendProxy, message: &Passthrough) -> Vec<u8> {
    let Ends { client, local } = message.ends;
    match proxy {
        SendProxy::None => Vec::new(),
        SendProxy::V1 => encode_v1(client, local),
        SendProxy::V2 => encode_v2(client, local, message.server_name.as_deref(), message.alpn.as_deref()),
    }
}
