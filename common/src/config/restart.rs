//! What a reload cannot change: sockets, processes and walls are made at the start. Pure: two configurations in, keys out.
//!
//! A reload whose file changes any of these is refused as a whole. Applying the rest would leave a proxy that is neither what
//! the old file says nor what the new one says.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Config, LogFormat, LogLevel, MetricsPage, Shared};
use crate::wiring::{EDGES, Edge};

/// What of a configuration only a restart can change. A process keeps this of the one it works with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    bulkhead: Shared,
    log: (LogLevel, LogFormat, Duration, usize),
    metrics: MetricsPage,
    instances: [(&'static str, usize); 5],
    splice_pipes: usize,
    router: Vec<Socket>,
    forward: Vec<Socket>,
    needed: BTreeSet<&'static str>,
    used: Vec<Edge>,
}

impl Fixed {
    /// What all processes share.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.bulkhead
    }

    /// Takes it out.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            bulkhead: config.bulkhead.clone(),
            log: (config.log.level, config.log.format, config.log.gather, config.log.buffer),
            metrics: config.metrics,
            instances: [
                ("sni-router.instances", config.sni_router.instances),
                ("passthrough-relay.instances", config.passthrough_relay.instances),
                ("tls-terminator.instances", config.tls_terminator.instances),
                ("http-filter.instances", config.http_filter.instances),
                ("forward-proxy.instances", config.forward_proxy.instances),
            ],
            splice_pipes: config.passthrough_relay.splice_pipes,
            router: router(config),
            forward: forward(config),
            needed: config.needed().into_iter().map(|(name, _)| name).collect(),
            used: EDGES.into_iter().filter(|edge| edge.is_used(config)).collect(),
        }
    }

    /// The keys that differ, each with what is the matter.
    #[must_use]
    pub fn needs_restart(&self, new: &Self) -> Vec<String> {
        let mut keys = Vec::new();
        let mut differs = |key: &str, differs: bool| {
            if differs {
                keys.push(key.to_owned());
            }
        };
        differs("bulkhead.runtime_dir", self.bulkhead.runtime_dir != new.bulkhead.runtime_dir);
        differs("bulkhead.sandbox", self.bulkhead.sandbox != new.bulkhead.sandbox);
        differs("bulkhead.users", self.bulkhead.users != new.bulkhead.users);
        differs("log.level", self.log.0 != new.log.0);
        differs("log.format", self.log.1 != new.log.1);
        differs("log.gather", self.log.2 != new.log.2);
        differs("log.buffer", self.log.3 != new.log.3);
        differs("metrics", self.metrics != new.metrics);
        for ((key, had), (_, has)) in self.instances.iter().zip(&new.instances) {
            differs(key, had != has);
        }
        differs("passthrough-relay.splice_pipes", self.splice_pipes != new.splice_pipes);
        listeners("sni-router.listen", &self.router, &new.router, &mut keys);
        listeners("forward-proxy.listen", &self.forward, &new.forward, &mut keys);
        processes(self, new, &mut keys);
        keys
    }
}

/// What of a listener is the launcher's business.
type Socket = (Arc<str>, Vec<SocketAddr>, u32, Duration);

fn router(config: &Config) -> Vec<Socket> {
    let of = |one: &super::Listener| (one.name.clone(), sorted(&one.addresses), one.backlog, one.defer_accept);
    config.sni_router.listen.iter().map(of).collect()
}

fn forward(config: &Config) -> Vec<Socket> {
    let of = |one: &super::ForwardListener| (one.name.clone(), sorted(&one.addresses), one.backlog, one.defer_accept);
    config.forward_proxy.listen.iter().map(of).collect()
}

fn sorted(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut addresses = addresses.to_vec();
    addresses.sort();
    addresses
}

