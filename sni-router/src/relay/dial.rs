//! Dial: a connected socket for those who own no network. http-filter may reach exactly the servers that the configuration
//! names; forward-proxy may reach what the address guard lets through, judged on the very address that is connected to.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use common::config;
use common::ipc::messages::filter_to_relay::{Dial, DialRefusal, Dialed};
use common::ipc::receiver::{Replier, Verdict};
use common::ipc::sender::Parcel;
use tokio::time::Instant;

use super::address_guard::{Guard, Refused};
use super::connect::{ConnectError, ConnectErrorKind, ConnectOptions, connect};
use super::generations::Generations;
use super::literal::{Host, parse_host};
use super::metrics::Metrics;
use super::passthrough::Server;
use super::resolve::{Purpose, ResolveError, Resolver};
use super::socket_options::SocketOptions;

/// Nobody may ask us to try for longer.
const LONGEST: Duration = Duration::from_secs(60);
/// Dials under way; more are refused at once.
pub const MAX_DIALS: u64 = 4096;

/// The service.
#[derive(Debug)]
pub struct DialService {
    known: RefCell<Generations<Rc<Known>>>,
    resolver: Rc<Resolver>,
    under_way: common::observe::metrics::Figure,
    metrics: Metrics,
}

/// What one configuration lets whom reach, and how.
#[derive(Debug)]
pub struct Known {
    endpoints: HashMap<Box<str>, Server>,
    guard: Guard,
    resolve_deadline: Duration,
    socket: SocketOptions,
}

struct Refusal(DialRefusal, String);

impl Known {
    /// For these pools, with this guard for everybody else's destinations.
    pub fn new<'a>(
        pools: impl Iterator<Item = &'a config::Pool>,
        guard: Guard,
        resolve_deadline: Duration,
        socket: SocketOptions,
    ) -> Rc<Self> {
        let servers = pools.flat_map(|pool| &pool.servers).map(Server::new);
        let endpoints = servers.map(|server| (server.label.clone(), server)).collect();
        Rc::new(Self { endpoints, guard, resolve_deadline, socket })
    }
}

impl DialService {
    /// With what the first configuration knows.
    pub fn new(known: Rc<Known>, resolver: Rc<Resolver>, metrics: Metrics) -> Rc<Self> {
        let under_way = common::observe::metrics::Figure::default();
        Rc::new(Self { known: RefCell::new(Generations::new(known)), resolver, under_way, metrics })
    }

    /// Connects that somebody waits for now.
    pub fn under_way(&self) -> u64 {
        self.under_way.get()
    }

    /// Dials that come from now on find this.
    pub fn take_over(&self, known: Rc<Known>) {
        self.known.borrow_mut().replace(known, std::time::Instant::now());
    }

    /// Where a server of the present configuration is, by its name there.
    pub fn server(&self, label: &str) -> Option<(Host, u16)> {
        self.current().endpoints.get(label).map(|server| (server.host.clone(), server.port))
    }

    /// Whether clients going out may reach an address, before the kernel is asked how it would get there.
    ///
    /// # Errors
    /// Why not.
    pub fn judge(&self, address: SocketAddr) -> Result<(), Refused> {
        self.current().guard.check(address)
    }

    fn current(&self) -> Rc<Known> {
        Rc::clone(self.known.borrow().current())
    }

    /// A server of a pool, by the name the configuration gives it.
    pub fn configured(self: &Rc<Self>, parcel: Parcel<Dial>, replier: Option<Replier<Dialed>>) -> Verdict {
        let Dial { endpoint, deadline_ms } = parcel.body;
        let service = Rc::clone(self);
        self.answer(replier, async move {
            let known = |known: &Rc<Known>| known.endpoints.contains_key(&endpoint).then(|| Rc::clone(known));
            let known = service.known.borrow().find(std::time::Instant::now(), known);
            let Some((known, server)) = known.as_ref().and_then(|known| Some((known, known.endpoints.get(&endpoint)?)))
            else {
                let text = format!("no pool of the configuration has a server {endpoint}");
                return Err(Refusal(DialRefusal::NotConfigured, text));
            };
            service.reach(known, &server.host, server.port, deadline_ms, None).await
        })
    }

