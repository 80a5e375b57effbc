//! Keys of `[[http-filter.rate-limit]]` and `[[http-filter.concurrency-limit]]`.

use super::super::*;

pub(in crate::config::reference) const KEYS: &[Key] = &[
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
    key("http-filter.rate-limit.clients", list(NETWORK), Preset::Absent("any client"), "Networks of clients.", ""),
    key("http-filter.rate-limit.methods", list("method (`\"POST\"`)"), Preset::Absent("any method"), "Methods.", ""),
    key("http-filter.rate-limit.hosts", list(HOST), Preset::Absent("any host"), "Hosts the request is for.", ""),
    key("http-filter.rate-limit.paths", list(PATHS), Preset::Absent("any path"), "Paths, after normalisation.", ""),
    key(
        "http-filter.rate-limit.max_keys",
        integer(8, 16 * MANY),
        value("65536"),
        "Keys that are remembered, about; 24 bytes each.",
        "Memory is taken only as keys come. With more keys at once those that are least ahead of the rate are forgotten first.",
    ),
    key(
        "http-filter.rate-limit.headers",
        Kind::Flag,
        value("false"),
        "Tell clients where they stand on every answer: `RateLimit-Policy` and `RateLimit`.",
        "A 429 always has them.",
    ),
    key("http-filter.rate-limit.observe", Kind::Flag, value("false"), OBSERVE_LIMIT, ""),
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
    key(
        "http-filter.concurrency-limit.clients",
        list(NETWORK),
        Preset::Absent("any client"),
        "Networks of clients.",
        "",
    ),
    key(
        "http-filter.concurrency-limit.methods",
        list("method (`\"POST\"`)"),
        Preset::Absent("any method"),
        "Methods.",
        "",
    ),
    key("http-filter.concurrency-limit.hosts", list(HOST), Preset::Absent("any host"), "Hosts the request is for.", ""),
    key(
        "http-filter.concurrency-limit.paths",
        list(PATHS),
        Preset::Absent("any path"),
        "Paths, after normalisation.",
        "",
    ),
    key("http-filter.concurrency-limit.observe", Kind::Flag, value("false"), OBSERVE_LIMIT, ""),
];

const RATE_LIMIT: &str = "Every limit whose conditions hold counts the request, and the first that has no room refuses it with 429; a refused \
     request counts for none of them. They stand after the access rules. Each instance of http-filter counts for itself: a client \
     that spreads over many connections can reach `requests` times `instances`. A reload keeps the counts of a limit that did not change.";
const CONCURRENCY_LIMIT: &str = "As rate limits, for requests that are being answered at the same time in one instance; \
     more are a 429. A WebSocket counts until its handshake is done; `max_connections_per_address` bounds those.";
const LIMIT_NAME: &str = "Name of the limit in logs, counters and refusals; unique among all limits.";
const OBSERVE_LIMIT: &str = "Only log what the limit would have done.";
const KEY_PARTS: &str = "`\"client\"`, `\"host\"`, `\"sni\"`, `\"ja4\"`, `\"method\"`, `\"path\"`, `\"path:N\"`, `\"header:NAME\"`, `\"cookie:NAME\"`";
const KEY: &str = "Requests that agree in all of these count together; `[]`: all requests do.";
const KEY_LONG: &str = "`path:2` is the first two segments of the path. A request without the header, cookie, SNI or fingerprint counts \
     by its client's network in their stead, so leaving it out is no way around. Clients can invent headers and cookies: add a limit by client.";
const V4: &str = "Bits of an IPv4 address that make one client.";
const V6: &str = "Bits of an IPv6 address that make one client.";
const PATHS: &str = "`\"/exact\"` or `\"/prefix*\"`";
