//! Which server of a pool takes the next connection or request. Pure: no sockets, and the clock is passed in.
//!
//! [`server`] knows one server (healthy, ejected, down by a check, draining, warming up), [`choose`] is the policies, [`hash`] the
//! consistent hash. A pool of which too few servers are healthy is used as if all were: a wrong guess of ours must not be what takes
//! a site down. It must never hand out a server that was tried for the same request, that is being drained, or that is full.

mod choose;
pub mod hash;
mod options;
pub mod schedule;
mod server;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

pub use server::{Change, ServerStatus};
use server::{Load, Server};

/// How to choose among healthy servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// In turn, by weight.
    #[default]
    RoundRobin,
    /// The fewest open connections per weight; in turn among equals.
    LeastConnections,
    /// Two at random, by weight; of these the one with fewer open connections per weight.
    TwoChoices,
    /// By [`Ask::hash`]: the same key meets the same server. In turn where there is no key.
    Hash {
        /// Percent of its fair share of open connections that a server may hold before keys go to their second choice; 0: any.
        balance_factor: u32,
    },
}

/// When to leave a server out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EjectionOptions {
    /// This many failures in a row. 0: never.
    pub failures: u32,
    /// For this long the first time, doubled each time until it has worked again.
    pub first: Duration,
    /// Never longer than this.
    pub longest: Duration,
    /// Never more than this percentage of the servers at a time (but always one).
    pub max_percent: u32,
}

impl Default for EjectionOptions {
    fn default() -> Self {
        Self { failures: 3, first: Duration::from_secs(10), longest: Duration::from_secs(300), max_percent: 100 }
    }
}

/// How a pool is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How to choose.
    pub policy: Policy,
    /// When to leave a server out for what it did.
    pub ejection: EjectionOptions,
    /// A server that comes back gets its full share only after this time. Zero: at once.
    pub slow_start: Duration,
    /// With less than this percentage of the servers healthy all are used; with none healthy they always are.
    pub panic_below: u32,
    /// Open connections of the pool. 0: any number.
    pub max_connections: usize,
    /// Open connections of one server. 0: any number.
    pub max_connections_per_server: usize,
    /// Servers are checked, so one may be down ([`Balancer::checked`]).
    pub checked: bool,
    /// Servers count as down until a first check says otherwise.
    pub start_down: bool,
    /// Where the random numbers begin.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            ejection: EjectionOptions::default(),
            slow_start: Duration::ZERO,
            panic_below: 0,
            max_connections: 0,
            max_connections_per_server: 0,
            checked: false,
            start_down: false,
            seed: 0,
        }
    }
}

/// The servers of a pool, known by their position in the list the pool was made from. For one thread.
#[derive(Debug)]
pub struct Balancer {
    options: Options,
    servers: Vec<Server>,
    load: Rc<Load>,
    random: Cell<u64>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask<'a> {
    /// Servers that this request has met already.
    pub tried: &'a [usize],
    /// What [`Policy::Hash`] goes by ([`hash::key`]).
    pub hash: Option<u64>,
    /// This one if it is healthy: a sticky client's. It is waited for when it is full.
    pub prefer: Option<usize>,
}

/// The answer.
#[derive(Debug)]
pub enum Choice {
    /// This one.
    Server(Pick),
    /// Everyone who might serve is at the limit of connections: wait until one is given back.
    Full,
    /// All were tried, or are being drained.
    Nobody,
}

impl Choice {
    /// The server, if one was chosen.
    pub fn server(self) -> Option<Pick> {
        match self {
            Self::Server(pick) => Some(pick),
            Self::Full | Self::Nobody => None,
        }
    }
}

/// A chosen server. Counts as one of its connections until dropped: keep it as long as the connection.
#[derive(Debug)]
#[must_use = "dropping it ends the connection for the balancer"]
pub struct Pick {
    /// Position of the server in the pool.
    pub server: usize,
    /// It is only used because too few healthy servers were left.
    pub ejected: bool,
    of_server: Rc<Load>,
    of_pool: Rc<Load>,
}

impl Drop for Pick {
    fn drop(&mut self) {
        self.of_server.give_back();
        self.of_pool.give_back();
    }
}

impl Balancer {
    /// A balancer over servers with their labels and weights (0 counts as 1). What `previous` knew of servers with the same label holds
    /// on, open connections included; so labels must be unique.
    #[must_use]
    pub fn new<'a>(
        options: Options,
        servers: impl IntoIterator<Item = (&'a str, u16)>,
        previous: Option<&Balancer>,
    ) -> Self {
        let known = |label: &str| previous?.servers.iter().find(|server| &*server.label == label);
        let servers = servers.into_iter().map(|(label, weight)| Server::new(label, weight, &options, known(label)));
        Self {
            servers: servers.collect(),
            load: previous.map_or_else(Rc::default, |previous| Rc::clone(&previous.load)),
            random: Cell::new(options.seed),
            options,
        }
    }

