//! What http-filter may need ([`common::budget`]). Pure.

use std::collections::HashSet;
use std::sync::Arc;

use common::budget::{Budget, log, need, shared, times, wide};
use common::config::{Config, Handoff, HttpFilter, Pool};
use common::net::farewell::MAX_LINGERING;
use common::process::Process;
use common_http::upstream::MOST_READ;

use crate::connection::{CONNECTION_WINDOW, SEND_BUFFER};

/// Bytes of a client's connection with nothing under way: measured for HTTP/2 over TLS, more than for the others.
pub const IDLE_CONNECTION: usize = 25 * 1024;
/// Bytes of one key of a rate limit (`common::limit::table`).
const KEY: usize = 24;
/// A relayed connection has a second handle on its socket while it waits for room (`common::net::quiet_stream`).
const SECOND_HANDLE: usize = 1;

const CLIENTS: &str = "http-filter.max_connections";
const REQUESTS: &str = "http-filter.max_requests";

/// The sums for one instance.
pub fn budget(config: &Config) -> Budget {
    let filter = &config.http_filter;
    let (clients, requests) = (filter.max_connections, filter.max_requests);
    let pools = pools(config);
    let idle: u64 = pools.iter().map(|pool| times(pool.max_idle, pool.servers.len())).fold(0, u64::saturating_add);
    let checked = pools.iter().filter(|pool| pool.health.is_some()).map(|pool| wide(pool.servers.len())).sum();
    let mut descriptors = vec![need(wide(clients), CLIENTS, "clients' connections")];
    if relays(config) {
        let handles = times(clients, SECOND_HANDLE);
        descriptors.push(need(handles, CLIENTS, "second handles of relayed TLS connections that wait for room"));
    }
    descriptors.extend([
        need(wide(requests), REQUESTS, "connections to servers with a request under way"),
        need(idle, "pool.max_idle", "idle connections to servers"),
        need(checked, "", "health checks"),
        need(MAX_LINGERING, "", "refused clients that read why"),
    ]);
    descriptors.extend(shared(Process::HttpFilter, config));
    Budget {
        connections: wide(clients),
        limit: 0,
        descriptors,
        idle: vec![
            need(times(clients, IDLE_CONNECTION), CLIENTS, "connections without a request"),
            need(keys(filter), "http-filter.rate-limit.max_keys", "tables of rate limits"),
            need(rules(filter), "http-filter.web-attacks.rules", "rules against web attacks, twice at a reload"),
            need(records(filter), "http-filter.web-attacks.collections", "records that these rules keep"),
        ],
        busy: vec![
            need(times(clients, largest_upload(filter)), CLIENTS, "headers and uploads under way"),
            need(unsent(filter), "http-filter.max_unsent_per_address", "answers that clients do not take"),
            need(times(requests, MOST_READ), REQUESTS, "answers being read"),
            need(held(filter), "http-filter.web-attacks.max_held", "bodies held for inspection"),
            need(inspected(filter), "http-filter.web-attacks.max_body", "what bodies become while rules look at them"),
            need(compressing(filter), "http-filter.compression.max_answers", "answers being compressed"),
            log(config),
        ],
    }
}

/// Bytes of the largest set of rules there is (the Core Rule Set), compiled.
const RULES: u64 = 40 << 20;
/// Bytes of one record: a client's, say, with its name and a few numbers.
const RECORD: usize = 512;
/// What a body becomes while rules look at it, as a multiple of its size: taken apart, decoded, transformed.
const COPIES: usize = 4;

/// Of both sets, where there is a second one; and as much again while a reload replaces them.
fn rules(filter: &HttpFilter) -> u64 {
    let sets = if filter.web_attacks.shadow.is_empty() { 1 } else { 2 };
    if filter.web_attacks.is_on() { 2 * sets * RULES } else { 0 }
}

fn records(filter: &HttpFilter) -> u64 {
    if filter.web_attacks.is_on() { times(filter.web_attacks.collections, RECORD) } else { 0 }
}

/// Bodies that rules against web attacks look at.
fn held(filter: &HttpFilter) -> u64 {
    let own = &filter.web_attacks;
    match (own.is_on(), own.shadow.is_empty()) {
        (false, _) => 0,
        (true, true) => own.max_held,
        // The shadow rules hold a quarter of it besides.
        (true, false) => own.max_held.saturating_add(own.max_held / 4),
    }
}

/// One body per inspection thread, and one on the serving thread.
fn inspected(filter: &HttpFilter) -> u64 {
    let own = &filter.web_attacks;
    let scoped = own.scopes.iter().filter_map(|scope| scope.max_body);
    let largest = scoped.chain([own.max_body]).max().unwrap_or(0);
    if own.is_on() { times(largest.saturating_mul(COPIES), own.threads.saturating_add(1)) } else { 0 }
}

