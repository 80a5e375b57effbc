//! Names become addresses: literals at once, then `/etc/hosts`, then DNS (hickory), with the TTL kept and a deadline for every lookup.
//!
//! `/etc/resolv.conf` and `/etc/hosts` are read once, by [`Resolver::from_system`], before the sandbox closes; afterwards no file is opened (hickory is
//! built from the text and told never to read the hosts file). A changed file therefore needs a restart of the process.
//!
//! What comes out is a list of addresses in the order in which to try them. Whether one may be connected to is not decided here: a name can change
//! its answer at any time, so only `connect` can judge, on the address it uses.

mod cache;
mod hosts;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;
use thiserror::Error;

use self::cache::{Answer, Cache, Key, Next};
pub use self::hosts::Hosts;
use super::literal::Host;

/// Addresses kept of one name.
pub const MOST_ADDRESSES: usize = 64;
/// Responses in hickory's own cache, which mainly remembers what does not exist.
const HICKORY_CACHE: u64 = 1024;
/// Questions in flight to one name server.
pub const MOST_QUESTIONS: usize = 2 * cache::MOST_LOOKUPS;
/// How long one address family waits for the other after a good answer (RFC 8305 §3 waits 50 ms; servers that drop AAAA questions are common,
/// but connecting without the second family has a price, too, because this answer is then kept for its TTL).
const PATIENCE: Duration = Duration::from_millis(300);
/// `/etc/hosts` is read up to this many bytes.
pub const LONGEST_HOSTS: usize = 4 * 1024 * 1024;

/// On whose behalf a name is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A name from the configuration: search domains apply, and a recent answer outlives a failure of DNS.
    Backend,
    /// A name a client gave: taken literally (never completed by our search domains), never served stale.
    Destination,
}

/// Why there are no addresses.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ResolveError {
    /// The name servers say so.
    #[error("{name}: no such name, or it has no address")]
    NotFound {
        /// What was looked up.
        name: String,
    },
    /// `localhost` and names below it are never asked in DNS (RFC 6761 §6.3).
    #[error("{name}: names under localhost are taken from /etc/hosts only, and it is not there")]
    LocalOnly {
        /// What was looked up.
        name: String,
    },
    /// There is no name server to ask.
    #[error("{name}: cannot be looked up, only addresses and names in /etc/hosts work: {why}")]
    NoNameServer {
        /// What was looked up.
        name: String,
        /// What is wrong with `/etc/resolv.conf`.
        why: String,
    },
    /// No answer before the deadline.
    #[error("{name}: the name servers did not answer in time")]
    Timeout {
        /// What was looked up.
        name: String,
    },
    /// The name servers failed.
    #[error("{name}: the name servers failed: {why}")]
    Failed {
        /// What was looked up.
        name: String,
        /// What they or the network said.
        why: String,
    },
    /// Too many lookups at once.
    #[error("{name}: too many lookups in flight; try again")]
    Busy {
        /// What was looked up.
        name: String,
    },
}

impl ResolveError {
    /// Whether the name itself is at fault, not the way to ask.
    #[must_use]
    pub fn is_definite(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::LocalOnly { .. })
    }
}

/// What a scripted resolver answers: addresses and how long they are good for.
pub type Scripted = dyn Fn(&str) -> Result<(Vec<IpAddr>, Duration), ResolveError> + Send + Sync;

/// Where names that are neither literals nor in the hosts file are looked up.
enum Source {
    Dns(Box<Dns>),
    Missing(String),
    Scripted(Box<Scripted>),
}

struct Dns {
    resolver: TokioResolver,
    search: Vec<Name>,
    ndots: usize,
}

/// One for the whole process; share it.
pub struct Resolver {
    hosts: Hosts,
    source: Source,
    cache: Mutex<Cache>,
    /// How often a backend was asked for, and what makes a random number of it: whose turn it is among several addresses.
    turns: (AtomicUsize, RandomState),
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("problem", &self.problem()).finish_non_exhaustive()
    }
}