    /// A destination that a client chose.
    pub fn outward(
        self: &Rc<Self>,
        host: Box<str>,
        port: u16,
        deadline_ms: u32,
        replier: Option<Replier<Dialed>>,
    ) -> Verdict {
        let service = Rc::clone(self);
        self.answer(replier, async move {
            let host = parse_host(&host).map_err(|error| Refusal(DialRefusal::ForbiddenAddress, error.to_string()))?;
            let known = service.current();
            service.reach(&known, &host, port, deadline_ms, Some(&known.guard)).await
        })
    }

    fn answer(
        self: &Rc<Self>,
        replier: Option<Replier<Dialed>>,
        dial: impl Future<Output = Result<(Dialed, OwnedFd), Refusal>> + 'static,
    ) -> Verdict {
        let Some(replier) = replier else { return Verdict::Taken }; // a dial that nobody waits for
        self.metrics.dials.up();
        if self.under_way.get() >= MAX_DIALS {
            let detail = "too many connects under way".into();
            replier.send(Dialed::Refused { reason: DialRefusal::Full, detail }, Vec::new());
            return Verdict::Taken;
        }
        let service = Rc::clone(self);
        let under_way = self.under_way.hold();
        tokio::task::spawn_local(async move {
            let _under_way = under_way;
            match dial.await {
                Ok((dialed, socket)) => replier.send(dialed, vec![socket]),
                Err(Refusal(reason, detail)) => {
                    service.count(reason);
                    tracing::debug!("dial refused: {detail}");
                    replier.send(Dialed::Refused { reason, detail: detail.into() }, Vec::new());
                }
            }
        });
        Verdict::Taken
    }

    fn count(&self, reason: DialRefusal) {
        match reason {
            DialRefusal::NotConfigured | DialRefusal::ForbiddenAddress => self.metrics.dials_refused.up(),
            _ => self.metrics.dials_failed.up(),
        }
    }

    async fn reach(
        &self,
        known: &Known,
        host: &Host,
        port: u16,
        deadline_ms: u32,
        guard: Option<&Guard>,
    ) -> Result<(Dialed, OwnedFd), Refusal> {
        let now = Instant::now();
        let deadline = now + Duration::from_millis(deadline_ms.into()).min(LONGEST);
        let purpose = if guard.is_some() { Purpose::Destination } else { Purpose::Backend };
        let until = deadline.min(now + known.resolve_deadline);
        let addresses = self.resolver.resolve(host, port, purpose, until.into_std()).await.map_err(unresolved)?;
        let options = ConnectOptions { socket: known.socket.clone(), guard, ..ConnectOptions::until(deadline) };
        let connected = connect(&addresses, &options).await.map_err(|error| unconnected(&error))?;
        let socket = connected.stream.into_descriptor();
        let socket = socket.map_err(|error| Refusal(DialRefusal::Connect, error.to_string()))?;
        Ok((Dialed::Connected { address: connected.address }, socket))
    }
}

fn unresolved(error: ResolveError) -> Refusal {
    let reason = match error {
        ResolveError::LocalOnly { .. } => DialRefusal::ForbiddenAddress,
        ResolveError::Timeout { .. } => DialRefusal::Deadline,
        _ => DialRefusal::Name,
    };
    Refusal(reason, error.to_string())
}

fn unconnected(error: &ConnectError) -> Refusal {
    let reason = match error.kind {
        ConnectErrorKind::Guard => DialRefusal::ForbiddenAddress,
        ConnectErrorKind::Timeout => DialRefusal::Deadline,
        ConnectErrorKind::Exhausted => DialRefusal::Full,
        ConnectErrorKind::NoAddress => DialRefusal::Name,
        _ => DialRefusal::Connect,
    };
    Refusal(reason, error.to_string())
}