    /// Chooses a server that was not tried, a healthy one if there is any.
    pub fn pick(&self, ask: &Ask<'_>, now: Instant) -> Choice {
        let panic = self.panics(now);
        let max = self.options.max_connections_per_server;
        let open = |index: usize, server: &Server| !server.is_draining() && !ask.tried.contains(&index);
        let healthy = |server: &Server| panic || server.is_healthy(now);
        let pool_full = self.options.max_connections > 0 && self.load.get() >= self.options.max_connections;
        if let Some(server) = ask.prefer.and_then(|index| self.servers.get(index).filter(|own| open(index, own)))
            && healthy(server)
        {
            let full = pool_full || server.is_full(max);
            return if full { Choice::Full } else { self.take(ask.prefer, now) };
        }
        let wanted = |index: usize, server: &Server| open(index, server) && healthy(server);
        let fits = |index: usize, server: &Server| wanted(index, server) && !server.is_full(max);
        let chosen = if pool_full { None } else { self.choose(ask.hash, now, fits) };
        if chosen.is_some() {
            return self.take(chosen, now);
        }
        if self.servers.iter().enumerate().any(|(index, server)| wanted(index, server)) {
            return Choice::Full;
        }
        // Rather one that is left out than none.
        let last = |index: usize, server: &Server| open(index, server) && !server.is_full(max);
        let chosen = if pool_full { None } else { self.choose(ask.hash, now, last) };
        if chosen.is_none() && self.servers.iter().enumerate().any(|(index, server)| open(index, server)) {
            return Choice::Full;
        }
        self.take(chosen, now)
    }

    /// Counts a connection that was made elsewhere, whatever the limits and the server's health. `None`: there is no such server.
    pub fn count(&self, label: &str, now: Instant) -> Option<Pick> {
        self.take(self.servers.iter().position(|server| &*server.label == label), now).server()
    }

    fn take(&self, chosen: Option<usize>, now: Instant) -> Choice {
        let Some((index, server)) = chosen.and_then(|index| Some((index, self.servers.get(index)?))) else {
            return Choice::Nobody;
        };
        server.load.take();
        self.load.take();
        Choice::Server(Pick {
            server: index,
            ejected: !server.is_healthy(now),
            of_server: Rc::clone(&server.load),
            of_pool: Rc::clone(&self.load),
        })
    }

    /// So few are healthy that the judgement itself is in doubt.
    fn panics(&self, now: Instant) -> bool {
        let (mut all, mut healthy) = (0_u64, 0_u64);
        for server in self.servers.iter().filter(|server| !server.is_draining()) {
            all += 1;
            healthy += u64::from(server.is_healthy(now));
        }
        healthy == 0 || healthy * 100 < u64::from(self.options.panic_below) * all
    }

    /// The server did what was asked: whatever was held against it is forgotten.
    pub fn succeeded(&self, server: usize, now: Instant) {
        if let Some(server) = self.servers.get(server) {
            server.succeeded(now);
        }
    }

    /// The server failed. Answers how long it is left out from now on, if this made it so.
    pub fn failed(&self, server: usize, now: Instant) -> Option<Duration> {
        let out = self.servers.iter().filter(|server| server.is_ejected(now)).count();
        let allowed = self.servers.len().saturating_mul(self.options.ejection.max_percent as usize) / 100;
        self.servers.get(server)?.failed(&self.options.ejection, out < allowed.max(1), now)
    }

    /// What a health check found. So many in a row (`rise`, `fall`) that contradict what is believed change the belief.
    pub fn checked(&self, server: usize, passed: bool, [rise, fall]: [u32; 2], now: Instant) -> Option<Change> {
        self.servers.get(server)?.checked(passed, [rise, fall], now)
    }

    /// Gives a server nothing new from now on, or takes that back. Those under way end as they will. `false`: there is no such server.
    pub fn drain(&self, label: &str, drain: bool, now: Instant) -> bool {
        let mut of_this_label = self.servers.iter().filter(|server| &*server.label == label).peekable();
        let known = of_this_label.peek().is_some();
        of_this_label.for_each(|server| server.drain(drain, now));
        known
    }

    /// Whether it gets nothing new.
    #[must_use]
    pub fn is_draining(&self, server: usize) -> bool {
        self.servers.get(server).is_some_and(Server::is_draining)
    }

    /// What is known of each server.
    #[must_use]
    pub fn status(&self, now: Instant) -> Vec<ServerStatus> {
        self.servers.iter().map(|server| server.status(self.options.slow_start, now)).collect()
    }

    /// Open connections of all servers.
    #[must_use]
    pub fn active(&self) -> usize {
        self.load.get()
    }
}