impl Resolver {
    /// Reads `/etc/resolv.conf` and `/etc/hosts` now; call it before the sandbox closes. Never fails: without name servers literals and the hosts file
    /// still work, and [`Resolver::problem`] says what is missing.
    #[must_use]
    pub fn from_system() -> Self {
        let hosts = std::fs::read("/etc/hosts").unwrap_or_default();
        let hosts = String::from_utf8_lossy(hosts.get(..LONGEST_HOSTS).unwrap_or(&hosts)).into_owned();
        match std::fs::read("/etc/resolv.conf") {
            Ok(text) => Self::from_texts(Ok(&text), &hosts),
            Err(error) => Self::from_texts(Err(format!("/etc/resolv.conf: {error}")), &hosts),
        }
    }

    /// The same from the contents of the two files (or the reason why there is no `resolv.conf`).
    #[must_use]
    pub fn from_texts(resolv_conf: Result<&[u8], String>, hosts: &str) -> Self {
        let parsed =
            resolv_conf.and_then(|text| parse_resolv_conf(text).map_err(|error| format!("/etc/resolv.conf: {error}")));
        let source = match parsed {
            Ok((config, options)) => Self::dns(config, options),
            Err(why) => Source::Missing(why),
        };
        Self::new(source, hosts)
    }

    /// Asks these name servers instead of those of the system.
    #[must_use]
    pub fn with_servers(servers: &[SocketAddr], hosts: &str) -> Self {
        let with_port = |mut connection: ConnectionConfig, port| {
            connection.port = port;
            connection
        };
        let server = |at: &SocketAddr| {
            let connections =
                vec![with_port(ConnectionConfig::udp(), at.port()), with_port(ConnectionConfig::tcp(), at.port())];
            NameServerConfig::new(at.ip(), true, connections)
        };
        let config = ResolverConfig::from_name_servers(servers.iter().map(server).collect());
        Self::new(Self::dns(config, ResolverOpts::default()), hosts)
    }

    /// Asks a function; for tests of everything that stands behind a name, such as one that changes its answer between two questions.
    #[must_use]
    pub fn scripted(answers: Box<Scripted>, hosts: &str) -> Self {
        Self::new(Source::Scripted(answers), hosts)
    }

    fn new(source: Source, hosts: &str) -> Self {
        Self {
            hosts: Hosts::parse(hosts),
            source,
            cache: Mutex::default(),
            turns: <(AtomicUsize, RandomState)>::default(),
        }
    }

