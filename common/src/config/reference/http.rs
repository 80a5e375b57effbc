//! Keys of `[http-filter]`; a file each for the tables below it.

pub(super) mod answers;
pub(super) mod h2;
pub(super) mod limit;
pub(super) mod observe;
pub(super) mod rewriting;
pub(super) mod route;
pub(super) mod web_attacks;

use super::*;

pub(super) const KEYS: &[Key] = &[
    table("http-filter", "Reads HTTP behind termination, judges each request, and serves it from a pool.", ""),
    key("http-filter.instances", integer(1, 64), value("1"), INSTANCES, INSTANCES_LONG),
    key(
        "http-filter.first_byte_deadline",
        duration(100, 10 * MINUTE),
        value("\"10s\""),
        "Time until the first byte of the first request.",
        "",
    ),
    key(
        "http-filter.header_deadline",
        duration(100, 10 * MINUTE),
        value("\"10s\""),
        "Time from the first byte of a request to the end of its header.",
        "",
    ),
    key(
        "http-filter.idle_deadline",
        duration(100, DAY),
        value("\"60s\""),
        "How long a kept-alive client connection may be silent between requests.",
        "",
    ),
    key(
        "http-filter.response_deadline",
        duration(100, DAY),
        value("\"60s\""),
        "Time until the first byte of the backend's answer, after the request was sent; then the client gets a 504.",
        "",
    ),
    key(
        "http-filter.body_idle_deadline",
        duration(100, DAY),
        value("\"30s\""),
        "How long a body may make no progress, in either direction.",
        "",
    ),
    key(
        "http-filter.min_body_rate",
        Kind::Size(Bounds { min: 1, max: GIB, zero: Some("any progress will do") }),
        value("64"),
        "Bytes per second that an HTTP/1 client must send of a body that is waited for.",
        "Measured over `body_idle_deadline`; a slower client gets a 408. HTTP/2 uploads, which may be calls that stream, only need progress.",
    ),
    key(
        "http-filter.min_answer_rate",
        Kind::Size(Bounds { min: 1, max: GIB, zero: Some("any progress will do") }),
        value("64"),
        "Bytes per second that a client must take of an answer that waits for it.",
        "Measured over `body_idle_deadline`, per connection; a slower client is cut off.",
    ),
    key(
        "http-filter.tunnel_idle_deadline",
        duration(SECOND, 7 * DAY),
        value("\"10m\""),
        "How long an upgraded connection (WebSocket) may be silent both ways.",
        "Also for HTTP/2 calls that stream both ways (gRPC), as long as the client may still send.",
    ),
    key(
        "http-filter.max_connections",
        integer(1, MANY),
        value("16384"),
        "Client connections at once in one instance, in all.",
        "",
    ),
    key("http-filter.max_connections_per_address", integer(1, MANY), value("512"), PER_ADDRESS, PER_ADDRESS_LONG),
    key(
        "http-filter.max_requests",
        integer(1, MANY),
        value("16384"),
        "Requests that are sent on or wait for a server at once in one instance, WebSockets included; one more is a 503.",
        "Each may hold a connection to a server, and an HTTP/2 client has many at once. Those under way go on.",
    ),
    key(
        "http-filter.max_unsent_per_address",
        size(64 * KIB, 64 * GIB),
        value("\"64MiB\""),
        "Bytes of HTTP/2 answers that may wait in one instance for the clients of one IPv4 address or IPv6 /64.",
        "With more, each connection of the address gets a new piece of an answer only when less than 64 KiB wait on it, and backends are \
         read no further: who takes what was asked for goes on, and nobody is cut off. Of HTTP/1 at most one piece (64 KiB) waits per connection.",
    ),
    key(
        "http-filter.max_header_bytes",
        size(KIB, MIB),
        value("\"32KiB\""),
        "Bytes of a request's header, request line included; more is a 431.",
        "",
    ),
    key("http-filter.max_headers", integer(8, 1000), value("100"), "Header fields of a request; more is a 431.", ""),
    key(
        "http-filter.max_request_line",
        size(256, MIB),
        value("\"8KiB\""),
        "Bytes of a request line; more is a 414.",
        "When absent, the default or `max_header_bytes`, whichever is smaller.",
    ),
    key(
        "http-filter.max_body",
        Kind::Size(Bounds { min: 1, max: 1024 * GIB, zero: Some("not limited") }),
        value("0"),
        "Bytes of a request's body; more is a 413.",
        "",
    ),
    key(
        "http-filter.max_requests_per_connection",
        integer_or_zero(1, 1_000_000_000, "not limited"),
        value("0"),
        "Requests of one client connection; with the last one it ends in order (`Connection: close`, GOAWAY).",
        "",
    ),
    key(
        "http-filter.max_records_per_key",
        integer(2, 1 << 24),
        value("16777216"),
        "TLS 1.3 records that http-filter seals with one key before it takes the next (KeyUpdate), where `handoff = \"secrets\"`.",
        "AES-GCM allows 2^24 (RFC 8446 §5.5); less is for tests. A TLS 1.2 connection has one key for life and ends after 2^24 records, whatever \
         stands here.",
    ),
    key("http-filter.max_streams", integer(1, 1000), value("100"), "HTTP/2 streams at once per connection.", ""),
    key(
        "http-filter.max_retries",
        integer(0, 10),
        value("1"),
        "How often a request that is safe to repeat is tried again on another server.",
        "",
    ),
    key(
        "http-filter.max_deaths",
        integer_or_zero(2, 100, "nothing is noted and nothing refused"),
        value("2"),
        "At so many deaths of http-filter in which a request was in flight, requests like it are refused (500).",
        "Alike are requests with the same method, host, path, query, and names and lengths of headers. One that is answered in between is \
         no longer suspected; ten minutes after its last death it is forgotten (operations.md, \"A request that kills\").",
    ),
    key(
        "http-filter.max_unacknowledged",
        integer(1, 4096),
        value("256"),
        "Connections asked for and not yet received, per instance of passthrough-relay.",
        "",
    ),
    key(
        "http-filter.trusted_proxies",
        list_or_empty(NETWORK),
        value("[]"),
        "Networks whose `Forwarded` and `X-Forwarded-*` headers are believed.",
        "From everybody else these headers are dropped.",
    ),
    key(
        "http-filter.path",
        Kind::Choice(&["normalise", "reject-ambiguous"]),
        value("\"normalise\""),
        "What happens to a path that can be read in two ways (`/a/../b`, `//`, `%2e`).",
        "`normalise` brings it to one form, judges and forwards that form; `reject-ambiguous` answers 400.",
    ),
    key(
        "http-filter.half_close",
        Kind::Choice(&["leave", "answer"]),
        value("\"leave\""),
        "What it means when an HTTP/1 client ends its sending side behind a request.",
        "`leave`: it has left, and the request is given up at once; from here a client that closed looks the same. `answer`: it still \
         gets its answer, and one that has really left is noticed only when the answer is written.",
    ),
    key(
        "http-filter.underscore_headers",
        Kind::Choice(&["drop", "keep", "refuse"]),
        value("\"drop\""),
        "What happens to header names with an underscore, which some servers confuse with `-`.",
        "`drop` removes the field, `keep` forwards it, `refuse` answers 400.",
    ),
    key(
        "http-filter.forwarded",
        Kind::Choice(&["both", "x-forwarded", "forwarded", "none"]),
        value("\"both\""),
        "Which headers tell the backend about the client.",
        "`x-forwarded`: X-Forwarded-For, -Proto, -Host and -Port; `forwarded`: Forwarded (RFC 7239). What a client outside \
         `trusted_proxies` sends of them is dropped whatever stands here.",
    ),
    key(
        "http-filter.access_default",
        Kind::Choice(&["allow", "deny"]),
        value("\"allow\""),
        "What holds for a request that no access rule matches.",
        "",
    ),
];
