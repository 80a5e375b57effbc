//! Keys of `[[pool]]`: the servers behind, and how they are used.

pub(super) mod transport;

use super::*;

pub(super) const KEYS: &[Key] = &[
    tables(
        "pool",
        "A group of servers that serve the same.",
        "Used by `passthrough` (routes and fallbacks) and by `[[http-filter.route]]`.",
    ),
    key("pool.name", Kind::Text(LABEL), Preset::Required, "Name by which routes refer to the pool; unique.", ""),
    key(
        "pool.servers",
        Kind::List {
            of: "`\"host:port\"`, `\"[address]:port\"`, or `{ address = \"host:port\", weight = 2 }`",
            single: true,
            empty: false,
        },
        Preset::Required,
        "Where the servers are; names are resolved by passthrough-relay when a connection is made.",
        "",
    ),
    key(
        "pool.servers.address",
        Kind::Text("`\"host:port\"` or `\"[address]:port\"`"),
        Preset::Required,
        "Where the server is.",
        "",
    ),
    key(
        "pool.servers.weight",
        integer(1, 100),
        value("1"),
        "Share of the connections beside the other servers of the pool.",
        "",
    ),
    key(
        "pool.balance",
        Kind::Choice(&["round-robin", "least-connections"]),
        value("\"round-robin\""),
        "How a server is chosen.",
        "",
    ),
    key(
        "pool.connect_deadline",
        duration(10, 5 * MINUTE),
        value("\"5s\""),
        "Time for one connect, all addresses of the server together; then the next server is tried.",
        "",
    ),
    key(
        "pool.proxy_protocol",
        Kind::Choice(&["none", "v1", "v2"]),
        value("\"none\""),
        "PROXY header sent before the first byte, so that the server learns the client's address.",
        "Passthrough only. `v2` also carries the server name and ALPN of the client.",
    ),
    key(
        "pool.eject_after",
        integer_or_zero(1, 1000, "never"),
        value("3"),
        "A server is left out after so many failures in a row.",
        "When every server is left out, all of them are tried again.",
    ),
    key("pool.eject_for", duration(100, HOUR), value("\"10s\""), "How long a server is left out.", ""),
    key(
        "pool.max_idle",
        integer(0, 10_000),
        value("64"),
        "Idle connections that http-filter keeps per server.",
        "0: every request has a connection of its own.",
    ),
    key(
        "pool.idle_deadline",
        duration(SECOND, HOUR),
        value("\"60s\""),
        "How long http-filter keeps an idle connection.",
        "Choose it below the server's own limit, so that the server never closes first.",
    ),
];