    fn dns(config: ResolverConfig, mut options: ResolverOpts) -> Source {
        options.use_hosts_file = ResolveHosts::Never;
        options.cache_size = HICKORY_CACHE;
        options.max_active_requests = MOST_QUESTIONS;
        options.try_tcp_on_error = true;
        let ndots = options.ndots;
        let (domain, mut search, servers) = config.into_parts();
        if search.is_empty() {
            search.extend(domain);
        }
        let config = ResolverConfig::from_name_servers(servers);
        match TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options).build()
        {
            Ok(resolver) => Source::Dns(Box::new(Dns { resolver, search, ndots })),
            Err(error) => Source::Missing(error.to_string()),
        }
    }

    /// Why names cannot be looked up, if they cannot: for the start-up log and `check`.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        match &self.source {
            Source::Missing(why) => Some(why),
            _ => None,
        }
    }

    /// The addresses of a host with a port, in the order in which to try them. Which address of a backend is the first of its family is
    /// random, so that connections spread over all of them.
    ///
    /// # Errors
    /// See [`ResolveError`]; never an empty list.
    pub async fn resolve(
        &self,
        host: &Host,
        port: u16,
        purpose: Purpose,
        deadline: Instant,
    ) -> Result<Vec<SocketAddr>, ResolveError> {
        let turn = || match purpose {
            Purpose::Backend => self.turns.1.hash_one(self.turns.0.fetch_add(1, Ordering::Relaxed)),
            Purpose::Destination => 0,
        };
        let addresses = match host {
            Host::Address(address) => return Ok(vec![SocketAddr::new(*address, port)]),
            Host::Name(name) => match self.hosts.addresses(name) {
                Some(addresses) => interleave(addresses, turn()),
                None if is_local(name) => return Err(ResolveError::LocalOnly { name: name.clone() }),
                None => interleave(&self.look_up(name, purpose, deadline).await?, turn()),
            },
        };
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }

    /// From the cache, from somebody else's question, or from the source.
    async fn look_up(&self, name: &str, purpose: Purpose, deadline: Instant) -> Answer {
        if let Source::Missing(why) = &self.source {
            return Err(ResolveError::NoNameServer { name: name.to_owned(), why: why.clone() });
        }
        let timeout = || ResolveError::Timeout { name: name.to_owned() };
        let key = (name.to_owned(), purpose);
        loop {
            let next = self.lock().next(&key, Instant::now());
            match next {
                Next::Known(addresses) => return Ok(addresses),
                Next::Busy => return self.or_stale(&key, ResolveError::Busy { name: name.to_owned() }),
                Next::Follow(mut flight) => {
                    let answer = tokio::time::timeout_at(deadline.into(), flight.wait_for(Option::is_some)).await;
                    match answer {
                        Err(_) => return self.or_stale(&key, timeout()),
                        Ok(Ok(answer)) => return answer.clone().unwrap_or_else(|| Err(timeout())),
                        Ok(Err(_)) => {} // whoever asked has given up: ask again
                    }
                }
                Next::Lead(tell) => {
                    let landing = Landing { resolver: self, key: &key };
                    let answer = tokio::time::timeout_at(deadline.into(), self.ask(name, purpose)).await;
                    let Ok(answer) = answer else { return self.or_stale(&key, timeout()) };
                    let answer = match answer {
                        Ok((addresses, valid_until)) => {
                            self.lock().store(key.clone(), addresses.clone(), valid_until, Instant::now());
                            Ok(addresses)
                        }
                        Err(error) => self.or_stale(&key, error),
                    };
                    drop(landing);
                    tell.send_replace(Some(answer.clone()));
                    return answer;
                }
            }
        }
    }

    /// A failure of the name servers does not have to be one of ours.
    fn or_stale(&self, key: &Key, error: ResolveError) -> Answer {
        if error.is_definite() || key.1 == Purpose::Destination {
            return Err(error);
        }
        let stale = self.lock().stale(key, Instant::now()).ok_or(error.clone())?;
        tracing::warn!(%error, "going on with the last known addresses");
        Ok(stale)
    }

    async fn ask(&self, name: &str, purpose: Purpose) -> Result<(Arc<[IpAddr]>, Instant), ResolveError> {
        match &self.source {
            Source::Dns(dns) => dns.ask(name, purpose).await,
            Source::Scripted(answers) => {
                let (addresses, good_for) = answers(name)?;
                let now = Instant::now();
                let valid_until = now.checked_add(good_for).unwrap_or(now);
                if addresses.is_empty() {
                    Err(ResolveError::NotFound { name: name.to_owned() })
                } else {
                    Ok((addresses.into(), valid_until))
                }
            }
            Source::Missing(why) => Err(ResolveError::NoNameServer { name: name.to_owned(), why: why.clone() }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a lookup off the list of those in flight, also when its future is dropped half-way.
struct Landing<'a> {
    resolver: &'a Resolver,
    key: &'a Key,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.resolver.lock().landed(self.key);
    }
}

impl Dns {
    async fn ask(&self, name: &str, purpose: Purpose) -> Result<(Arc<[IpAddr]>, Instant), ResolveError> {
        let failed = |why: String| ResolveError::Failed { name: name.to_owned(), why };
        let mut absolute = Name::from_ascii(name).map_err(|error| failed(error.to_string()))?;
        absolute.set_fqdn(true);
        let candidates = match purpose {
            Purpose::Destination => vec![absolute],
            Purpose::Backend => candidates(absolute, &self.search, self.ndots),
        };
        for candidate in candidates {
            let both = self.both_families(candidate).await;
            if let Some(answer) = both.map_err(|error| match error {
                NetError::Timeout => ResolveError::Timeout { name: name.to_owned() },
                other => failed(other.to_string()),
            })? {
                return Ok(answer);
            }
        }
        Err(ResolveError::NotFound { name: name.to_owned() })
    }

    /// A and AAAA at once. `None`: the name does not exist or has no address. An error only if neither family had an answer.
    async fn both_families(&self, name: Name) -> Result<Option<(Arc<[IpAddr]>, Instant)>, NetError> {
        let mut v6 = pin!(self.resolver.lookup(name.clone(), RecordType::AAAA));
        let mut v4 = pin!(self.resolver.lookup(name, RecordType::A));
        let mut patience = pin!(tokio::time::sleep(PATIENCE));
        let (mut answer6, mut answer4) = (None, None);
        let mut one_is_good = false;
        while answer6.is_none() || answer4.is_none() {
            tokio::select! {
                answer = &mut v6, if answer6.is_none() => answer6 = Some(answer),
                answer = &mut v4, if answer4.is_none() => answer4 = Some(answer),
                () = &mut patience, if one_is_good => break,
            }
            if !one_is_good && [&answer6, &answer4].iter().any(|answer| matches!(answer, Some(Ok(_)))) {
                one_is_good = true;
                patience.as_mut().reset(tokio::time::Instant::now() + PATIENCE);
            }
        }
        let mut addresses = Vec::new();
        let mut valid_until: Option<Instant> = None;
        let mut failure = None;
        for answer in [answer6, answer4].into_iter().flatten() {
            match answer {
                Ok(lookup) => {
                    addresses.extend(addresses_of(&lookup));
                    valid_until =
                        Some(valid_until.map_or(lookup.valid_until(), |until| until.min(lookup.valid_until())));
                }
                Err(error) if error.is_no_records_found() || error.is_nx_domain() => {}
                Err(error) => failure = Some(error),
            }
        }
        addresses.truncate(MOST_ADDRESSES);
        match (addresses.is_empty(), valid_until, failure) {
            (false, Some(valid_until), _) => Ok(Some((addresses.into(), valid_until))),
            (_, _, Some(error)) => Err(error),
            _ => Ok(None),
        }
    }
}

/// The answers are the whole chain of aliases; only the addresses at its end count.
fn addresses_of(lookup: &Lookup) -> impl Iterator<Item = IpAddr> {
    lookup.answers().iter().filter_map(|record| record.data.ip_addr())
}

/// The names to try for a name from the configuration (resolv.conf(5), `search` and `ndots`).
fn candidates(absolute: Name, search: &[Name], ndots: usize) -> Vec<Name> {
    let mut relative = absolute.clone();
    relative.set_fqdn(false);
    let dots = usize::from(relative.num_labels()).saturating_sub(1);
    let mut names: Vec<Name> = search
        .iter()
        .filter_map(|domain| {
            let mut name = relative.clone().append_domain(domain).ok()?;
            name.set_fqdn(true);
            Some(name)
        })
        .collect();
    let position = if dots >= ndots { 0 } else { names.len() };
    names.insert(position, absolute);
    names
}

fn is_local(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// Families in turn, IPv6 first, the order within a family kept (RFC 8305 §4) but for where it begins.
#[must_use]
pub fn interleave(addresses: &[IpAddr], turn: u64) -> Vec<IpAddr> {
    let family = |v6: bool| {
        let own = addresses.iter().filter(move |address| address.is_ipv6() == v6);
        let count = own.clone().count();
        let first = turn.checked_rem(count as u64).and_then(|first| usize::try_from(first).ok());
        own.cycle().skip(first.unwrap_or(0)).take(count)
    };
    let (mut v6, mut v4) = (family(true), family(false));
    let mut ordered = Vec::with_capacity(addresses.len());
    loop {
        let (six, four) = (v6.next(), v4.next());
        if six.is_none() && four.is_none() {
            return ordered;
        }
        ordered.extend(six.into_iter().chain(four));
    }
}

#[cfg(test)]
mod tests;
