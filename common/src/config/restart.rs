//! What a reload cannot change: sockets, processes and walls are made at the start. Pure: two configurations in, keys out.
//!
//! A reload whose file changes any of these is refused as a whole. Applying the rest would leave a proxy that is neither what
//! the old file says nor what the new one says.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::Config;
use crate::wiring::EDGES;

/// The keys that differ and that only a restart can change, each with what is the matter.
#[must_use]
pub fn needs_restart(old: &Config, new: &Config) -> Vec<String> {
    let mut keys = Vec::new();
    let mut differs = |key: &str, differs: bool| {
        if differs {
            keys.push(key.to_owned());
        }
    };
    differs("bulkhead.runtime_dir", old.bulkhead.runtime_dir != new.bulkhead.runtime_dir);
    differs("bulkhead.sandbox", old.bulkhead.sandbox != new.bulkhead.sandbox);
    differs("bulkhead.users", old.bulkhead.users != new.bulkhead.users);
    differs("log.level", old.log.level != new.log.level);
    differs("log.format", old.log.format != new.log.format);
    differs("log.gather", old.log.gather != new.log.gather);
    differs("log.buffer", old.log.buffer != new.log.buffer);
    differs("metrics", old.metrics != new.metrics);
    differs("sni-router.instances", old.sni_router.instances != new.sni_router.instances);
    differs("passthrough-relay.instances", old.passthrough_relay.instances != new.passthrough_relay.instances);
    differs("passthrough-relay.splice_pipes", old.passthrough_relay.splice_pipes != new.passthrough_relay.splice_pipes);
    differs("tls-terminator.instances", old.tls_terminator.instances != new.tls_terminator.instances);
    differs("http-filter.instances", old.http_filter.instances != new.http_filter.instances);
    differs("forward-proxy.instances", old.forward_proxy.instances != new.forward_proxy.instances);
    listeners("sni-router.listen", &router(old), &router(new), &mut keys);
    listeners("forward-proxy.listen", &forward(old), &forward(new), &mut keys);
    processes(old, new, &mut keys);
    keys
}

/// What of a listener is the launcher's business.
type Socket<'a> = (&'a str, Vec<SocketAddr>, u32, Duration);

fn router(config: &Config) -> Vec<Socket<'_>> {
    let of = |one: &'_ super::Listener| (one.addresses.clone(), one.backlog, one.defer_accept);
    config.sni_router.listen.iter().map(|one| (&*one.name, of(one))).map(flat).collect()
}

fn forward(config: &Config) -> Vec<Socket<'_>> {
    let of = |one: &'_ super::ForwardListener| (one.addresses.clone(), one.backlog, one.defer_accept);
    config.forward_proxy.listen.iter().map(|one| (&*one.name, of(one))).map(flat).collect()
}

fn flat<'a>((name, (mut addresses, backlog, defer)): (&'a str, (Vec<SocketAddr>, u32, Duration))) -> Socket<'a> {
    addresses.sort();
    (name, addresses, backlog, defer)
}

fn listeners(key: &str, old: &[Socket<'_>], new: &[Socket<'_>], keys: &mut Vec<String>) {
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
fn processes(old: &Config, new: &Config, keys: &mut Vec<String>) {
    let names = |config: &Config| config.needed().into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>();
    let (had, has) = (names(old), names(new));
    keys.extend(has.difference(&had).map(|name| format!("{name} (the process is needed now and was not started)")));
    keys.extend(had.difference(&has).map(|name| format!("{name} (the process runs and is not needed any more)")));
    for edge in EDGES.iter().filter(|edge| edge.is_used(new) && !edge.is_used(old)) {
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
        needs_restart(&read(BASE), &read(&changed)).join("; ")
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