fn listeners(key: &str, old: &[Socket], new: &[Socket], keys: &mut Vec<String>) {
    for (name, addresses, backlog, defer) in new {
        let Some((_, had_addresses, had_backlog, had_defer)) = old.iter().find(|(known, ..)| known == name) else {
            keys.push(format!("{key} (new: {name})"));
            continue;
        };
        if addresses != had_addresses {
            keys.push(format!("{key}.address (of {name})"));
        }
        if backlog != had_backlog {
            keys.push(format!("{key}.backlog (of {name})"));
        }
        if defer != had_defer {
            keys.push(format!("{key}.defer_accept (of {name})"));
        }
    }
    let gone = old.iter().filter(|(name, ..)| !new.iter().any(|(known, ..)| known == name));
    keys.extend(gone.map(|(name, ..)| format!("{key} (gone: {name})")));
}

/// A process that is needed now and was not before, or the other way round, or two that have never been joined.
fn processes(old: &Fixed, new: &Fixed, keys: &mut Vec<String>) {
    let (had, has) = (&old.needed, &new.needed);
    keys.extend(has.difference(had).map(|name| format!("{name} (the process is needed now and was not started)")));
    keys.extend(had.difference(has).map(|name| format!("{name} (the process runs and is not needed any more)")));
    for edge in new.used.iter().filter(|edge| !old.used.contains(edge)) {
        let both_run = [edge.sender, edge.receiver].iter().all(|end| had.contains(end.name()));
        if both_run {
            keys.push(format!("{} (nothing went from {} to {} so far)", edge.name, edge.sender, edge.receiver));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::path::Path;

    const BASE: &str = "[bulkhead]\nruntime_dir = \"/run/b\"\n\
        [[sni-router.listen]]\nname = \"web\"\naddress = [\"127.0.0.1:80\", \"[::1]:80\"]\nprotocol = \"http\"\n\
        [[pool]]\nname = \"app\"\nservers = [\"127.0.0.1:9000\"]\n\
        [[http-filter.route]]\nname = \"all\"\npool = \"app\"\n";

    fn keys(from: &str, to: &str) -> String {
        let changed = BASE.replace(from, to);
        assert!(from.is_empty() || changed != BASE, "{from}");
        let read = |text: &str| Config::parse(text, "test.toml", Path::new("/")).unwrap().0;
        Fixed::of(&read(BASE)).needs_restart(&Fixed::of(&read(&changed))).join("; ")
    }

    #[test]
    fn what_is_only_a_decision_can_be_reloaded() {
        assert_eq!(keys("127.0.0.1:9000", "127.0.0.1:9001"), "");
        assert_eq!(keys("pool = \"app\"\n", "pool = \"app\"\nhosts = [\"a.test\"]\n"), "");
        assert_eq!(
            keys("[\"127.0.0.1:80\", \"[::1]:80\"]", "[\"[::1]:80\", \"127.0.0.1:80\"]"),
            "",
            "order of addresses"
        );
        assert_eq!(keys("[bulkhead]", "[log]\naccess = false\n[bulkhead]"), "");
    }

    #[test]
    fn sockets_processes_and_walls_are_named() {
        assert_eq!(keys("/run/b", "/run/c"), "bulkhead.runtime_dir");
        assert_eq!(keys("[bulkhead]\n", "[bulkhead]\nsandbox = \"strict\"\n"), "bulkhead.sandbox");
        assert_eq!(keys("127.0.0.1:80\"", "127.0.0.1:81\""), "sni-router.listen.address (of web)");
        assert_eq!(keys("\"web\"", "\"www\""), "sni-router.listen (new: www); sni-router.listen (gone: web)");
        assert_eq!(keys("protocol = ", "backlog = 7\nprotocol = "), "sni-router.listen.backlog (of web)");
        let two = keys("[bulkhead]", "[http-filter]\ninstances = 2\n[bulkhead]");
        assert_eq!(two, "http-filter.instances");
        let more = "[[forward-proxy.listen]]\nname = \"out\"\naddress = \"127.0.0.1:3128\"\n[bulkhead]";
        let more = keys("[bulkhead]", more);
        assert!(
            more.contains("forward-proxy.listen (new: out)") && more.contains("forward-proxy (the process"),
            "{more}"
        );
    }
}
