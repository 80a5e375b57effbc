//! Keys of `[[http-filter.rate-limit]]` and `[[http-filter.concurrency-limit]]`.

use super::super::access::*;
use super::super::*;

/// Both tables, each with the conditions of access rules.
pub(in crate::config::reference) const TABLES: &[&[Key]] = &[
    RATE,
    client_keys!("http-filter.rate-limit"),
    hello_keys!("http-filter.rate-limit"),
    handshake_keys!("http-filter.rate-limit"),
    method_keys!("http-filter.rate-limit"),
    place_keys!("http-filter.rate-limit"),
    request_keys!("http-filter.rate-limit"),
    CONCURRENCY,
    client_keys!("http-filter.concurrency-limit"),
    hello_keys!("http-filter.concurrency-limit"),
    handshake_keys!("http-filter.concurrency-limit"),
    method_keys!("http-filter.concurrency-limit"),
    place_keys!("http-filter.concurrency-limit"),
    request_keys!("http-filter.concurrency-limit"),
];

const RATE: &[Key] = &[
    tables("http-filter.rate-limit", "How many requests in a time.", RATE_LIMIT),
    key("http-filter.rate-limit.name", Kind::Text(LABEL), Preset::Required, LIMIT_NAME, ""),
    key("http-filter.rate-limit.requests", integer(1, 1_000_000), Preset::Required, "Requests in `per`.", ""),
    key("http-filter.rate-limit.per", duration(SECOND, DAY), value("\"1s\""), "The time for `requests`.", ""),
    key(
        "http-filter.rate-limit.burst",
        integer(1, 1_000_000),
        Preset::Absent("as `requests`"),
        "Requests that may come at once after a pause.",
        "The rate is enforced evenly: `requests = 60`, `per = \"1m\"`, `burst = 5` lets five pass at once and then one per second.",
    ),
    key("http-filter.rate-limit.key", list_or_empty(KEY_PARTS), value("\"client\""), KEY, KEY_LONG),
    key("http-filter.rate-limit.v4_prefix", integer_or_zero(1, 32, "all IPv4 clients together"), value("32"), V4, ""),
    key("http-filter.rate-limit.v6_prefix", integer_or_zero(1, 128, "all IPv6 clients together"), value("64"), V6, ""),
    key(
        "http-filter.rate-limit.max_keys",
        integer(8, 16 * MANY),
        value("65536"),
        "Keys that are remembered, about; 24 bytes each.",
        "Memory is taken only as keys come. With more keys at once those that are least ahead of the rate are forgotten first.",
    ),
    key(
        "http-filter.rate-limit.tell",
        Kind::Flag,
        value("false"),
        "Tell clients where they stand on every answer: `RateLimit-Policy` and `RateLimit`.",
        "A 429 always has them.",
    ),
    key("http-filter.rate-limit.mode", MODE, value("\"enforce\""), MODE_LIMIT, ""),
];

const CONCURRENCY: &[Key] = &[
    tables("http-filter.concurrency-limit", "How many requests at once.", CONCURRENCY_LIMIT),
    key("http-filter.concurrency-limit.name", Kind::Text(LABEL), Preset::Required, LIMIT_NAME, ""),
    key("http-filter.concurrency-limit.requests", integer(1, MANY), Preset::Required, "Requests at once.", ""),
    key("http-filter.concurrency-limit.key", list_or_empty(KEY_PARTS), value("\"client\""), KEY, KEY_LONG),
    key(
        "http-filter.concurrency-limit.v4_prefix",
        integer_or_zero(1, 32, "all IPv4 clients together"),
        value("32"),
        V4,
        "",
    ),
    key(
        "http-filter.concurrency-limit.v6_prefix",
        integer_or_zero(1, 128, "all IPv6 clients together"),
        value("64"),
        V6,
        "",
    ),
    key("http-filter.concurrency-limit.mode", MODE, value("\"enforce\""), MODE_LIMIT, ""),
];

const RATE_LIMIT: &str = "Every limit whose conditions hold counts the request (they are those of access rules; one whose `when` fails counts it too), and the first that has no room refuses it with 429; a refused \
     request counts for none of them. They stand after the access rules. Each instance of http-filter counts for itself: a client \
     that spreads over many connections can reach `requests` times `instances`. A reload keeps the counts of a limit that did not change.";
const CONCURRENCY_LIMIT: &str = "As rate limits, for requests that are being answered at the same time in one instance; \
     more are a 429. A WebSocket counts until its handshake is done; `max_connections_per_address` bounds those.";
const LIMIT_NAME: &str = "Name of the limit in logs, counters and refusals; unique among all limits.";
const MODE_LIMIT: &str = "`observe`: only log what the limit would have done.";
const KEY_PARTS: &str = "`\"client\"`, `\"host\"`, `\"sni\"`, `\"ja4\"`, `\"method\"`, `\"path\"`, `\"path:N\"`, `\"header:NAME\"`, `\"cookie:NAME\"`";
const KEY: &str = "Requests that agree in all of these count together; `[]`: all requests do.";
const KEY_LONG: &str = "`path:2` is the first two segments of the path. A request without the header, cookie, SNI or fingerprint counts \
     by its client's network in their stead, so leaving it out is no way around. Clients can invent headers and cookies: add a limit by client.";
const V4: &str = "Bits of an IPv4 address that make one client.";
const V6: &str = "Bits of an IPv6 address that make one client.";
