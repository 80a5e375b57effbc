//! Keys of `[[pool]]`: the servers behind, and how they are used.

pub(super) mod balancing;
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
    key(
        "pool.max_age",
        duration(SECOND, DAY),
        value("\"10m\""),
        "Age after which http-filter uses a connection no more.",
        "So a server whose name has another address now is found again: names are resolved when a connection is made, never for one \
         that stands. A request under way is not cut off.",
    ),
    key(
        "pool.total_deadline",
        Kind::Duration(Bounds { min: 100, max: DAY, zero: Some("not limited") }),
        value("\"1h\""),
        "Time for a whole request: waiting in the queue, every try, and the answer to its last byte.",
        "Ends with a 504 before the answer has begun, and with a broken connection after. Connections that switched protocols \
         (WebSocket), server-sent events and gRPC are not meant to end: for them it counts only until the answer begins.",
    ),
];