/// The pools that routes lead to.
fn pools(config: &Config) -> Vec<&Pool> {
    let named: HashSet<&Arc<str>> = config.http_filter.routes.iter().flat_map(|route| route.pools()).collect();
    config.pools.iter().filter(|pool| named.contains(&pool.name)).collect()
}

/// Whether some connection may come by way of a stream from tls-terminator, because the file says so.
fn relays(config: &Config) -> bool {
    let terminator = &config.tls_terminator;
    let relays = |site: &common::config::Site| site.handoff.unwrap_or(terminator.handoff) == Handoff::Relay;
    config.terminates() && config.sites.iter().any(relays)
}

/// Bytes that one client can have on the way in: HTTP/2's window, or the buffers of HTTP/1.
fn largest_upload(filter: &HttpFilter) -> usize {
    let window = usize::try_from(CONNECTION_WINDOW).unwrap_or(usize::MAX);
    filter.max_header_bytes.saturating_add(window.max(filter.max_header_bytes.saturating_mul(2)))
}

/// Bytes that wait for clients when each has an address of its own: what its streams can hold, or what its address may and a piece more.
fn unsent(filter: &HttpFilter) -> u64 {
    let streams = times(usize::try_from(filter.max_streams).unwrap_or(usize::MAX), 2 * SEND_BUFFER);
    let address = filter.max_unsent_per_address.saturating_add(wide(2 * SEND_BUFFER));
    wide(filter.max_connections).saturating_mul(streams.min(address))
}

fn keys(filter: &HttpFilter) -> u64 {
    filter.rate_limits.iter().map(|limit| times(limit.max_keys, KEY)).fold(0, u64::saturating_add)
}

fn compressing(filter: &HttpFilter) -> u64 {
    let compression = &filter.compression;
    if compression.algorithms.is_empty() {
        return 0;
    }
    wide(compression.max_answers).saturating_mul(compression.max_window)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::path::Path;

    fn config(extra: &str) -> Config {
        let text = format!(
            "{extra}\n[[sni-router.listen]]\nname = \"web\"\naddress = [\"127.0.0.1:80\"]\nprotocol = \"http\"\n\
             [[pool]]\nname = \"app\"\nservers = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\nmax_idle = 10\n\
             [[pool]]\nname = \"unused\"\nservers = [\"127.0.0.1:3\"]\n\
             [[http-filter.route]]\nname = \"all\"\npool = \"app\"\n"
        );
        Config::parse(&text, "test.toml", Path::new("/")).unwrap().0
    }

    fn part(budget: &[common::budget::Need], what: &str) -> u64 {
        budget.iter().filter(|need| need.what.contains(what)).map(|need| need.amount).sum()
    }

    #[test]
    fn the_caps_of_the_configuration_bound_the_sums() {
        let told = budget(&config("[http-filter]\nmax_connections = 1000\nmax_requests = 300\nmax_streams = 8"));
        assert_eq!(told.connections, 1000);
        assert_eq!(part(&told.descriptors, "clients' connections"), 1000);
        assert_eq!(part(&told.descriptors, "second handles"), 0, "nobody relays to it");
        assert_eq!(part(&told.descriptors, "request under way"), 300);
        assert_eq!(part(&told.descriptors, "idle connections"), 20, "only pools that routes lead to");
        assert_eq!(part(&told.idle, "without a request"), 1000 * 25 * 1024);
        assert_eq!(part(&told.busy, "do not take"), 1000 * 8 * 2 * wide(SEND_BUFFER));
        assert_eq!(part(&told.busy, "being read"), 300 * wide(MOST_READ));
        assert_eq!(part(&told.busy, "compressed"), 0);
    }

    #[test]
    fn inspection_costs_nothing_while_it_is_off() {
        let off = budget(&config("[http-filter.web-attacks]\nmax_held = \"8MiB\""));
        let on = budget(&config("[http-filter.web-attacks]\nmode = \"detect\"\nmax_held = \"8MiB\"\nthreads = 3\n"));
        for (what, amount) in [("held for", 8 << 20), ("what bodies become", 16 << 20)] {
            assert_eq!((part(&off.busy, what), part(&on.busy, what)), (0, amount), "{what}");
        }
        assert_eq!((part(&off.idle, "rules against"), part(&on.idle, "rules against")), (0, 2 * RULES));
    }

    #[test]
    fn an_address_holds_no_more_than_it_may() {
        let told = budget(&config(
            "[http-filter]\nmax_connections = 10\nmax_streams = 1000\nmax_unsent_per_address = \"1MiB\"",
        ));
        assert_eq!(part(&told.busy, "do not take"), 10 * ((1 << 20) + 2 * wide(SEND_BUFFER)));
    }

    #[test]
    fn the_default_limits_fit_into_what_the_unit_grants() {
        let told = budget(&config(""));
        let most: u64 = told.descriptors.iter().map(|need| need.amount).sum();
        assert!(most + told.connections < crate::sandbox::POLICY.limits.open_files, "{most}, and relayed ones");
    }
}
