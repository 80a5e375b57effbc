//! Keys of `[http-filter]` about request ids and traces.

use super::super::*;

pub(in crate::config::reference) const KEYS: &[Key] = &[
    key(
        "http-filter.request_id",
        Kind::Choice(&["off", "backend", "both"]),
        value("\"backend\""),
        "Who is told the id of a request in `X-Request-Id`.",
        "`backend`: the backend; `both`: the client, too; `off`: nobody, and the header is one like any other. The id stands in \
         the log and on refusal pages in any case. One that a trusted proxy sends is taken over if it has 1 to 128 of the bytes \
         `A-Z a-z 0-9 - _ . : / + = @`; otherwise, and for everybody else, a new one is made.",
    ),
    table(
        "http-filter.trace",
        "Distributed traces (W3C Trace Context).",
        "What this process does with `traceparent` and `tracestate`, and where it reports its own part of a trace.",
    ),
    key(
        "http-filter.trace.mode",
        Kind::Choice(&["off", "pass", "span"]),
        value("\"pass\""),
        "What happens to a request's trace.",
        "`off`: the two headers are like any other. `pass`: a valid trace goes on as it came, an invalid one is dropped. `span`: \
         each request is a span; the backend sees it as its parent, and a request without a valid trace begins one.",
    ),
    key(
        "http-filter.trace.accept",
        Kind::Choice(&["anybody", "trusted"]),
        value("\"anybody\""),
        "Whose traces are continued.",
        "`trusted`: those of `trusted_proxies`; what others send is dropped, so that strangers cannot make us record.",
    ),
    key(
        "http-filter.trace.sample",
        integer_or_zero(1, 1_000_000, "none"),
        value("1"),
        "Of so many traces that begin here one is recorded.",
        "With `mode = \"span\"`. Traces that began elsewhere keep the decision that was made there.",
    ),
    key(
        "http-filter.trace.export",
        Kind::Text("name of a `[[pool]]`"),
        Preset::Absent("spans are not exported"),
        "The pool of the collector that recorded spans are sent to (OTLP over HTTP, JSON).",
        "With `mode = \"span\"`, and in an http-filter that was built with the feature `otlp`. The collector is reached through \
         passthrough-relay, as every backend.",
    ),
    key("http-filter.trace.path", Kind::Text("a path"), value("\"/v1/traces\""), "The path at the collector.", ""),
    key(
        "http-filter.trace.queue",
        integer(16, 65_536),
        value("2048"),
        "Spans that wait to be sent.",
        "What does not fit is dropped and counted (`spans_dropped`).",
    ),
    key(
        "http-filter.trace.interval",
        duration(100, MINUTE),
        value("\"2s\""),
        "How long spans gather before they are sent together.",
        "512 spans are sent without waiting.",
    ),
];
